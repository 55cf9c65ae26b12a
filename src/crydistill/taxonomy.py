"""AudioSet's classes in YAMNet's order, and which of them count as a cry.

The class map (index, machine id, display name) ships with the package as `data/classes.csv`;
indices are always looked up by machine id (MID).
"""

import csv
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

CLASSES = 521

CRYING_SOBBING = "/m/0463cq4"
BABY_CRY = "/t/dd00002"
CRY_MIDS = (CRYING_SOBBING, BABY_CRY)
"""A window's cry score is the sum of these classes' scores."""

_BABBLING, _MUSIC, _WHIMPER = "/m/0261r1", "/m/04rlf", "/m/07qz6j3"


@cache
def class_names() -> tuple[str, ...]:
    """Return the display names of the 521 classes, in YAMNet's order."""
    return tuple(row["display_name"] for row in _rows())


@cache
def class_mids() -> tuple[str, ...]:
    """Return the machine ids of the 521 classes, in YAMNet's order."""
    return tuple(row["mid"] for row in _rows())


def index_of(mid: str) -> int:
    """Return YAMNet's index of a class.

    Raises
    ------
    KeyError
        if the MID is not one of YAMNet's classes.
    """
    return _index()[mid]


@cache
def cry_indices() -> tuple[int, ...]:
    """Return the indices of the classes whose scores are summed to the cry score.

    Examples
    --------
    >>> from crydistill.taxonomy import class_names, cry_indices
    >>> [(index, class_names()[index]) for index in cry_indices()]
    [(19, 'Crying, sobbing'), (20, 'Baby cry, infant cry')]
    """
    return tuple(index_of(mid) for mid in CRY_MIDS)


def cry_score(
    scores: npt.ArrayLike, outputs: Sequence[int] | None = None
) -> npt.NDArray[np.float32]:
    """Cry score: the sum of the scores of the cry outputs.

    Parameters
    ----------
    scores : activated outputs, `[..., outputs]`
    outputs : which of them count, such as `cry_indices()` of the teacher's 521 classes; None: all

    Returns
    -------
    np.ndarray [shape=(...)], float32; above 1 where several outputs are sure at once.
    """
    counted = np.asarray(scores) if outputs is None else np.asarray(scores)[..., list(outputs)]
    return np.asarray(counted.sum(axis=-1), dtype=np.float32)


@cache
def rival_indices() -> tuple[int, ...]:
    """Return the indices of the classes easily confused with a cry.

    These are all human and animal sounds except speech. The class map follows AudioSet's ontology:
    speech comes first, then other human sounds starting with babbling, then animals, then music.
    Whimpering counts as crying and is left out with it.
    """
    crying = {*cry_indices(), index_of(_WHIMPER)}
    return tuple(i for i in range(index_of(_BABBLING), index_of(_MUSIC)) if i not in crying)


@cache
def _index() -> dict[str, int]:
    return {mid: index for index, mid in enumerate(class_mids())}


@cache
def _rows() -> tuple[dict[str, str], ...]:
    text = files("crydistill").joinpath("data/classes.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))

"""Grouped splits: no person, device or source item appears on both sides."""

from collections.abc import Sequence

import numpy as np

from crydistill.corpora.clip import Clip
from crydistill.errors import CorpusError


def hold_out_groups(
    clips: Sequence[Clip], *, share: float, seed: int
) -> tuple[list[Clip], list[Clip]]:
    """Hold out about `share` of the groups, stratified into groups with and without cries.

    Returns
    -------
    (kept, held out); both keep the clips' order and share no group.

    Raises
    ------
    CorpusError
        if one kind has fewer than two groups, so that it cannot be on both sides.
    """
    crying = {clip.group for clip in clips if clip.is_cry}
    others = {clip.group for clip in clips} - crying
    generator = np.random.default_rng(seed)
    held: set[str] = set()
    for name, kind in (("with cries", crying), ("without cries", others)):
        if len(kind) < 2:
            raise CorpusError(
                f"the training clips have {len(kind)} group{'' if len(kind) == 1 else 's'} {name}; "
                "to hold some out for validation there must be at least 2: add recordings, or give "
                "validation clips of its own in data.validation.corpora"
            )
        count = min(len(kind) - 1, max(1, round(share * len(kind))))
        held.update(generator.permutation(sorted(kind))[:count].tolist())
    kept = [clip for clip in clips if clip.group not in held]
    return kept, [clip for clip in clips if clip.group in held]

"""What is stated of recordings: their licence, and whether they are private."""

from dataclasses import dataclass

from crydistill.errors import CorpusError

_PRIVATE = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Declaration:
    """What somebody states of a corpus's recordings; an empty licence and None: nothing."""

    licence: str = ""
    private: bool | None = None

    def of(self, licence: str, private: bool | None) -> tuple[str, bool, bool]:
        """A clip's licence, privacy and whether both are stated, given what its row states.

        A row's licence comes before that of its corpus; what either calls private is private.
        """
        licence = licence or self.licence
        stated = [each for each in (private, self.private) if each is not None]
        return licence, any(stated), any(stated) or bool(licence and stated)


NOTHING_STATED = Declaration()


def privacy(text: str, place: str) -> bool | None:
    """Whether a row calls its recording private; None if it says nothing.

    Raises
    ------
    CorpusError
        naming the place, if it says something else than true or false.
    """
    if not text.strip():
        return None
    try:
        return _PRIVATE[text.strip().lower()]
    except KeyError as error:
        raise CorpusError(f"{place}: private '{text}' is not true or false") from error

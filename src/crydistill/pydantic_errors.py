"""What pydantic found wrong, in one line."""

from pydantic import ValidationError


def explained(error: ValidationError, whole: str) -> str:
    """Name the first field at fault and what is wrong with it, and how many more there are.

    Parameters
    ----------
    whole : stands for the field's name where the fault is in the whole ("the manifest")
    """
    # A misspelt key also shows as a missing one; the misspelling is what helps.
    first, *others = sorted(
        error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden"
    )
    field = ".".join(str(part) for part in first["loc"]) or whole
    more = f" (and {len(others)} more)" if others else ""
    return f"{field}: {first['msg'].removeprefix('Value error, ')}{more}"

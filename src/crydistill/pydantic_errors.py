"""Format pydantic validation errors as one line."""

from pydantic import ValidationError


def explained(error: ValidationError, whole: str) -> str:
    """Describe the first invalid field and say how many more there are.

    Parameters
    ----------
    whole : name to use if the error concerns the object as a whole ("the manifest")
    """
    # A misspelt key is also reported as a missing one; the misspelling is more helpful.
    first, *others = sorted(
        error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden"
    )
    field = ".".join(str(part) for part in first["loc"]) or whole
    more = f" (and {len(others)} more)" if others else ""
    return f"{field}: {first['msg'].removeprefix('Value error, ')}{more}"

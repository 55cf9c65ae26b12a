"""The style of all HTML pages."""

from importlib.resources import files


def style_sheet() -> str:
    """CSS for light and dark, print and small screens."""
    return files("crydistill").joinpath("data", "page.css").read_text(encoding="utf-8")

"""How the lines of networks are told apart: by colour and by dashes, the same in every figure.

The first line is the teacher's. No two of the first six lines share colour or dashes, so that a
legend can be read in grey and by colour-blind readers, and no two of the first 36 share both.
"""

COLOURS = ("#59636e", "#0072b2", "#d55e00", "#009e73", "#aa4499", "#b8860b")
"""On white. The students' colours are Okabe and Ito's, which colour-blind readers can tell apart;
the last two are darkened for contrast. Pages have their own for light and dark: `--model0` ..."""

DASHES = ("4 2.5", "", "9 3", "9 3 2 3", "2 2", "9 3 2 3 2 3")
"""SVG dash patterns, in widths of about a pixel."""


def colour_number(line: int) -> int:
    """Which of the colours a line has."""
    return line % len(COLOURS)


def dashes(line: int) -> str:
    """A line's dash pattern; in every further round of the colours it is another one."""
    return DASHES[(line + line // len(COLOURS)) % len(DASHES)]


def css_colour(line: int) -> str:
    """A line's colour on a page, and on white where the page's style is missing."""
    number = colour_number(line)
    return f"var(--model{number}, {COLOURS[number]})"


def swatch(line: int) -> str:
    """Draw a piece of a line, for legends of pages."""
    return (
        '<svg class="swatch" viewBox="0 0 34 8" aria-hidden="true"><line x1="0" y1="4" x2="34" '
        f'y2="4" stroke="{css_colour(line)}" stroke-width="3" stroke-dasharray="{dashes(line)}"/>'
        "</svg>"
    )

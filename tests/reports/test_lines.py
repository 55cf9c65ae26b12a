import re
from pathlib import Path

from crydistill.reports import lines
from crydistill.style_sheet import style_sheet


def test_no_two_of_the_first_lines_share_colour_or_dashes() -> None:
    first = range(len(lines.COLOURS))
    assert len({lines.css_colour(line) for line in first}) == len(lines.COLOURS) == 6
    assert len({lines.dashes(line) for line in first}) == len(lines.DASHES) == 6


def test_no_two_lines_share_both_while_there_are_pairs_left() -> None:
    pairs = {(lines.css_colour(line), lines.dashes(line)) for line in range(36)}
    assert len(pairs) == 36


def test_the_style_sheet_and_the_night_view_have_every_colour() -> None:
    daylight = style_sheet().partition("@media")[0]
    assert re.findall(r"--model\d: (#\w{6})", daylight) == list(lines.COLOURS)
    view = Path(lines.__file__).with_name("night_page.html").read_text(encoding="utf-8")
    assert f"MODEL_COLOURS = {len(lines.COLOURS)};" in view


def test_a_legend_shows_a_line_as_it_is_drawn() -> None:
    drawn = lines.swatch(9)
    assert lines.css_colour(9) in drawn and f'stroke-dasharray="{lines.dashes(9)}"' in drawn

import re
from pathlib import Path
from string import Template

import pytest

from crydistill.reports import page
from crydistill.style_sheet import style_sheet


@pytest.mark.parametrize("name", ["run_page.html", "night_page.html"])
def test_a_page_has_the_shared_style_before_its_own(name: str) -> None:
    names = Template(page._read(name)).get_identifiers()
    filled = page.fill(name, **{part: f"<i>{part}</i>" for part in names if part != "style"})
    (css,) = re.findall(r"<style>(.*?)</style>", filled, re.DOTALL)
    shared = style_sheet()
    assert css.strip().startswith(shared.strip()) and len(css) > len(shared)
    assert all(f"<i>{part}</i>" in filled for part in names if part != "style")
    # Every variable that is used has a value in daylight.
    defined = set(re.findall(r"(--[a-z0-9-]+):", css))
    assert set(re.findall(r"var\((--[a-z0-9-]+)", css)) <= defined


def test_a_part_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError, match="body"):
        page.fill("run_page.html", title="")


def test_cells_are_escaped_and_their_interval_set_apart() -> None:
    assert page.cell("<b> & 1") == "&lt;b&gt; &amp; 1"
    assert page.cell("0.9 [0.8, 1.0]") == '0.9 <span class="interval">[0.8, 1.0]</span>'


def test_a_row_says_which_column_each_cell_is_of() -> None:
    made = page.row(["", "kind", "a <b>"], ["title & co", "x", "0.9 [0.8, 1.0]"], words=2)
    assert made == (
        '<tr><th scope="row">title &amp; co</th><td class="text" data-of="kind">x</td>'
        '<td data-of="a &lt;b&gt;">0.9 <span class="interval">[0.8, 1.0]</span></td></tr>'
    )


def test_a_row_with_a_cell_too_few_is_an_error() -> None:
    with pytest.raises(ValueError):
        page.row(["", "a", "b"], ["title", "1"])


def test_provenance_is_flat_and_escaped() -> None:
    made = page.provenance({"seed": 3, "config": {"name": "<x>", "layers": [8, 16]}})
    assert 'row">seed</th><td class="text">3<' in made
    assert 'row">config.name</th><td class="text">&lt;x&gt;<' in made
    assert 'row">config.layers</th><td class="text">[8, 16]<' in made
    assert page.provenance({}) == ""


def test_a_page_links_to_the_one_that_listens_where_it_lies_beside_it(tmp_path: Path) -> None:
    assert page.link_to_listen(tmp_path / "report.html") == ""
    (tmp_path / "listen.html").touch()
    assert 'href="listen.html"' in page.link_to_listen(tmp_path / "report.html")

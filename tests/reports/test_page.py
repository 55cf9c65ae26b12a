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


def test_a_page_links_to_the_one_that_listens_where_it_lies_beside_it(tmp_path: Path) -> None:
    assert page.link_to_listen(tmp_path / "report.html") == ""
    (tmp_path / "listen.html").touch()
    assert 'href="listen.html"' in page.link_to_listen(tmp_path / "report.html")

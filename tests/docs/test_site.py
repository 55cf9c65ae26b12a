"""The built site: nothing leads nowhere, and the reference is whole."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
import typer

from crydistill.cli import app

ROOT = Path(__file__).parents[2]
HEADERS = [
    path
    for folder in ("src", "selftest")
    for path in (ROOT / "firmware" / folder).glob("*.h")
    # Parts of crydistill_mel.c, crydistill_conv.c and crydistill_kernels.c.
    if not re.search(r"_(bands_\w+|dot|fours|inline|products|requantize)\.h$", path.name)
]


class _Page(HTMLParser):
    """What a page offers and what it asks for.

    ids : anchors
    links : addresses of links, images, styles and scripts, as they are written
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name == "id":
                self.ids.add(value)
            if value and name in ("href", "src"):
                self.links.add(value)


@pytest.fixture(scope="module")
def site() -> Path:
    """The site where `make docs` builds it; anew only what changed since."""
    for package in ("sphinx", "furo", "myst_parser", "numpydoc", "sphinx_design"):
        pytest.importorskip(package, reason="`make docs` installs what builds the site")
    built = ROOT / "build" / "docs"
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "--quiet", "docs", str(built)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return built


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, _Page]:
    """Every document's page, by its path."""
    documents = (path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md"))
    names = [path.with_suffix(".html").as_posix() for path in documents]
    extra = ["genindex.html", "search.html"]
    return {
        name: _Page((site / name).read_text(encoding="utf-8")) for name in sorted([*names, *extra])
    }


def _inside(page: str, link: str, site: Path) -> tuple[str, str] | None:
    """File below the site and fragment that a link means; None if it leads out of the site."""
    if re.match(r"[a-z]+:|//", link):
        return None
    address, fragment = urldefrag(link)
    path = (site / page).parent / unquote(address.partition("?")[0]) if address else site / page
    assert path.resolve().is_relative_to(site), f"{page}: {link}"
    return path.resolve().relative_to(site).as_posix(), unquote(fragment)


def test_every_link_inside_of_the_site_leads_somewhere(site: Path, pages: dict[str, _Page]) -> None:
    broken = []
    for name, page in pages.items():
        for link in page.links:
            if (target := _inside(name, link, site)) is None:
                continue
            path, fragment = target
            there = (site / path).is_file()
            if there and fragment and path in pages:
                there = fragment in pages[path].ids
            if not there:
                broken.append(f"{name}: {link}")
    assert not broken


def test_links_out_of_the_site_are_well_formed(pages: dict[str, _Page]) -> None:
    outside = {
        link for page in pages.values() for link in page.links if re.match(r"[a-z]+:|//", link)
    }
    for link in outside:
        assert re.fullmatch(r"https://[\w.-]+\.[a-z]+(/\S*)?|data:\S+|mailto:\S+", link), link


def test_every_document_is_reachable_from_the_first_page(
    site: Path, pages: dict[str, _Page]
) -> None:
    reached, ahead = set(), ["index.html"]
    while ahead:
        name = ahead.pop()
        if name in reached or name not in pages:
            continue
        reached.add(name)
        targets = (_inside(name, link, site) for link in pages[name].links)
        ahead += [target[0] for target in targets if target]
    assert reached == set(pages)


def test_every_verb_has_its_section(pages: dict[str, _Page]) -> None:
    def paths(group, above: str) -> list[str]:
        return [
            path
            for name, command in group.commands.items()
            for path in [f"{above}-{name}", *paths_below(command, f"{above}-{name}")]
        ]

    def paths_below(command, path: str) -> list[str]:
        return paths(command, path) if hasattr(command, "commands") else []

    verbs = paths(typer.main.get_command(app), "crydistill")
    assert "crydistill-export-c" in verbs
    assert set(verbs) <= pages["commands.html"].ids


@pytest.mark.parametrize("header", HEADERS, ids=lambda path: path.name)
def test_every_function_and_struct_of_the_c_library_is_described(
    header: Path, pages: dict[str, _Page]
) -> None:
    code = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.DOTALL)
    at_top_level = re.sub(r"\{[^{}]*\}", "{}", code.replace('extern "C" {', ""))
    names = re.findall(r"^(?:[a-z_0-9]+ [^;{(]*?)\**(crydistill_\w+)\(", at_top_level, re.MULTILINE)
    names += re.findall(r"^(?:struct|enum) (crydistill\w*) \{", at_top_level, re.MULTILINE)
    assert names
    assert {f"c.{name}" for name in names} <= pages["c-api.html"].ids


def test_parameters_are_shown_as_names_with_their_explanations(site: Path) -> None:
    page = (site / "python/detector.html").read_text(encoding="utf-8")
    assert re.search(r"<dt><strong>hold_seconds</strong></dt>\s*<dd><p>", page)
    assert re.search(r"<dt><strong>wanted_per_night</strong></dt>\s*<dd><p>", page)

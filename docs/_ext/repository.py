"""Links from documents to what lies in the repository, but not in `docs`.

On GitHub they lead there. On the site, a file that a page includes (`included_pages`) is that page;
anything else has no copy, so that the link becomes the path, as code.
"""

from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

_ROOT = Path(__file__).parents[2]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("included_pages", {}, "env", dict)
    app.connect("doctree-read", _adapt_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _adapt_links(app: Sphinx, document: nodes.document) -> None:
    for link in list(document.findall(pending_xref)):
        path = _in_repository(link, Path(document["source"]).parent)
        if path in app.config.included_pages:
            link["reftarget"] = app.config.included_pages[path]
        elif path:
            link.replace_self(_named(link.astext(), path))


def _in_repository(link: pending_xref, folder: Path) -> str | None:
    """The path that a link means, if it is that of a file or folder, and no page of the site."""
    to_page = link.get("refdomain") == "doc"
    if link.get("reftype") != "myst" or (to_page and not link["reftarget"].startswith("/")):
        return None
    target = (folder / (link["reftarget"] + (".md" if to_page else ""))).resolve()
    exists = target.exists() and target.is_relative_to(_ROOT)
    return target.relative_to(_ROOT).as_posix() if exists else None


def _named(text: str, path: str) -> nodes.Element:
    """The link's text, and the path unless that is the text."""
    code = nodes.literal(path, path)
    return (
        code
        if text in path
        else nodes.inline("", "", nodes.Text(f"{text} ("), code, nodes.Text(")"))
    )

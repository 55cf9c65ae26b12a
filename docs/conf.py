"""The site's configuration: `make docs` builds `build/docs` from these folders."""

import sys
from pathlib import Path

from crydistill import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "crydistill"
author = "The crydistill authors"
project_copyright = "The crydistill authors, MIT licence"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "docstrings",  # before numpydoc, whose style it completes
    "numpydoc",
    "sphinx_design",
    "c_headers",
    "commands",
    "repository",
]
exclude_patterns = ["_ext", "experiments/results"]
nitpicky = True
nitpick_ignore_regex = [
    # Types of other packages, whose documentation is not at hand where there is no internet.
    (r"py:.*", r"(?!crydistill).*\..*"),
    # What stands in single backticks is code, and a link if there is something to link to.
    (r"py:obj", r".*"),
    # Words of C, and what the reader's own program or the student brings.
    (r"c:identifier", r".*"),
]

html_theme = "furo"
html_title = "crydistill"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
highlight_language = "text"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
included_pages = {
    "benchmarks/results.md": "benchmarks",
    **{
        f"benchmarks/pages/{page.name}": "benchmarks"
        for page in (Path(__file__).parents[1] / "benchmarks" / "pages").glob("*.md")
    },
    "firmware/esp-idf/README.md": "esp-idf",
    "integrations/esphome/README.md": "esphome",
}

default_role = "py:obj"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "model_config"}
autosummary_generate = False
numpydoc_show_class_members = False
maximum_signature_line_length = 80

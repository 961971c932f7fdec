"""How Sphinx builds the site out of this folder: ./scripts/docs."""

import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

import api_keys_client

PROJECT = Path(__file__).resolve().parent.parent
# The release and docs workflows fill the address in; until then the site has no link to it.
REPOSITORY = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]

project = "api-keys-client"
author = "The api-keys-client authors"
copyright = f"{author}. Unofficial: not made, reviewed or supported by Arthur"
release = version = api_keys_client.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
# The generated pages skip levels of headings.
suppress_warnings = ["myst.header"]

default_role = "py:obj"  # a name between backticks leads to its entry, if it has one
autodoc_member_order = "bysource"
# Spelled as in the code; reference/client.md says what they stand for.
ALIASES = "Description FailureKind Leftovers NewKeyCallback Operation Profile Role Roles Store Timeout Token"
autodoc_type_aliases = {name: name for name in ALIASES.split()}
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "api-keys-client"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/key.svg"
html_show_sourcelink = False
if not REPOSITORY.endswith(".invalid"):
    html_theme_options = {"source_repository": REPOSITORY, "source_branch": "main", "source_directory": "docs/"}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Where the site has the pages that lie beside docs/.
PAGES = {
    "README.md#documentation": "/reference/generated.md#documentation",
    "README.md": "/index.md",
    "CHANGELOG.md": "/project/changelog.md",
    "CONTRIBUTING.md": "/project/contributing.md",
    "SECURITY.md": "/project/security.md",
    "openapi.json": "/../openapi.json",
}


def lead_links_to_the_site(_app: Sphinx, page: str | Path, *given: list[str]) -> None:
    """Lead the links of a page, or of what it includes, to where the site has their targets."""
    text = given[-1][0].replace("](#)", f"](/{page}.md)")
    # With a space it would be no link, as it is none on GitHub.
    text = text.replace("README.md#API Key)", "README.md#documentation-for-authorization)")
    given[-1][0] = re.sub(
        rf"\]\((?:\.\./)*({'|'.join(map(re.escape, PAGES))})", lambda found: f"]({PAGES[found[1]]}", text
    )


def setup(app: Sphinx) -> None:
    app.connect("source-read", lead_links_to_the_site)
    app.connect("include-read", lead_links_to_the_site)

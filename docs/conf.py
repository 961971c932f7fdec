"""How Sphinx builds the site out of this folder: ./scripts/docs."""

import re
import typing
from pathlib import Path

from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.util.typing import stringify_annotation

import api_keys_client

project = "api-keys-client"
copyright = "The api-keys-client authors. Unofficial: not made, reviewed or supported by Arthur"
release = version = api_keys_client.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # the generated pages skip levels of headings

default_role = "py:obj"  # a name between backticks leads to its entry, if it has one
autodoc_member_order = "bysource"
# Spelled as in the code; reference/client.md says what they stand for.
ALIASES = "Description FailureKind Leftovers NewKeyCallback Operation Profile Role Roles Store Timeout Token"
autodoc_type_aliases = {name: name for name in ALIASES.split()}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_use_ivar = True

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/key.svg"
html_show_sourcelink = html_use_index = html_domain_indices = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Where the site has the pages that lie beside docs/.
PAGES = {
    "README.md#API Key": "/reference/generated.md#documentation-for-authorization",
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
    given[-1][0] = re.sub(
        rf"\]\((?:\.\./)*({'|'.join(map(re.escape, PAGES))})", lambda found: f"]({PAGES[found[1]]}", text
    )


def describe_fields(_app: Sphinx, what: str, _name: str, model: typing.Any, _options: object, lines: list[str]) -> None:
    """Give the docstring of a record its fields."""
    if what == "class" and BaseModel in model.__bases__:
        for name, kind in typing.get_type_hints(model).items():
            if field := model.model_fields.get(name):
                lines += ["", f":ivar {name}: {field.description}", f":vartype {name}: {stringify_annotation(kind)}"]


def spell_signature(*given: typing.Any) -> tuple[str | None, ...]:
    """Give aliases and functions the names that they have in the code."""
    wordy = r"TypeAliasForwardRef\('(\w+)'\)|<function (\w+)>"
    return tuple(part and re.sub(wordy, r"\1\2", part) for part in given[-2:])


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", describe_fields)
    app.connect("autodoc-process-signature", spell_signature)
    app.connect("source-read", lead_links_to_the_site)
    app.connect("include-read", lead_links_to_the_site)

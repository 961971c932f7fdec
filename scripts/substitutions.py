"""What `regenerate` changes in the text that the generator wrote, each change with its reason."""

from __future__ import annotations

import fnmatch
from typing import NamedTuple

from failure import Failure

# Content by path relative to the root, always with "/".
Tree = dict[str, bytes]


class Substitution(NamedTuple):
    """Texts to put in place of others; each has to be there, or the generator writes something else now."""

    reason: str
    files: str  # "*" matches "/" too
    edits: dict[str, str]


REFUSE_PICKLE = """\
    def __reduce_ex__(self, protocol):
        if self.key is not None:
            raise TypeError("a key with its secret is not pickled: the secret would be written out in clear")
        return super().__reduce_ex__(protocol)
"""

SUBSTITUTIONS = (
    Substitution(
        "the wrapper asks whose _generated it has: two distributions that ship one overwrite each other",
        "_generated/__init__.py",
        {"\n\n# Define package": '\n__distribution__ = "api-keys-client"\n\n# Define package'},
    ),
    Substitution(
        "importing need not build a validator per method, and a refused argument must not be shown",
        "_generated/api/*_api.py",
        {"@validate_call\n": '@validate_call(config={"defer_build": True, "hide_input_in_errors": True})\n'},
    ),
    Substitution(
        "multiprocessing is slow to import and only counts the processors here",
        "_generated/configuration.py",
        {"import multiprocessing\n": "import os\n", "multiprocessing.cpu_count()": "(os.cpu_count() or 1)"},
    ),
    Substitution(
        "formatted, a role would show its Python name in place of its value",
        "_generated/models/*_enum.py",
        {"from enum import Enum\n": "from enum import StrEnum\n", "(str, Enum):": "(StrEnum):"},
    ),
    Substitution(
        "dateutil is slow to import, and models parse their dates without it",
        "_generated/api_client.py",
        {
            "from dateutil.parser import parse\n": "",
            "return parse(": "from dateutil.parser import parse\n            return parse(",
        },
    ),
    Substitution(
        "the text of a ValidationError would hold what was validated, a secret among it",
        "_generated/*.py",
        {
            "model_config = ConfigDict(\n": "model_config = ConfigDict(\n        hide_input_in_errors=True,\n",
            "model_config = {\n": 'model_config = {\n        "hide_input_in_errors": True,\n',
        },
    ),
    Substitution(
        "a SecretStr is pickled in clear",
        "_generated/models/api_key_response.py",
        {"    def to_str(self)": f"{REFUSE_PICKLE}\n    def to_str(self)"},
    ),
)


def substitute(tree: Tree, substitutions: tuple[Substitution, ...] = SUBSTITUTIONS) -> None:
    """Apply the substitutions in place."""
    for reason, files, edits in substitutions:
        for old, new in edits.items():
            paths = [path for path in fnmatch.filter(tree, files) if old.encode() in tree[path]]
            if not paths:
                raise Failure(f"the generator wrote no {old!r} into {files}, to be replaced because {reason}")
            for path in paths:
                tree[path] = tree[path].replace(old.encode(), new.encode())

"""What `regenerate` changes in the text that the generator wrote, each change with its reason."""

from __future__ import annotations

import fnmatch
from typing import NamedTuple

from failure import Failure

# Content by path relative to the root, always with "/".
Tree = dict[str, bytes]


class Edit(NamedTuple):
    """One text put in place of another."""

    old: str
    new: str
    times: int | None = None  # None is at least once: the specification decides how often


class Substitution(NamedTuple):
    """A change to what the generator wrote."""

    name: str
    files: str  # "*" matches "/" too
    reason: str
    edits: tuple[Edit, ...]


REFUSE_PICKLE = """\
    def __reduce_ex__(self, protocol):
        if self.key is not None:
            raise TypeError("a key with its secret is not pickled: the secret would be written out in clear")
        return super().__reduce_ex__(protocol)
"""

SUBSTITUTIONS = (
    Substitution(
        "stamp",
        "_generated/__init__.py",
        "the wrapper asks whose _generated it has: two distributions that ship one overwrite each other",
        (Edit("\n\n# Define package", '\n__distribution__ = "api-keys-client"\n\n# Define package', times=1),),
    ),
    Substitution(
        "late validators",
        "_generated/api/*_api.py",
        "importing need not build a validator per method, and a refused argument must not be shown",
        (
            Edit(
                "@validate_call\n",
                '@validate_call(config={"defer_build": True, "hide_input_in_errors": True})\n',
            ),
        ),
    ),
    Substitution(
        "processor count",
        "_generated/configuration.py",
        "multiprocessing is slow to import and only counts the processors here",
        (
            Edit("import multiprocessing\n", "import os\n", times=1),
            Edit("multiprocessing.cpu_count()", "(os.cpu_count() or 1)", times=1),
        ),
    ),
    Substitution(
        "roles are text",
        "_generated/models/*_enum.py",
        "formatted, a role would show its Python name in place of its value",
        (
            Edit("from enum import Enum\n", "from enum import StrEnum\n"),
            Edit("(str, Enum):", "(StrEnum):"),
        ),
    ),
    Substitution(
        "late dateutil",
        "_generated/api_client.py",
        "dateutil is slow to import, and models parse their dates without it",
        (
            Edit("from dateutil.parser import parse\n", "", times=1),
            Edit("return parse(", "from dateutil.parser import parse\n            return parse(", times=2),
        ),
    ),
    Substitution(
        "hidden input",
        "_generated/*.py",
        "the text of a ValidationError would hold what was validated, a secret among it",
        (
            Edit(
                "model_config = ConfigDict(\n",
                "model_config = ConfigDict(\n        hide_input_in_errors=True,\n",
            ),
            Edit("model_config = {\n", 'model_config = {\n        "hide_input_in_errors": True,\n'),
        ),
    ),
    Substitution(
        "no pickled secret",
        "_generated/models/api_key_response.py",
        "a SecretStr is pickled in clear",
        (Edit("    def to_str(self)", f"{REFUSE_PICKLE}\n    def to_str(self)", times=1),),
    ),
)


def substitute(tree: Tree, substitutions: tuple[Substitution, ...] = SUBSTITUTIONS) -> None:
    """Apply the substitutions in place."""
    for name, files, _, edits in substitutions:
        paths = fnmatch.filter(tree, files)
        for old, new, times in edits:
            found = sum(tree[path].count(old.encode()) for path in paths)
            if found == 0 or times not in (None, found):
                expected = f"{times or 'at least 1'} of {old!r} in {files}"
                raise Failure(f"substitution {name!r} no longer matches: expected {expected}, found {found}")
            for path in paths:
                tree[path] = tree[path].replace(old.encode(), new.encode())

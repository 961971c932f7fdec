"""What a command shows: an answer on stdout, as a document, as plain lines or for the eye, and the rest on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

import api_keys_client

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from api_keys_client import ApiKeyResponse

Document: TypeAlias = dict[str, Any]

MIN_TABLE_COLUMNS = 80
"""In fewer columns, a table leaves too little room for a description beside an id."""


def clean(text: str) -> str:
    """Spells out the characters that a terminal would obey or that would break a line."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def isoformat(value: datetime | None) -> str | None:
    """Gives a time as the server said it: without an offset where it gave none."""
    return None if value is None else value.isoformat()


def document_of(record: ApiKeyResponse) -> Document:
    """Gives a record for a program, without whatever secret an answer may hold."""
    life = api_keys_client.lifetime(record)
    return {
        "id": record.id,
        "description": record.description,
        "roles": list(record.roles or []),
        "is_active": record.is_active,
        "made": isoformat(life.made),
        "ends": isoformat(life.ends),
        "created_at": isoformat(record.created_at),
        "deactivated_at": isoformat(record.deactivated_at),
    }


def fields_of(record: ApiKeyResponse) -> list[tuple[str, str]]:
    """Gives a record for a person, name by name."""
    state = "active"
    if not record.is_active:
        state = f"inactive since {isoformat(record.deactivated_at)}" if record.deactivated_at else "inactive"
    return [
        ("id", record.id),
        ("roles", ",".join(record.roles or [])),
        ("description", record.description or ""),
        ("state", state),
    ]


def console(stream: TextIO) -> Console:
    """Rich on one of the two streams; only for one that is a terminal, or FORCE_COLOR would colour a pipe."""
    # Late: a pipe does not need it.
    from rich.console import Console

    made = Console(file=stream, highlight=False, markup=False, emoji=False)
    if made.width < 1:
        # With COLUMNS=0 nothing would be shown, not even the secret of `create --show`.
        made.width = MIN_TABLE_COLUMNS
    return made


def is_terminal(stream: TextIO | None) -> bool:
    """Tells whether a stream is there, which a closed one is not, and is a terminal."""
    return stream is not None and stream.isatty()


def in_colour(*parts: str | tuple[str, str]) -> Text:
    """Makes one line of plain and styled pieces, all of them cleaned."""
    # Late, as above.
    from rich.text import Text

    return Text.assemble(*(clean(part) if isinstance(part, str) else (clean(part[0]), part[1]) for part in parts))


def answer(
    document: Document,
    rows: Iterable[Sequence[str]],
    view: Callable[[Console], Iterable[RenderableType]] | None = None,
    *,
    as_json: bool,
) -> None:
    """Gives a command's answer, in the form that was asked for or that suits where it goes.

    Args:
        document: for `--json`.
        rows: for a pipe, one line each, its cells separated by tabs.
        view: for a terminal; None: the rows, as names and values.

    Raises:
        OSError: it could not be written.
    """
    if as_json:
        # In ASCII, so that no character of a description can be one that the terminal obeys.
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    elif sys.stdout.isatty():
        screen = console(sys.stdout)
        print_lines(screen, view(screen) if view else _named(rows))
    else:
        sys.stdout.writelines("\t".join(map(clean, row)) + "\n" for row in rows)
    sys.stdout.flush()


def print_lines(screen: Console, lines: Iterable[RenderableType]) -> None:
    """Prints lines and tables; a line is wrapped by the terminal, so that an id or a secret can be copied whole."""
    for line in lines:
        screen.print(line, soft_wrap=not hasattr(line, "columns"))


def remark(*parts: str | tuple[str, str]) -> None:
    """Gives one line on stderr; the styles of its parts show on a terminal only."""
    if sys.stderr.isatty():
        console(sys.stderr).print(in_colour(*parts), soft_wrap=True)
    else:
        sys.stderr.write("".join(clean(part if isinstance(part, str) else part[0]) for part in parts) + "\n")
    sys.stderr.flush()


def complain(message: str, next_step: str = "") -> None:
    """Gives what went wrong, in one line, and what to do about it, in another."""
    remark(("api-keys: ", "bold red"), message)
    if next_step:
        remark(next_step)


def _named(rows: Iterable[Sequence[str]]) -> Iterable[Text]:
    for name, value in rows:
        yield in_colour((f"{name:<13}", "dim"), (value, "bold cyan" if name.endswith("id") else "none"))


def listing(records: Sequence[ApiKeyResponse], screen: Console) -> Iterable[RenderableType]:
    """Lays records out for the eye: a table, or one below the other where that is too narrow. No id is ever cut."""
    ends = [api_keys_client.lifetime(record).ends for record in records]
    # The description tells the end too, and is what needs the room.
    if not records or screen.width < MIN_TABLE_COLUMNS + (24 if any(ends) else 0):
        for record in records:
            yield in_colour((record.id, "bold cyan"))
            about = [*filter(None, (", ".join(record.roles or []), record.description))]
            if about:
                yield in_colour("  ", "  ".join(about))
        return
    # Late: only a terminal needs it.
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("id", no_wrap=True, min_width=36)
    table.add_column("roles", overflow="fold", max_width=26)
    if any(ends):
        table.add_column("ends", no_wrap=True)
    table.add_column("description", overflow="fold")
    for record, end in zip(records, ends, strict=True):
        dates = [f"{end:%Y-%m-%d}" if end else ""] if any(ends) else []
        cells = (", ".join(record.roles or []), *dates, record.description or "")
        table.add_row(in_colour((record.id, "bold cyan")), *map(in_colour, cells))
    yield table


def show_keys(records: list[ApiKeyResponse], state: str, further: Document | None = None, *, as_json: bool) -> None:
    """Gives keys as a command's answer, sorted by their descriptions, and how many they are."""
    records.sort(key=lambda record: (record.description or "", record.id))
    answer(
        {"keys": [document_of(record) for record in records], **(further or {})},
        [(record.id, ",".join(record.roles or []), record.description or "") for record in records],
        lambda screen: [*listing(records, screen), in_colour((f"{len(records)} {state}", "dim"))],
        as_json=as_json,
    )


def drop_unwritten() -> None:
    """Drops what stdout could not take, so that Python does not try again, and complain, when it ends."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

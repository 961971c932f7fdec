"""`api-keys deactivate`: many keys, or the one that a leaked secret names; shown first, asked about, and counted."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from getpass import getpass
from select import select
from typing import TYPE_CHECKING, TextIO

import click

import api_keys_client
from api_keys_client.cli.common import CommonOptions, command
from api_keys_client.cli.errors import CliError, ExitCode, cli_message, code_of
from api_keys_client.cli.output import (
    Document,
    Output,
    console,
    document_of,
    fields_of,
    in_colour,
    is_terminal,
    listing,
    show_keys,
)
from api_keys_client.cli.signals import Interruption, interruptible

if TYPE_CHECKING:
    from pydantic import SecretStr

    from api_keys_client import ApiKeyResponse, ApiKeysClient, Deactivation

# uuid.UUID takes a token of 32 hexadecimal digits too.
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

SECRET_MOST = 64 * 1024

_GIVEN_UP = "To see what became of one that was given up: api-keys get ID"

Done = Callable[["Deactivation"], None]


@command("deactivate")
@click.argument("key_ids", metavar="[ID]...", nargs=-1)
@click.option("--leaked", is_flag=True, help="Read a leaked secret from stdin, and deactivate the key that it names.")
@click.option("--yes", "-y", is_flag=True, help="Go ahead without showing the keys or asking.")
@click.option("--dry-run", is_flag=True, help="Show the keys, and leave them as they are.")
def deactivate(common: CommonOptions, key_ids: tuple[str, ...], leaked: bool, yes: bool, dry_run: bool) -> ExitCode:
    """Deactivate keys for good, once you have seen them and said yes.

    Each ID names a key; - reads them from stdin, one on each line.
    """
    if leaked == bool(key_ids):
        raise CliError("name the keys by their ids (- for stdin), or use --leaked. Nothing was sent.")
    if sys.stdin is None and (leaked or "-" in key_ids):
        raise CliError("stdin is closed, and there is nothing else to read from. Nothing was sent.")
    with ExitStack() as stack:
        answers = None if yes or dry_run else answers_from(stack, reads_stdin="-" in key_ids)
        ids = [_leaked_id()] if leaked else _ids(key_ids)
        if not ids and not dry_run:
            common.output.remark("There are no ids on stdin; nothing to do.")
            return _report(common.output, ids, {}, Interruption())
        client = stack.enter_context(common.client())
        if dry_run:
            return _show_only(common.output, ids, client.list())
        if leaked:
            record = client.get(ids[0])
            _show_named(common.output, record)
            if not record.is_active:
                common.output.remark("It is inactive already, so nothing was sent.")
                return _report(
                    common.output, ids, {ids[0]: api_keys_client.Deactivation(ids[0], record)}, Interruption()
                )
        elif answers is not None:
            _show_all(common.output, ids, client.list())
        if answers is not None:
            ask(answers, "Deactivate it?" if len(ids) == 1 else f"Deactivate these {len(ids)}?")
        return deactivate_all(common.output, client, ids)


def answers_from(stack: ExitStack, *, reads_stdin: bool) -> TextIO:
    """Gives where the answer to a question comes from: the terminal, which need not be stdin if that holds the ids."""
    if is_terminal(sys.stderr):
        if reads_stdin and not is_terminal(sys.stdin):
            with suppress(OSError):
                return stack.enter_context(open("/dev/tty", encoding="utf-8", errors="replace"))
        elif is_terminal(sys.stdin):
            return sys.stdin
    if reads_stdin:
        raise CliError(
            "stdin holds the ids, so nobody can be asked. Nothing was sent.", "To go ahead unasked, say --yes."
        )
    raise CliError(
        "there is no terminal to ask on, so nothing was sent.", "To deactivate without being asked, add --yes."
    )


def _ids(given: Sequence[str]) -> list[str]:
    """Gives the ids, each once; `-` stands for those on stdin, of whose lines only the first column counts."""
    texts: list[tuple[str, str]] = []
    for number, text in enumerate(given, 1):
        if text == "-":
            lines = ((f"line {line_number} of stdin", line) for line_number, line in enumerate(sys.stdin, 1))
            # Some editors put a byte-order mark before the first.
            texts += [(place, words[0]) for place, line in lines if (words := line.removeprefix("\ufeff").split())]
        else:
            texts.append((f"argument {number}", text))
    ids: dict[str, None] = {}
    for place, text in texts:
        if not _ID.fullmatch(text):
            # The text stays off the screen: it may be a secret.
            raise CliError(
                f"{place} is no id. Nothing was sent.", "If it is a leaked secret: api-keys deactivate --leaked"
            )
        ids[text.lower()] = None
    return list(ids)


def _leaked_id() -> str:
    # Late, as all that --help does not need.
    from pydantic import SecretStr

    if sys.stdin.isatty():
        try:
            secret = SecretStr(getpass("The leaked secret (it is not shown): ", sys.stderr))
        except (KeyboardInterrupt, EOFError) as end:
            sys.stderr.write("\n")
            word = "interrupted" if isinstance(end, KeyboardInterrupt) else "no secret was given"
            raise CliError(f"{word}; nothing was deactivated.", code=ExitCode.INTERRUPTED) from None
    else:
        secret = SecretStr(sys.stdin.read(SECRET_MOST))
    key_id = api_keys_client.key_id_from_secret(_stripped(secret))
    if key_id is None:
        raise CliError(
            "no id can be read off that: it is no secret of an engine's key, or not all of one. Nothing was sent.",
            "Find the key in `api-keys list`, and deactivate it by its id.",
        )
    return key_id


def _stripped(secret: SecretStr) -> SecretStr:
    return type(secret)(secret.get_secret_value().strip())


def _show_named(output: Output, record: ApiKeyResponse) -> None:
    output.remark("The secret names this key. Anyone can write a secret that names any key: check that this is yours.")
    for name, value in fields_of(record):
        output.remark((f"{name:<13}", "dim"), value)


def show(records: Sequence[ApiKeyResponse]) -> None:
    """Shows on stderr what is asked about."""
    shown = console(sys.stderr)
    for line in listing(records, shown):
        shown.print(line, soft_wrap=not hasattr(line, "columns"))


def _show_all(output: Output, ids: Sequence[str], active: Sequence[ApiKeyResponse]) -> None:
    known = {record.id.lower(): record for record in active}
    found = [known[key_id] for key_id in ids if key_id in known]
    if found:
        show(found)
    for key_id in ids:
        if key_id not in known:
            output.remark((key_id, "bold cyan"), "  is not among the active keys")


def _show_only(output: Output, ids: Sequence[str], active: Sequence[ApiKeyResponse]) -> ExitCode:
    known = {record.id.lower(): record for record in active}
    others = [key_id for key_id in ids if key_id not in known]
    found = [known[key_id] for key_id in ids if key_id in known]
    show_keys(output, found, "would be deactivated", {"not_active": others})
    for key_id in others if not output.as_json else []:
        output.remark((key_id, "bold cyan"), "  is not among the active keys")
    return ExitCode.DONE


def ask(answers: TextIO, question: str) -> None:
    """Asks on stderr; a CliError says that the answer was not yes."""
    try:
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        # Again and again, because Python misses a Ctrl-C that comes right before a wait.
        while os.name == "posix" and not select([answers], [], [], 0.1)[0]:
            continue
        answer = answers.readline()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise CliError("interrupted; nothing was deactivated.", code=ExitCode.INTERRUPTED) from None
    if not answer:
        # After Ctrl-D the cursor is still behind the question.
        sys.stderr.write("\n")
    if answer.strip().lower() not in ("y", "yes"):
        raise CliError("nothing was deactivated.", code=ExitCode.INTERRUPTED)


def deactivate_all(output: Output, client: ApiKeysClient, ids: Sequence[str]) -> ExitCode:
    """Deactivates them with a bar on a terminal, and says what became of each."""
    outcomes: dict[str, Deactivation] = {}
    with _bar(output, len(ids)) as (advance, say), interruptible(say, client.close) as interruption:

        def done(outcome: Deactivation) -> None:
            outcomes[outcome.key_id] = outcome
            advance(outcome)
            interruption.raise_once()

        with suppress(KeyboardInterrupt):
            client.deactivate_many(ids, done)
    return _report(output, ids, outcomes, interruption)


def _report(
    output: Output, ids: Sequence[str], outcomes: Mapping[str, Deactivation], interruption: Interruption
) -> ExitCode:
    """Says what became of every id; the exit code."""
    results = [_result(key_id, outcomes.get(key_id), gave_up=interruption.gave_up) for key_id in ids]
    counts = Counter(result["state"] for result in results)
    output.answer(
        {"results": results, "counts": dict(counts)},
        [(result["id"], result["state"], result["error"] or "") for result in results],
        lambda _: (
            in_colour((result["id"], "bold cyan"), "  ", _coloured(result["state"]), f"  {result['error'] or ''}")
            for result in results
        ),
    )
    if counts:
        output.remark(", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items()) + ".")
    for next_step in dict.fromkeys(result["next_step"] for result in results if result["next_step"]):
        output.remark(next_step)
    if interruption.code is not None:
        output.complain("interrupted.")
        return interruption.code
    errors = [outcome.error for outcome in outcomes.values() if outcome.error is not None]
    return max((code_of(error) for error in errors), default=ExitCode.DONE)


def _result(key_id: str, outcome: Deactivation | None, *, gave_up: bool) -> Document:
    state, message, next_step, record = "not_begun", None, None, None
    error = outcome.error if outcome is not None else None
    if gave_up and error is not None and error.outcome == "unknown":
        state, message, next_step = "unknown", "given up; the key may be deactivated or still active", _GIVEN_UP
    # What found the client given up already was not begun.
    elif error is not None and not (gave_up and error.outcome == "not_sent"):
        message, next_step = cli_message(error)
        message = message.removeprefix(f"deactivate {key_id}: ")
        state = {"applied": "unconfirmed", "unknown": "unknown"}.get(error.outcome or "", "failed")
    elif outcome is not None and error is None:
        state, record = "deactivated", outcome.record and document_of(outcome.record)
    return {"id": key_id, "state": state, "error": message, "next_step": next_step, "record": record}


def _coloured(state: str) -> tuple[str, str]:
    return state.replace("_", " "), "green" if state == "deactivated" else "yellow" if state == "not_begun" else "red"


@contextmanager
def _bar(output: Output, total: int) -> Iterator[tuple[Done, Callable[[str], None]]]:
    """Gives a bar on stderr, if that is a terminal: a function told of each key, and one that says a line."""
    if total < 2 or not is_terminal(sys.stderr):
        yield lambda _: None, output.remark
        return
    # Late: only a terminal needs it.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("Deactivating"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]}"))
    failed = 0
    with Progress(*columns, console=console(sys.stderr)) as progress:
        task = progress.add_task("", total=total, failed="")

        def advance(outcome: Deactivation) -> None:
            nonlocal failed
            failed += outcome.error is not None
            progress.update(task, advance=1, failed=f"{failed} failed" if failed else "")

        # Above the bar, which stays.
        yield advance, lambda text: progress.console.print(in_colour(text), soft_wrap=True)

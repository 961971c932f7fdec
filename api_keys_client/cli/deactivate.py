"""`api-keys deactivate`: many keys, or the one that a leaked secret names; shown first, asked about, and counted."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from getpass import getpass
from typing import TYPE_CHECKING, TextIO

import click

import api_keys_client
from api_keys_client.cli.common import CommonOptions, command
from api_keys_client.cli.errors import CliError, ExitCode, cli_message, code_of
from api_keys_client.cli.files import read_secret
from api_keys_client.cli.output import (
    Document,
    answer,
    complain,
    console,
    document_of,
    fields_of,
    in_colour,
    is_terminal,
    listing,
    print_lines,
    remark,
    show_keys,
)
from api_keys_client.cli.signals import Interruption, interruptible

if TYPE_CHECKING:
    from api_keys_client import ApiKeyResponse, ApiKeysClient, Deactivation

# Stricter than uuid.UUID, for which a token of 32 hexadecimal digits is an id too.
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_GIVEN_UP = "To see what became of one that was given up: api-keys get ID"


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
            remark("There are no ids on stdin; nothing to do.")
            return _report(ids, {}, Interruption(), as_json=common.as_json)
        client = stack.enter_context(common.client())
        if leaked and not dry_run:
            record = client.get(ids[0])
            _show_named(record)
            if not record.is_active:
                remark("It is inactive already, so nothing was sent.")
                outcome = api_keys_client.Deactivation(record.id, record)
                return _report(ids, {ids[0]: outcome}, Interruption(), as_json=common.as_json)
        elif answers or dry_run:
            active = {record.id.lower(): record for record in client.list()}
            found = [active[key_id] for key_id in ids if key_id in active]
            others = [key_id for key_id in ids if key_id not in active]
            if dry_run:
                show_keys(found, "would be deactivated", {"not_active": others}, as_json=common.as_json)
            else:
                show(found)
            for key_id in [] if dry_run and common.as_json else others:
                remark((key_id, "bold cyan"), "  is not among the active keys")
        if dry_run:
            return ExitCode.DONE
        if answers:
            ask(answers, len(ids))
        return deactivate_all(client, ids, as_json=common.as_json)


def answers_from(stack: ExitStack, *, reads_stdin: bool) -> TextIO:
    """Gives where the answer to a question is read from: stdin, or the terminal itself if stdin holds the ids.

    Raises:
        CliError: there is no terminal.
    """
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
    for place, text in texts:
        if not _ID.fullmatch(text):
            # The text stays off the screen: it may be a secret.
            raise CliError(
                f"{place} is no id. Nothing was sent.", "If it is a leaked secret: api-keys deactivate --leaked"
            )
    return list(dict.fromkeys(text.lower() for _, text in texts))


def _leaked_id() -> str:
    # Late, as all that --help does not need.
    from pydantic import SecretStr

    if sys.stdin.isatty():
        try:
            secret = SecretStr(getpass("The leaked secret (it is not shown): ", sys.stderr).strip())
        except (KeyboardInterrupt, EOFError) as end:
            sys.stderr.write("\n")
            word = "interrupted" if isinstance(end, KeyboardInterrupt) else "no secret was given"
            raise CliError(f"{word}; nothing was deactivated.", code=ExitCode.INTERRUPTED) from None
    else:
        secret = read_secret(sys.stdin.buffer)
    key_id = api_keys_client.key_id_from_secret(secret)
    if key_id is None:
        raise CliError(
            "no id can be read off that: it is no secret of an engine's key, or not all of one. Nothing was sent.",
            "Find the key in `api-keys list`, and deactivate it by its id.",
        )
    return key_id


def _show_named(record: ApiKeyResponse) -> None:
    remark("The secret names this key. Anyone can write a secret that names any key: check that this is yours.")
    for name, value in fields_of(record):
        remark((f"{name:<13}", "dim"), value)


def show(records: Sequence[ApiKeyResponse]) -> None:
    """Shows on stderr the keys that a question is about, if there are any."""
    screen = console(sys.stderr)
    if records:
        print_lines(screen, listing(records, screen))


def ask(answers: TextIO, count: int) -> None:
    """Asks on stderr whether to go ahead.

    Raises:
        CliError: the answer is not yes.
    """
    question = "Deactivate it?" if count == 1 else f"Deactivate these {count}?"
    try:
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        said = answers.readline()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise CliError("interrupted; nothing was deactivated.", code=ExitCode.INTERRUPTED) from None
    if not said:
        # After Ctrl-D the cursor is still behind the question.
        sys.stderr.write("\n")
    if said.strip().lower() not in ("y", "yes"):
        raise CliError("nothing was deactivated.", code=ExitCode.INTERRUPTED)


def deactivate_all(client: ApiKeysClient, ids: Sequence[str], *, as_json: bool) -> ExitCode:
    """Deactivates keys with a bar on a terminal, and says what became of each."""
    outcomes: dict[str, Deactivation] = {}
    with _bar(len(ids)) as (advance, say), interruptible(say, client.close) as interruption:

        def done(outcome: Deactivation) -> None:
            outcomes[outcome.key_id] = outcome
            advance()
            interruption.raise_once()

        with suppress(KeyboardInterrupt):
            client.deactivate_many(ids, done)
    return _report(ids, outcomes, interruption, as_json=as_json)


def _report(
    ids: Sequence[str], outcomes: Mapping[str, Deactivation], interruption: Interruption, *, as_json: bool
) -> ExitCode:
    """Says what became of every id, and gives the exit code."""
    results = [_result(key_id, outcomes.get(key_id), gave_up=interruption.gave_up) for key_id in ids]
    counts = Counter(result["state"] for result in results)
    answer(
        {"results": results, "counts": dict(counts)},
        [(result["id"], result["state"], result["error"] or "") for result in results],
        lambda _: (
            in_colour((result["id"], "bold cyan"), "  ", _coloured(result["state"]), f"  {result['error'] or ''}")
            for result in results
        ),
        as_json=as_json,
    )
    if counts:
        remark(", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items()) + ".")
    for next_step in dict.fromkeys(result["next_step"] for result in results if result["next_step"]):
        remark(next_step)
    if interruption.code is not None:
        complain("interrupted.")
        return interruption.code
    return max((code_of(outcome.error) for outcome in outcomes.values() if outcome.error), default=ExitCode.DONE)


def _result(key_id: str, outcome: Deactivation | None, *, gave_up: bool) -> Document:
    """Gives what is told of one id; what a client that was given up did not send was not begun."""
    error = outcome.error if outcome else None
    message = next_step = record = None
    if outcome is None or (gave_up and error and error.outcome == "not_sent"):
        state = "not_begun"
    elif error is None:
        state, record = "deactivated", outcome.record and document_of(outcome.record)
    elif gave_up and error.outcome == "unknown":
        state, message, next_step = "unknown", "given up; the key may be deactivated or still active", _GIVEN_UP
    else:
        state = {"applied": "unconfirmed", "unknown": "unknown"}.get(error.outcome or "", "failed")
        message, next_step = cli_message(error)
        message = message.removeprefix(f"deactivate {key_id}: ")
    return {"id": key_id, "state": state, "error": message, "next_step": next_step, "record": record}


def _coloured(state: str) -> tuple[str, str]:
    return state.replace("_", " "), "green" if state == "deactivated" else "yellow" if state == "not_begun" else "red"


@contextmanager
def _bar(total: int) -> Iterator[tuple[Callable[[], None], Callable[[str], None]]]:
    """Shows a bar on a terminal; gives a function that moves it on by one, and one that says a line above it."""
    if total < 2 or not is_terminal(sys.stderr):
        yield lambda: None, remark
        return
    # Late: only a terminal needs it.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress

    with Progress("Deactivating", BarColumn(), MofNCompleteColumn(), console=console(sys.stderr)) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task), lambda text: progress.console.print(text, soft_wrap=True)

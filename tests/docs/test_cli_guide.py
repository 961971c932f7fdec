"""docs/guides/cli.md: its command lines work, its tables and documents are the program's, its pictures too."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from api_keys_client import ApiKeysClient, Role
from api_keys_client.cli.errors import ExitCode
from api_keys_client.sandbox import Sandbox
from tests.support.cli_runs import PROGRAM, UNKNOWN_ID, Ran, environment, made, terminal, within
from tests.support.pages import PROJECT, SPAN, Page

GUIDE = Page("docs/guides/cli.md")
IMAGES = GUIDE.path.parent / "images"
LOCAL = {"http://www.w3.org", "http://127.0.0.1"}
RECORD: list[str] = [*json.loads(next(code for language, code in GUIDE.blocks if language == "json"))]
"""The fields of a record."""
EXAMPLES = [code.strip() for language, code in GUIDE.blocks if language == "sh" and code.startswith("api-keys ")]


def first_word(row: list[str]) -> str:
    """The first word of the code in a row's first cell."""
    word: str = SPAN.findall(row[0])[0].split()[0]
    return word


@pytest.fixture
def secret(engine: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """That of the key that the examples name, in an empty folder."""
    with ApiKeysClient(engine.url, token=engine.token) as client:
        key = client.create("nightly evaluation", [Role.VALIDATION_USER])
        for _ in range(3):
            client.create("load test")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ID", key.id)
    monkeypatch.setenv("PATH", os.pathsep.join((str(PROGRAM.parent), os.environ["PATH"])))
    return key.key.get_secret_value()


def as_typed(sandbox: Sandbox, example: str, secret: str) -> Ran:
    """What an example does in a terminal, where its questions are answered."""
    # Ctrl-C is for the program: the shell that it was typed to lives on.
    with terminal(sandbox, "-e", "-c", f"trap : INT; {example}", program="/bin/sh") as run:
        if "--leaked" in example:
            run.until("(it is not shown): ")
            run.type(f"{secret}\n")
        if " deactivate " in f"{example} " and "--yes" not in example:
            run.until("[y/N] ")
            run.type("y\n")
        if example == "api-keys sandbox":
            run.until("Ready: ")
            run.type("\x03")
        return run.end()


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_works(engine: Sandbox, secret: str, example: str) -> None:
    run = as_typed(engine, example, secret)
    assert run.code == 0, run.plain
    assert secret not in run.out
    # Neither the program nor a command of an example leaves a secret that others can read.
    assert [file for file in Path.cwd().iterdir() if file.stat().st_mode & 0o077] == []


def test_commands_options_and_exit_codes_are_those_of_the_program() -> None:
    listed = re.findall(r"^  (\w+)  ", within(None, "--help").out.partition("Commands:")[2], re.MULTILINE)
    assert [first_word(row) for row in GUIDE.rows("| Command |", "Commands")] == listed
    used = {word for example in EXAMPLES for word in re.findall(r"api-keys ([a-z]+)", example)}
    assert used | {"version"} == {*listed}
    options = re.findall(r"^  (--[\w-]+(?: [A-Z]+)?)  ", within(None, "get", "--help").out, re.MULTILINE)
    assert GUIDE.first("| Option |") == options
    assert GUIDE.first("| Code |") == [str(int(code)) for code in ExitCode]


def documented(row: list[str]) -> list[str]:
    """The fields that a row on a document names, those of a record spelled out."""
    spelled = row[1].replace("those of the record", " ".join(f"`{name}`" for name in RECORD))
    return [name for name in SPAN.findall(spelled) if re.fullmatch("[a-z_]+", name) and name != "null"]


def fields(document: Any) -> list[str]:
    """Every field of a document, in their order, but for those inside of a record."""
    if isinstance(document, list):
        return fields(document[0]) if document else []
    if not isinstance(document, dict):
        return []
    return [
        field
        for name, value in document.items()
        for field in (name, *([] if isinstance(value, dict) and [*value] == RECORD else fields(value)))
    ]


def test_the_documents_are_those_of_the_program(engine: Sandbox, tmp_path: Path) -> None:
    key_id = made(engine, "nightly evaluation")
    runs: dict[str, list[str | Path]] = {
        "list": ["list"],
        "get": ["get", key_id],
        "create": ["create", "--show"],
        "deactivate": ["deactivate", "--yes", UNKNOWN_ID],
        "rotate": ["rotate", key_id, "--to-file", tmp_path / "secret"],
        "sweep": ["sweep", "--yes"],
        "config": ["config"],
        "doctor": ["doctor"],
        "version": ["version"],
    }
    documents = {name: within(engine, *arguments, "--json").document for name, arguments in runs.items()}
    assert [*documents["get"]] == [*documents["list"]["keys"][0]] == RECORD
    # Of the one, records are all there is; in the other, what counts is named.
    documents["list"]["keys"], documents["deactivate"]["counts"] = [], {}
    documents["config"]["settings"] = {}
    assert {name: fields(document) for name, document in documents.items()} == {
        first_word(row): documented(row) for row in GUIDE.rows("| Command |", "Documents")
    }
    # Each is seen in the tests of deactivate.
    states = ["deactivated", "unconfirmed", "failed", "unknown", "not_begun"]
    assert [first_word(row) for row in GUIDE.rows("| `state` |")] == states


def test_the_profiles_can_be_used(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(next(code for language, code in GUIDE.blocks if language == "toml"))
    (tmp_path / "authority.pem").write_text(trustme.CA().cert_pem.bytes().decode())
    document = within(None, "config", "--profile", "prod", "--json", API_KEYS_CONFIG=str(config)).document
    assert document["profiles"] == ["prod", "staging"]
    assert document["settings"]["timeout"] == {"value": "20 s", "source": "profile prod"}
    assert within(None, "config", "--profile", "staging", API_KEYS_CONFIG=str(config)).code == 0


def read(picture: Path) -> str:
    """The text of a picture, without what is another in each run."""
    without_styles = re.sub(r"<style>.*?</style>", "", picture.read_text("utf-8"), flags=re.DOTALL)
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", "", without_styles)).split())
    for varying in (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", r":\d{4,5}\b", r"\b\d+ ms"):
        text = re.sub(varying, "...", text)
    return text


@pytest.mark.slow
def test_the_pictures_are_what_the_program_writes_now(tmp_path: Path) -> None:
    command = [sys.executable, str(PROJECT / "scripts" / "pictures.py"), str(tmp_path)]
    subprocess.run(command, env=environment(), capture_output=True, timeout=60, check=True)
    shown = {image.name for image in IMAGES.glob("cli-*.svg")}
    assert shown == {image.name for image in tmp_path.iterdir()} == {*re.findall(r"\(images/([^)]+)\)", GUIDE.text)}
    for name in shown:
        assert read(tmp_path / name) == read(IMAGES / name), "run scripts/pictures.py"
        # A page that shows it loads nothing from elsewhere.
        assert {*re.findall(r"https?://[^/:\"]+", (IMAGES / name).read_text("utf-8"))} <= LOCAL
    assert "5/7" in read(IMAGES / "cli-deactivate.svg")

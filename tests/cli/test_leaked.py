"""`api-keys deactivate --leaked`: it asks for a secret, shows its key, and says the secret nowhere."""

from __future__ import annotations

from api_keys_client.sandbox import Sandbox
from tests.support.cli_runs import active, check_silent, made, piped, secret_of_new, terminal
from tests.support.clients import requests


def test_a_leaked_secret_is_asked_for_without_echo_and_its_key_shown_first(engine: Sandbox) -> None:
    key_id, secret = secret_of_new(engine, "the one that leaked")
    made(engine, "another")
    with terminal(engine, "deactivate", "--leaked") as run:
        run.until("(it is not shown): ")
        run.type(f"{secret}\n")
        shown = run.until("Deactivate it? [y/N] ")
        assert key_id in shown
        assert "the one that leaked" in shown
        assert "Anyone can write a secret that names any key: check that this is yours." in shown
        assert requests(engine)[-1] == "get"
        run.type("y\n")
        ended = run.end()
    assert ended.code == 0
    assert key_id not in active(engine)
    check_silent(ended, secret)


def test_a_leaked_secret_can_be_piped_in(engine: Sandbox) -> None:
    key_id, secret = secret_of_new(engine, "leaked")
    run = piped(engine, "deactivate", "--leaked", "--yes", "--json", given=f"  {secret}\n")
    assert run.code == 0
    assert run.document["results"][0]["record"]["id"] == key_id
    assert "description  leaked" in run.err
    assert active(engine) == []
    check_silent(run, secret)

    saw = len(engine.requests)
    again = piped(engine, "deactivate", "--leaked", "--yes", "--json", given=secret)
    assert (again.code, again.document["results"][0]["state"]) == (0, "deactivated")
    assert "It is inactive already" in again.err
    assert requests(engine)[saw:] == ["get"]


def test_an_interrupted_prompt_gives_the_terminal_its_echo_back(engine: Sandbox) -> None:
    with terminal(engine, "deactivate", "--leaked") as run:
        run.until("(it is not shown): ")
        run.type("\x03")
        ended = run.end()
    assert ended.code == 130
    assert ended.plain.splitlines()[-1] == "api-keys: interrupted; nothing was deactivated."
    assert engine.requests == []

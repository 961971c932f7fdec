"""Profiles of `api-keys`: URL and token from one source, nothing secret in the file, and `api-keys config`."""

from __future__ import annotations

import re
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from pytest_httpserver import HTTPServer

from api_keys_client.sandbox import Sandbox
from tests.support.certificates import presenting
from tests.support.cli_runs import check_refused, check_silent, made, within

Profiles = Callable[..., str]


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profiles:
    """Writes the file of profiles, which API_KEYS_CONFIG names from then on."""
    path = tmp_path / "config.toml"

    def write(text: str) -> str:
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    monkeypatch.setenv("API_KEYS_CONFIG", str(path))
    return write


@pytest.fixture
def prod(profiles: Profiles, tmp_path: Path) -> Iterator[Sandbox]:
    """An engine with the key "of prod", that the profile of this name leads to."""
    with Sandbox() as sandbox:
        made(sandbox, "of prod")
        (tmp_path / "prod.token").write_text(sandbox.token)
        (tmp_path / "prod.token").chmod(0o600)
        profiles(f'[profiles.prod]\nbase_url = "{sandbox.url}"\ntoken_file = "prod.token"')
        yield sandbox


def test_url_and_token_come_from_the_profile_and_never_from_the_environment(engine: Sandbox, prod: Sandbox) -> None:
    made(engine, "of staging")
    assert "of staging" in within(engine, "list").out
    assert "of prod" in within(engine, "list", "--profile", "prod").out
    assert "of prod" in within(engine, "list", API_KEYS_PROFILE="prod").out
    assert "of staging" in within(engine, "list", "--profile", "", API_KEYS_PROFILE="prod").out
    assert [request.method for request in engine.requests] == ["POST", "GET", "GET"]


def test_one_option_alone_does_not_send_one_engine_s_token_to_another(
    engine: Sandbox, prod: Sandbox, tmp_path: Path
) -> None:
    both = ["--base-url", engine.url, "--token-file", str(tmp_path / "staging.token")]
    (tmp_path / "staging.token").write_text(engine.token)
    (tmp_path / "staging.token").chmod(0o600)
    for alone in (both[:2], both[2:]):
        run = within(None, "list", *alone, API_KEYS_PROFILE="prod")
        check_refused(run, 2, "--base-url and --token-file go together")
    assert within(None, "list", *both, "--profile", "prod") == (0, "", "")
    assert (len(engine.requests), len(prod.requests)) == (1, 1)


def test_a_command_gives_the_token_and_what_it_says_is_masked(
    prod: Sandbox, profiles: Profiles, tmp_path: Path
) -> None:
    script = tmp_path / "vault.py"
    start = f'[profiles.prod]\nbase_url = "{prod.url}"\ntoken_command = ["{sys.executable}", "{script}"]'
    profiles(start)
    script.write_text(f"print({prod.token!r})")
    assert "of prod" in within(None, "list", "--profile", "prod").out
    script.write_text(f"import sys; print({prod.token!r}); sys.exit('no: ' + {prod.token!r})")
    run = within(None, "list", "--profile", "prod", "--debug")
    assert (run.code, run.out) == (2, "")
    assert "ended with 1" in run.err
    check_silent(run, prod.token)


def test_a_profile_says_the_authority_the_proxy_and_the_time_too(
    prod: Sandbox, profiles: Profiles, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    with HTTPServer(host="localhost", ssl_context=presenting(authority)) as server:
        server.expect_request(re.compile("/auth/")).respond_with_handler(prod.respond)
        profiles(
            f'[profiles.prod]\nbase_url = "{server.url_for("")}"\ntoken_file = "prod.token"\nca_file = "authority.pem"'
        )
        assert "of prod" in within(None, "list", "--profile", "prod", SSL_CERT_FILE=None).out
    profiles(
        '[profiles.prod]\nbase_url = "https://engine.test"\ntoken_file = "~/t"\n'
        'timeout = 0.5\nproxy = "http://127.0.0.1:1"'
    )
    shown = within(None, "config", "--profile", "prod", HOME=str(tmp_path), HTTPS_PROXY="http://other.test")
    assert f"token\t{tmp_path}/t\tprofile prod" in shown.out
    assert "proxy\thttp://127.0.0.1:1\tprofile prod" in shown.out
    assert "timeout\t0.5 s\tprofile prod" in shown.out


SECRET = b64encode(b"00000000-0000-4000-8000-000000000000:" + b"s" * 32).decode()
URL = 'base_url = "https://engine.test"\n'
REFUSED = [
    (f'{URL}token = "{SECRET}"', "holds token, which is no setting of one"),
    (f'{URL}token_command = ["echo", "{SECRET}"]', "has the secret of a key in token_command"),
    (f'{URL}token_file = "{SECRET}"', "has the secret of a key in token_file"),
    ('base_url = "https://ann:pa55word@engine.test"\ntoken_file = "t"', "has a user or a password in base_url"),
    (f'{URL}token_file = "t"\nproxy = "http://ann:pa55word@proxy.test"', "has a user or a password in proxy"),
    (f'{URL}token_command = "vault read"', "has a token_command that is no list of strings"),
    (f'{URL}token_command = ["vault", 1]', "A command is a list of strings"),
    (f'{URL}token_file = "t"\ntimeout = true', "has a timeout that is no number of seconds"),
    (f'{URL}token_file = "t"\ntimeout = "10"', "has a timeout that is no number of seconds"),
    (f'{URL}token_command = ["t"]\ntimeout = 0', "is a positive number of seconds"),
    ('token_file = "t"', "has no base_url"),
    (URL, "not at all or twice"),
    (f'{URL}token_file = "t"\ntoken_command = ["t"]', "not at all or twice"),
    (f"{URL}token = {SECRET}", "is no TOML"),
    ('[profiles]\nstaging = "x"', "has profiles that are no tables"),
]


@pytest.mark.parametrize(("lines", "words"), REFUSED)
def test_a_profile_that_holds_a_secret_or_cannot_be_used_is_refused(profiles: Profiles, lines: str, words: str) -> None:
    profiles(f"[profiles.prod]\n{lines}")
    run = within(None, "list", "--profile", "prod", "--debug", API_KEYS_TOKEN="a-token")
    assert (run.code, run.out) == (2, "")
    assert words in run.err
    assert "othing was sent" in run.err
    check_silent(run, "ann", "pa55word")


def test_a_file_that_others_can_write_or_replace_is_refused(prod: Sandbox, tmp_path: Path) -> None:
    for path, mode in ((tmp_path / "config.toml", 0o620), (tmp_path / "config.toml", 0o602), (tmp_path, 0o707)):
        before = path.stat().st_mode
        path.chmod(mode)
        check_refused(within(None, "list", "--profile", "prod"), 2, f"others can write to {path}")
        path.chmod(before)
    assert within(None, "list", "--profile", "prod").code == 0
    assert len(prod.requests) == 2


def test_a_profile_that_is_not_there_is_not_repeated(prod: Sandbox) -> None:
    check_refused(within(None, "list", "--profile", "p4ssw0rd"), 2, "no such profile", "config.toml has prod")
    check_refused(within(None, "list", "--profile", "prod", API_KEYS_CONFIG="/none"), 2, "/none has no profile")


def test_config_shows_what_counts_and_where_it_comes_from(engine: Sandbox, prod: Sandbox, tmp_path: Path) -> None:
    run = within(engine, "config", "--timeout", "7", SSL_CERT_FILE=None, SSL_CERT_DIR=None)
    assert [line.split("\t") for line in run.out.splitlines()] == [
        ["base_url", engine.url, "API_KEYS_BASE_URL"],
        ["token", "set", "API_KEYS_TOKEN"],
        ["ca_file", "the system's authorities", "default"],
        ["proxy", "none", "default"],
        ["timeout", "7 s", "--timeout"],
        ["file", str(tmp_path / "config.toml"), "API_KEYS_CONFIG"],
        ["profiles", "prod", "file"],
    ]
    document = within(engine, "config", "--json", API_KEYS_PROFILE="prod").document
    assert document["settings"]["profile"] == {"value": "prod", "source": "API_KEYS_PROFILE"}
    assert document["settings"]["base_url"] == {"value": prod.url, "source": "profile prod"}
    assert document["settings"]["token"] == {"value": str(tmp_path / "prod.token"), "source": "profile prod"}
    assert {*document} == {"settings", "file", "profiles"}
    proxied = within(None, "config", "--base-url", "https://e.test", HTTPS_PROXY="http://ann:pa55word@proxy.test")
    assert "proxy\thttp://proxy.test\tHTTPS_PROXY" in proxied.out
    mistaken = within(None, "config", "--token-file", SECRET)
    assert "token\ta file that is not there\t--token-file" in mistaken.out
    for each in (run, proxied, mistaken):
        check_silent(each, "ann", "pa55word", engine.token)
    assert (engine.requests, len(prod.requests)) == ([], 1)


def test_the_file_is_in_the_user_s_own_folder(tmp_path: Path) -> None:
    place = tmp_path / "api-keys" / "config.toml"
    run = within(None, "config", XDG_CONFIG_HOME=str(tmp_path), HOME=str(tmp_path))
    assert "profiles\tnone\tfile" in run.out
    if sys.platform == "linux":
        assert f"file\t{place}\tdefault" in run.out


def test_doctor_names_the_profile(prod: Sandbox, profiles: Profiles) -> None:
    checks = within(None, "doctor", "--profile", "prod", "--json").document["checks"]
    assert [check["found"] for check in checks[:2]] == ["prod, from --profile", prod.url]
    profiles(f'[profiles.prod]\nbase_url = "{prod.url}"\ntoken_command = ["false"]')
    run = within(None, "doctor", "--profile", "prod", "--json")
    states = {check["name"]: check["state"] for check in run.document["checks"]}
    assert (run.code, states["reachable"], states["token"]) == (2, "ok", "failed")
    run = within(None, "doctor", "--profile", "none", "--json")
    assert (run.code, run.document["checks"][0]["name"]) == (2, "settings")

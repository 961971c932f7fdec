"""docs/guides/recipes.md: each of its recipes runs as it stands, but for the addresses of examples."""

from __future__ import annotations

import json
import os
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from api_keys_client import ApiKeysClient, CreatedKey, Role, RotationError, stores
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.certificates import presenting
from tests.support.pages import Page
from tests.support.rotations import active
from tests.support.wire import RECORD, Server

EXAMPLES = Page("docs/guides/recipes.md").examples
JSON, PANDAS, AUTHORITY, MTLS, PROXY, ONCE, TENANTS, VERIFY, VAULTS = EXAMPLES

# The programs of the vaults, and the module that saves to a keyring. Each finds the secret where the real one does, by
# the arguments that it is given, and leaves in its folder that secret, its arguments and its environment.
PROGRAMS = {
    "vault": """
assert words[:-1] == ["kv", "put", "-mount=secret", "engine"]
field, _, value = words[-1].partition("=")
keep(sys.stdin.read() if value == "-" else value)
""",
    "aws": """
assert words[:4] == ["secretsmanager", "put-secret-value", "--secret-id", "engine"]
value = words[words.index("--secret-string") + 1]
keep(Path(value.removeprefix("file://")).read_text() if value.startswith("file://") else value)
""",
    "kubectl": """
if words[0] == "create":
    assert {"secret", "generic", "engine", "--dry-run=client"} < {*words}
    (place,) = [word.removeprefix("--from-file=key=") for word in words if word.startswith("--from-file=")]
    print(json.dumps({"kind": "Secret", "data": {"key": base64.b64encode(Path(place).read_bytes()).decode()}}))
else:
    assert words[0] == "apply" and words[words.index("-f") + 1] == "-"
    keep(base64.b64decode(json.load(sys.stdin)["data"]["key"]).decode())
""",
    "gh": """
assert words == ["secret", "set", "ENGINE_KEY", "--repo", "my-company/my-project"]
keep(sys.stdin.read())
""",
    "keyring.py": """
def set_password(service, name, password):
    keep(password)
""",
}
BEGIN = f"""#!{sys.executable} -IS
import base64, json, os, sys
from pathlib import Path

words = sys.argv[1:]
folder = Path(__file__).parent
with open(folder / "seen", "a") as seen:
    print(*sys.orig_argv, *map("=".join, os.environ.items()), sep="\\n", file=seen)

def keep(secret):
    (folder / "kept").write_text(secret)
"""


@pytest.fixture
def old(set_up: Sandbox) -> Iterator[CreatedKey]:
    with ApiKeysClient() as client:
        yield client.create("nightly evaluation", [Role.TASK_ADMIN, Role.VALIDATION_USER])


@pytest.fixture
def authority(set_up: Sandbox) -> trustme.CA:
    """Whom the file in the folder trusts."""
    made = trustme.CA()
    made.cert_pem.write_to_path("company-ca.pem")
    return made


def test_json(old: CreatedKey, run: Callable[[str], list[str]]) -> None:
    (record,) = json.loads("".join(run(EXAMPLES[JSON][0])))
    assert (record["id"], record["roles"]) == (old.id, old.roles)


def test_pandas(old: CreatedKey, run: Callable[[str], list[str]]) -> None:
    with ApiKeysClient() as client:
        client.create("another", [Role.TASK_ADMIN])
        counted = [line.split() for line in run(EXAMPLES[PANDAS][0])]
        assert [words for words in counted if "-" in words[0]] == [["TASK-ADMIN", "2"], ["VALIDATION-USER", "1"]]
        client.deactivate_many([key.id for key in client.list()])
    run(EXAMPLES[PANDAS][0])


def test_an_authority_of_your_own(
    authority: trustme.CA, run: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(tls=presenting(authority)) as server:
        monkeypatch.setenv("API_KEYS_BASE_URL", server.url)
        assert run(EXAMPLES[AUTHORITY][0]) == ["1"]


def test_mtls(authority: trustme.CA, run: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    ours = authority.issue_cert("client@example.com")
    ours.private_key_pem.write_to_path("client.key")
    ours.cert_chain_pems[0].write_to_path("client.pem")
    with Server(tls=presenting(authority, clients_of=authority)) as server:
        monkeypatch.setenv("API_KEYS_BASE_URL", server.url)
        assert run(EXAMPLES[MTLS][0]) == ["1"]
        assert server.failed_handshakes == []


def test_a_proxy_with_a_password(
    authority: trustme.CA, run: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEYS_BASE_URL", "https://engine.invalid")
    monkeypatch.setenv("SSL_CERT_FILE", "company-ca.pem")
    monkeypatch.setenv("PROXY_PASSWORD", "p@ss:w%rd/ü")
    with Server(tunnel=presenting(authority, "engine.invalid")) as proxy:
        assert run(EXAMPLES[PROXY][0].replace("proxy.example.com:3128", f"127.0.0.1:{proxy.port}")) == ["1"]
    tunnel, request = proxy.requests
    assert tunnel.headers["proxy-authorization"] == f"Basic {b64encode('user:p@ss:w%rd/ü'.encode()).decode()}"
    assert request.operation == "list"


def test_no_second_attempt(set_up: Sandbox, run: Callable[[str], list[str]]) -> None:
    set_up.queue(Fault.status(503))
    assert run(EXAMPLES[ONCE][0]) == ["1 True"]
    assert len(set_up.requests) == 1


def test_a_client_for_each_tenant(set_up: Sandbox, old: CreatedKey, run: Callable[[str], list[str]]) -> None:
    Path("tokens").mkdir()
    with Sandbox() as green:
        example = EXAMPLES[TENANTS][0]
        for name, sandbox in (("blue", set_up), ("green", green)):
            Path("tokens", name).write_text(sandbox.token)
            example = example.replace(f"https://{name}.example.com", sandbox.url)
        assert run(example) == ["blue 1", "green 0"]


def test_a_new_key_is_seen_to_be_good(set_up: Sandbox, old: CreatedKey, run: Callable[[str], list[str]]) -> None:
    assert run(EXAMPLES[VERIFY][0]) == []
    assert set_up.accepts(Path("engine-key").read_text())
    assert [request.path for request in set_up.requests].count("/users/me") == 1
    assert old.id not in active(set_up)


def test_a_key_that_is_not_good_is_seen_too(old: CreatedKey, set_up: Sandbox) -> None:
    names: dict[str, Callable[[CreatedKey], bool]] = {}
    with ApiKeysClient() as client:
        exec(EXAMPLES[VERIFY][0].partition("with ")[0], names)
        assert names["verify"](old)
        assert not names["verify"](old.model_copy(update={"id": RECORD["id"]}))
        client.deactivate(old.id)
    assert not names["verify"](old)


def stored(folder: Path, recipe: str, monkeypatch: pytest.MonkeyPatch) -> stores.Store:
    """The store of a recipe, and in a folder the programs that it may run."""
    for name, program in PROGRAMS.items():
        (folder / name).write_text(BEGIN + program)
        (folder / name).chmod(0o700)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    names: dict[str, stores.Store] = {}
    exec(recipe, names)
    return names["store"]


@pytest.mark.skipif(os.name != "posix", reason="the programs begin as scripts do")
@pytest.mark.parametrize("recipe", EXAMPLES[VAULTS], ids=["vault", "aws", "kubernetes", "github", "keyring"])
def test_a_vault_gets_the_secret_on_standard_input_only(
    set_up: Sandbox, old: CreatedKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    store = stored(tmp_path, recipe, monkeypatch)
    with ApiKeysClient() as client:
        rotation = client.rotate(old.id, store=store)
    secret = (tmp_path / "kept").read_text()
    assert set_up.accepts(secret)
    assert active(set_up) == {rotation.new.id}
    seen = (tmp_path / "seen").read_text()
    for hidden in (secret, b64encode(secret.encode()).decode(), set_up.token):
        assert hidden not in seen


@pytest.mark.skipif(os.name != "posix", reason="the programs begin as scripts do")
def test_a_pipe_that_fails_at_its_first_program_is_no_success(
    set_up: Sandbox, old: CreatedKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recipe,) = [recipe for recipe in EXAMPLES[VAULTS] if "kubectl" in recipe]
    monkeypatch.setitem(PROGRAMS, "kubectl", 'if words[0] == "create": sys.exit("no")\n' + PROGRAMS["kubectl"])
    store = stored(tmp_path, recipe, monkeypatch)
    with ApiKeysClient() as client, pytest.raises(RotationError) as failed:
        client.rotate(old.id, store=store)
    assert failed.value.stage == "store"
    assert active(set_up) == {old.id, failed.value.new_id}
    assert not (tmp_path / "kept").exists()

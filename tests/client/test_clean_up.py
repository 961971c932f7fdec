"""No key is left by a clean-up of the sync client that is interrupted, at any moment, in whatever way; or it is named.

Those of the async client are cancelled: see tests/aio/test_clean_up.py.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import pytest

from api_keys_client import ApiConnectionError, ApiKeysClient, CreatedKey
from api_keys_client.sandbox import Fault, Sandbox
from api_keys_client.sandbox.faults import Exchange
from tests.support.interrupts import until_waiting
from tests.support.rotations import Shelf, store


class Late(Exception):
    """What a time limit raises that is set by a signal."""


class Strike:
    """Interrupts the main thread as it waits: what the handler of a signal raises is raised wherever that is."""

    def __init__(self, number: signal.Signals) -> None:
        self._number = number
        self.kind = KeyboardInterrupt if number is signal.SIGINT else Late

    def handle(self, *_: object) -> NoReturn:
        raise self.kind

    def now(self) -> None:
        main = threading.main_thread()
        until_waiting(os.getpid(), main.native_id or 0)
        signal.pthread_kill(main.ident or 0, self._number)

    def at(self, sandbox: Sandbox, operation: Any, *, times: int = 3, then: Fault | None = None) -> None:
        """Strikes so many times as the sandbox meets this operation, before it answers."""

        def act(exchange: Exchange) -> Any:
            for _ in range(times):
                self.now()
                exchange.pause(0.02)
            return then.act(exchange) if then else exchange.answer()

        sandbox.queue(Fault("striking", act), operation=operation)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no thread can be interrupted here")
class TestSignals:
    @pytest.fixture(params=["SIGINT", "SIGALRM"])
    def strike(self, request: pytest.FixtureRequest) -> Iterator[Strike]:
        number = signal.Signals[request.param]
        strike = Strike(number)
        before = signal.signal(number, strike.handle)
        yield strike
        signal.signal(number, before)

    @pytest.mark.parametrize("operation", ["deactivate", "get"])
    def test_in_the_end_of_a_key(self, sandbox: Sandbox, client: ApiKeysClient, strike: Strike, operation: Any) -> None:
        strike.at(sandbox, operation)
        with pytest.raises(strike.kind), client.temporary_key("ci"):
            raise ZeroDivisionError
        assert [key.is_active for key in sandbox.keys()] == [False]
        assert sandbox.unmet == []

    @pytest.mark.parametrize("operation", ["list", "deactivate", "get"])
    def test_in_an_undo(self, sandbox: Sandbox, client: ApiKeysClient, strike: Strike, operation: Any) -> None:
        sandbox.queue(Fault.drop(committed=True), operation="create")
        strike.at(sandbox, operation)
        with pytest.raises(strike.kind) as caught, client.temporary_key("ci"):
            pytest.fail("there is no key to work with")
        (key,) = sandbox.keys()
        assert not key.is_active
        assert f"Key {key.id} was made and has been deactivated." in caught.value.__notes__[0]
        assert sandbox.unmet == []

    def test_in_a_creation(self, sandbox: Sandbox, client: ApiKeysClient, strike: Strike) -> None:
        def act(exchange: Exchange) -> Any:
            exchange.answer()
            strike.now()
            return Fault.silence().act(exchange)

        sandbox.queue(Fault("striking", act), operation="create")
        with pytest.raises(strike.kind) as caught, client.temporary_key("ci"):
            pytest.fail("there is no key to work with")
        (key,) = sandbox.keys()
        assert not key.is_active
        assert caught.value.__notes__ == [f"Key {key.id} was made and has been deactivated."]

    def test_in_the_undo_of_a_rotation(self, sandbox: Sandbox, client: ApiKeysClient, strike: Strike) -> None:
        old = client.create("ci")
        strike.at(sandbox, "deactivate")
        with pytest.raises(strike.kind) as caught:
            client.rotate(old.id, store=store, verify=strike.handle)
        assert f"Key {sandbox.keys()[-1].id} was made and has been deactivated." in caught.value.__notes__[0]

    def test_a_key_that_could_not_be_ended_is_named(
        self, sandbox: Sandbox, client: ApiKeysClient, strike: Strike
    ) -> None:
        strike.at(sandbox, "deactivate", times=1, then=Fault.status(403))
        with pytest.raises(strike.kind) as caught, client.temporary_key("ci") as created:
            pass
        assert created.id in caught.value.__notes__[0]


def test_the_clean_up_sees_the_callers_context(engine: Sandbox) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="none")
    seen: list[str] = []

    def token() -> str:
        seen.append(tenant.get())
        return engine.token

    with ApiKeysClient(engine.url, token=token) as client:
        tenant.set("mine")
        with client.temporary_key("ci"):
            pass
    assert seen == ["mine"] * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process can be forked here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("driver", ["sync", "async"])
class TestAForkedChild:
    @contextmanager
    def children_end_here(self) -> Iterator[Callable[[], None]]:
        """A function that forks a child, which leaves as by any exception and ends before it meets pytest."""
        made_by = os.getpid()

        def fork() -> None:
            child = os.fork()
            if child == 0:
                raise SystemExit
            os.waitpid(child, 0)

        try:
            yield fork
        finally:
            if os.getpid() != made_by:
                os._exit(0)

    def test_leaves_the_key_to_the_process_that_made_it(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        with self.children_end_here() as fork, client.temporary_key("ci") as created:
            fork()
            assert sandbox.accepts(created.key.get_secret_value())
        assert [key.is_active for key in sandbox.keys()] == [False]

    def test_does_not_undo_a_rotation(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        shelf = Shelf(client.create("ci"))

        def verify(new: CreatedKey) -> bool:
            fork()
            return sandbox.accepts(new.key.get_secret_value())

        with self.children_end_here() as fork:
            client.rotate(shelf.key_id, store=shelf, verify=verify)
        assert sandbox.accepts(shelf.secret)


class TestAClosedClient:
    @pytest.mark.parametrize("driver", ["sync", "async"])
    def test_still_ends_its_temporary_keys(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        with client.temporary_key("ci"):
            client.close()
        with pytest.raises(ApiConnectionError):
            client.list()
        assert [key.is_active for key in sandbox.keys()] == [False]

    def test_does_so_when_it_is_closed_in_the_clean_up(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        def act(exchange: Exchange) -> Any:
            client.close()
            return Fault.silence().act(exchange)

        sandbox.queue(Fault("closing", act), operation="deactivate")
        with client.temporary_key("ci"):
            pass
        assert [key.is_active for key in sandbox.keys()] == [False]

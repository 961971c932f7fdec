"""No key is left by a clean-up that is interrupted, at any moment, in whatever way; or it is named."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import anyio
import pytest

from api_keys_client import (
    ApiConnectionError,
    ApiKeysClient,
    ApiKeysError,
    AsyncApiKeysClient,
    CreatedKey,
    InvalidRequestError,
    OutcomeUnknownError,
    RotationError,
)
from api_keys_client._core.markers import parse_marker
from api_keys_client.sandbox import Fault, Sandbox
from api_keys_client.sandbox.faults import Exchange
from tests.support.clients import Connect, requests
from tests.support.interrupts import until_waiting
from tests.support.rotations import Shelf, connecting, made_by_hand, rotation_error, store
from tests.support.tasks import a_few_turns, run, soon, until
from tests.support.wire import Server, answer


class Late(Exception):
    """What a time limit raises that is set by a signal."""


class TestTheEndOfALoop:
    """asyncio.run cancels all tasks at its end, those of clean-ups too."""

    @pytest.mark.parametrize("closing", [True, False], ids=["closed first", "left open"])
    @pytest.mark.parametrize("fault", [None, Fault.status(503)], ids=["healthy", "503"])
    def test_jobs_that_leave_as_one_of_them_fails(self, engine: Sandbox, closing: bool, fault: Fault | None) -> None:
        async def job(client: AsyncApiKeysClient, number: int, ready: asyncio.Barrier) -> None:
            async with client.temporary_key(f"job {number}"):
                await ready.wait()
            if number == 0:
                raise ZeroDivisionError

        async def main() -> None:
            client = AsyncApiKeysClient(engine.url, token=engine.token)
            ready = asyncio.Barrier(40)
            try:
                if fault:
                    engine.queue(fault, operation="deactivate")
                await asyncio.gather(*(job(client, number, ready) for number in range(40)))
            finally:
                if closing:
                    await client.close()

        with pytest.raises(ZeroDivisionError):
            run(main())
        assert len(engine.keys()) == 40
        assert not any(key.is_active for key in engine.keys())

    @pytest.mark.parametrize("turns", range(0, 60, 6))
    def test_at_any_turn_of_the_end_of_a_key(self, engine: Sandbox, turns: int) -> None:
        async def leave(client: AsyncApiKeysClient) -> None:
            async with client.temporary_key("ci"):
                pass

        async def main() -> None:
            client = AsyncApiKeysClient(engine.url, token=engine.token)
            task = asyncio.ensure_future(leave(client))
            while len(engine.keys()) == 0:
                await asyncio.sleep(0)
            for _ in range(turns):
                await asyncio.sleep(0)
            task.add_done_callback(lambda _: None)

        run(main())
        assert [key.is_active for key in engine.keys()] == [False]

    def test_in_a_slow_undo(self, engine: Sandbox) -> None:
        listing, release = threading.Event(), threading.Event()
        engine.queue(Fault.drop(committed=True), operation="create")
        engine.queue(Fault.hold(listing, release), operation="list")

        async def make(client: AsyncApiKeysClient) -> None:
            async with client.temporary_key("ci"):
                pytest.fail("there is no key to work with")

        async def main() -> None:
            task = asyncio.ensure_future(make(AsyncApiKeysClient(engine.url, token=engine.token)))
            await until(listing)
            release.set()
            assert not task.done()

        run(main())
        assert [key.is_active for key in engine.keys()] == [False]

    def test_a_loop_that_is_closed_over_a_block_names_the_key(
        self, engine: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        loop = asyncio.new_event_loop()
        client = AsyncApiKeysClient(engine.url, token=engine.token)
        manager = client.temporary_key("ci")
        created = loop.run_until_complete(manager.__aenter__())
        loop.run_until_complete(client.close())
        ending = manager.__aexit__(None, None, None)
        loop.close()
        with pytest.raises(ApiConnectionError, match=f"Key {created.id} may still be active"):
            ending.send(None)

    def test_one_who_cancels_for_ever_is_not_waited_for(self, engine: Sandbox) -> None:
        async def main() -> None:
            client = AsyncApiKeysClient(engine.url, token=engine.token, deadline=0.2)
            async with client.with_options(deadline=30).temporary_key("ci") as created:
                stack = client.temporary_key("other")
                other = await stack.__aenter__()
            assert created.id != other.id
            leaving = asyncio.ensure_future(stack.__aexit__(None, None, None))
            await asyncio.sleep(0)
            while not leaving.done():
                for task in asyncio.all_tasks() - {asyncio.current_task()}:
                    task.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError) as caught:
                leaving.result()
            assert other.id in caught.value.__notes__[0]
            await client.close()

        run(main())


def test_repeated_cancellation_is_not_a_busy_wait(engine: Sandbox) -> None:
    """anyio cancels what waits in each turn of the loop; tasks of Starlette are cancelled like that."""
    arrived, release = threading.Event(), threading.Event()
    cancellations: list[int] = []

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            engine.queue(Fault.hold(arrived, release), operation="deactivate")

            async def leave() -> None:
                try:
                    async with client.temporary_key("ci"):
                        await anyio.sleep_forever()
                finally:
                    task = asyncio.current_task()
                    assert task
                    cancellations.append(task.cancelling())

            async with anyio.create_task_group() as group:
                group.start_soon(leave)
                await anyio.wait_all_tasks_blocked()
                while len(engine.keys()) == 0:
                    await anyio.sleep(0)
                await a_few_turns()
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await until(arrived)
                    await asyncio.sleep(0.1)
                    release.set()

    anyio.run(main, backend="asyncio")
    assert [key.is_active for key in engine.keys()] == [False]
    assert cancellations[0] < 10


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no thread can be interrupted here")
class TestSignals:
    """The sync client's: what the handler of a signal raises is raised in the main thread, wherever that is."""

    @pytest.fixture(params=["SIGINT", "SIGALRM"])
    def strike(self, request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
        number = signal.Signals[request.param]
        raised = {"SIGINT": KeyboardInterrupt, "SIGALRM": Late}[request.param]

        def handle(*_: object) -> NoReturn:
            raise raised

        before = signal.signal(number, handle)
        main = threading.main_thread()

        def strike() -> None:
            until_waiting(os.getpid(), main.native_id or 0)
            signal.pthread_kill(main.ident or 0, number)

        yield strike
        signal.signal(number, before)

    @pytest.mark.parametrize("operation", ["deactivate", "get"])
    def test_in_the_end_of_a_key(self, engine: Sandbox, strike: Callable[[], None], operation: Any) -> None:
        with struck(engine, strike, operation), ApiKeysClient(engine.url, token=engine.token) as client:
            with pytest.raises((KeyboardInterrupt, Late)), client.temporary_key("ci"):
                pass
        assert [key.is_active for key in engine.keys()] == [False]

    @pytest.mark.parametrize("operation", ["list", "deactivate", "get"])
    def test_in_an_undo_nothing_is_left_and_the_note_is_there(
        self, engine: Sandbox, strike: Callable[[], None], operation: Any
    ) -> None:
        engine.queue(Fault.drop(committed=True), operation="create")
        with struck(engine, strike, operation), ApiKeysClient(engine.url, token=engine.token) as client:
            with pytest.raises((KeyboardInterrupt, Late)) as caught, client.temporary_key("ci"):
                pytest.fail("there is no key to work with")
        (key,) = engine.keys()
        assert not key.is_active
        assert f"Key {key.id} was made and has been deactivated." in caught.value.__notes__[0]

    def test_a_key_that_could_not_be_ended_is_named(self, engine: Sandbox, strike: Callable[[], None]) -> None:
        def act(exchange: Exchange) -> Any:
            strike()
            return Fault.status(403).act(exchange)

        engine.queue(Fault("striking", act), operation="deactivate")
        with ApiKeysClient(engine.url, token=engine.token) as client:
            with pytest.raises((KeyboardInterrupt, Late)) as caught, client.temporary_key("ci") as created:
                pass
        assert created.id in caught.value.__notes__[0]


@contextmanager
def struck(sandbox: Sandbox, strike: Callable[[], None], operation: Any) -> Iterator[None]:
    """A sandbox whose next answer to this operation comes after three strikes."""

    def act(exchange: Exchange) -> Any:
        for _ in range(3):
            strike()
            exchange.pause(0.02)
        return exchange.answer()

    sandbox.queue(Fault("striking", act), operation=operation)
    yield
    assert sandbox.unmet == []


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


@pytest.mark.parametrize("stage", ["verify", "store"])
@pytest.mark.parametrize("driver", ["sync", "async"])
def test_a_second_interruption_keeps_what_the_undo_of_a_rotation_says(engine: Sandbox, driver: str, stage: str) -> None:
    """By cancellation in the async client; the sync one's signals are above."""
    if driver == "sync":
        strikes: list[None] = []

        def strike() -> None:
            until_waiting(os.getpid(), threading.main_thread().native_id or 0)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            strikes.append(None)

        def refuse(_: CreatedKey) -> NoReturn:
            raise KeyboardInterrupt

        with ApiKeysClient(engine.url, token=engine.token) as client:
            old = client.create("ci")
            with struck(engine, strike, "deactivate"), pytest.raises(KeyboardInterrupt) as caught:
                client.rotate(old.id, store=store, verify=refuse)
        new_id = engine.keys()[-1].id
        assert caught.value.__notes__ == [f"Key {new_id} was made and has been deactivated."]
        return

    arrived, release = threading.Event(), threading.Event()

    async def main() -> str:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            old = await client.create("ci")
            engine.queue(Fault.hold(arrived, release), operation="deactivate")

            async def wait(_: CreatedKey) -> None:
                await asyncio.Event().wait()

            task = asyncio.ensure_future(client.rotate(old.id, store=store, verify=wait))
            while len(engine.keys()) < 2:
                await asyncio.sleep(0)
            for _ in range(30):
                await asyncio.sleep(0.001)
            task.cancel()
            await until(arrived)
            for _ in range(2):
                task.cancel()
                await a_few_turns()
            release.set()
            with pytest.raises(asyncio.CancelledError) as caught:
                await soon(task)
            return str(caught.value.__notes__)

    told = run(main())
    assert f"Key {engine.keys()[-1].id} was made and has been deactivated." in told


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process can be forked here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
class TestAForkedChild:
    @pytest.mark.parametrize("driver", ["sync", "async"])
    def test_leaves_the_key_to_the_process_that_made_it(self, engine: Sandbox, connect: Connect) -> None:
        client = connect(engine.url, token=engine.token)
        made_by = os.getpid()
        try:
            with client.temporary_key("ci") as created:
                child = os.fork()
                if child == 0:
                    # Leaves the block as any exception does, and then goes before it meets pytest.
                    raise SystemExit
                os.waitpid(child, 0)
                assert engine.accepts(created.key.get_secret_value())
        finally:
            if os.getpid() != made_by:
                os._exit(0)
        assert [key.is_active for key in engine.keys()] == [False]

    @pytest.mark.parametrize("driver", ["sync", "async"])
    def test_does_not_undo_a_rotation(self, engine: Sandbox, connect: Connect) -> None:
        client = connect(engine.url, token=engine.token)
        shelf = Shelf(client.create("ci"))
        made_by = os.getpid()

        def verify(new: CreatedKey) -> bool:
            child = os.fork()
            if child == 0:
                raise SystemExit
            os.waitpid(child, 0)
            return engine.accepts(new.key.get_secret_value())

        try:
            client.rotate(shelf.key_id, store=shelf, verify=verify)
        finally:
            if os.getpid() != made_by:
                os._exit(0)
        assert engine.accepts(shelf.secret)


class TestAClosedClient:
    @pytest.mark.parametrize("driver", ["sync", "async"])
    def test_still_ends_its_temporary_keys(self, sandbox: Sandbox, driver: str) -> None:
        with connecting(driver, sandbox) as client:
            with client.temporary_key("ci"):
                client.close()
            with pytest.raises(ApiConnectionError):
                client.list()
        assert [key.is_active for key in sandbox.keys()] == [False]

    def test_does_so_when_it_is_closed_in_the_clean_up(self, engine: Sandbox) -> None:
        with ApiKeysClient(engine.url, token=engine.token) as client:

            def act(exchange: Exchange) -> Any:
                client.close()
                return Fault.silence().act(exchange)

            engine.queue(Fault("closing", act), operation="deactivate")
            with client.temporary_key("ci"):
                pass
        assert [key.is_active for key in engine.keys()] == [False]


def replay(record: dict[str, Any], *, bearing: bool = False) -> Fault:
    """A gateway on the way that answers a creation with another key, and passes nothing on."""

    def act(exchange: Exchange) -> Any:
        answered = Fault.status(200).act(exchange)
        body = {name: value for name, value in record.items() if value is not None}
        if bearing:
            body["description"] = json.loads(exchange._request.get_data())["description"]
        answered.set_data(json.dumps(body))
        return answered

    return Fault("replay", act)


def as_answered(key: CreatedKey, *, secret: bool) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(key.model_dump_json())
    record["key"] = key.key.get_secret_value() if secret else None
    return record


class TestAnAnswerThatNamesAnotherKey:
    @pytest.mark.parametrize(("secret", "bearing"), [(True, False), (False, True)])
    def test_ends_no_foreign_key_after_a_temporary_one(
        self, sandbox: Sandbox, client: ApiKeysClient, secret: bool, bearing: bool
    ) -> None:
        foreign = client.create("somebody else's")
        sandbox.queue(replay(as_answered(foreign, secret=secret), bearing=bearing), operation="create")
        with pytest.raises(ApiKeysError) as caught, client.temporary_key("ci"):
            pytest.fail("there is no key to work with")
        assert sandbox.accepts(foreign.key.get_secret_value())
        assert "has been deactivated" not in str(caught.value)
        assert "No such key was seen" in str(caught.value)
        if secret:
            assert isinstance(caught.value, OutcomeUnknownError)
            assert f"key {foreign.id}, which is not known to be the one" in caught.value.reason

    @pytest.mark.parametrize(("secret", "bearing"), [(True, True), (False, False)])
    def test_ends_no_old_key_in_a_rotation(
        self, sandbox: Sandbox, client: ApiKeysClient, secret: bool, bearing: bool
    ) -> None:
        shelf = Shelf(client.create("ci"))
        old = client.get(shelf.key_id)
        record = json.loads(old.model_dump_json()) | {"key": shelf.secret if secret else None}
        sandbox.queue(replay(record, bearing=bearing), operation="create")
        with pytest.raises(ApiKeysError, match="No such key was seen") as caught:
            client.rotate(shelf.key_id, store=shelf)
        assert sandbox.accepts(shelf.secret)
        assert "has been deactivated" not in str(caught.value)


def test_an_answer_without_a_description_is_looked_up(sandbox: Sandbox, client: ApiKeysClient) -> None:
    """The contract lets an answer leave it out."""

    def act(exchange: Exchange) -> Any:
        answered = exchange.answer()
        body = json.loads(answered.get_data())
        body.pop("description")
        answered.set_data(json.dumps(body))
        return answered

    sandbox.queue(Fault("without a description", act), operation="create")
    with client.temporary_key("ci") as created:
        assert sandbox.accepts(created.key.get_secret_value())
    assert requests(sandbox)[:3] == ["create", "get", "deactivate"]
    assert [key.is_active for key in sandbox.keys()] == [False]


class TestAForgedMark:
    def test_is_refused_in_a_description(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        victim = client.create("victim").id
        marked = f"mine (replaces {victim} #000000000000)"
        mine = client.create("mine").id
        before = len(sandbox.requests)
        calls: list[Callable[[], object]] = [
            lambda: client.create(marked),
            lambda: client.create("(temporary #0123456789ab)"),
            lambda: client.temporary_key(marked).__enter__(),
            lambda: client.rotate(mine, store=store, description=marked),
        ]
        for call in calls:
            with pytest.raises(InvalidRequestError, match="leave the marker out"):
                call()
        assert len(sandbox.requests) == before

    def test_ends_no_key_that_it_names(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        victim = client.create("victim")
        mine = made_by_hand(sandbox, f"mine (replaces {victim.id} #000000000000)")
        error = rotation_error(lambda: client.rotate(mine, store=store))
        assert (error.stage, error.leftovers) == ("leftovers", [victim.id])
        assert "may be wrong" in str(error)
        rotation = client.rotate(mine, store=store, leftovers="deactivate")
        assert rotation.left_active == [victim.id]
        assert sandbox.accepts(victim.key.get_secret_value())

    def test_ends_no_successor_of_the_key_that_it_names(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        victim = Shelf(client.create("victim"))
        named = victim.key_id
        client.rotate(named, store=victim)
        mine = made_by_hand(sandbox, f"mine (replaces {named} #000000000000)")
        assert client.rotate(mine, store=store, leftovers="deactivate").left_active == [victim.key_id]
        assert sandbox.accepts(victim.secret)

    def test_can_be_obeyed_by_one_who_knows(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        first = client.create("ci").id
        second = client.rotate(first, store=store, description="other words", keep_old=True).new.id
        rotation = client.rotate(second, store=store, leftovers=[first])
        assert rotation.left_active == []
        assert [key.id for key in sandbox.keys() if key.is_active] == [rotation.new.id]

    def test_only_leftovers_can_be_named(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        neighbour, old = client.create("neighbour").id, client.create("ci").id
        before = len(sandbox.requests)
        error = rotation_error(lambda: client.rotate(old, store=store, leftovers=[neighbour]))
        assert (error.stage, error.leftovers) == ("leftovers", [])
        assert neighbour in str(error)
        assert requests(sandbox)[before:] == ["list"]
        for wrong in (neighbour, "all", 7, [neighbour, "x"]):
            with pytest.raises(InvalidRequestError):
                client.rotate(old, store=store, leftovers=wrong)  # type: ignore[arg-type]

    def test_some_may_be_named_only_if_all_others_are_known_of(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old = client.create("ci").id
        left = [made_by_hand(sandbox, f"ci (replaces {old} #{number:012})") for number in range(2)]
        error = rotation_error(lambda: client.rotate(old, store=store, leftovers=left[:1]))
        assert set(error.leftovers) == set(left)
        assert all(parse_marker(key.description).nonce for key in sandbox.keys()[1:])


@pytest.mark.parametrize("verdict", [0, 1, 1.0, "", "yes", ()], ids=repr)
def test_only_none_and_true_pass_a_verification(sandbox: Sandbox, client: ApiKeysClient, verdict: object) -> None:
    shelf = Shelf(client.create("ci"))
    with pytest.raises(RotationError, match=f"verify returned a {type(verdict).__name__}") as caught:
        client.rotate(shelf.key_id, store=shelf, verify=lambda _: verdict)
    assert caught.value.stage == "verify"
    assert sandbox.accepts(shelf.secret)
    assert [key.is_active for key in sandbox.keys()] == [True, False]


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_a_303_to_a_creation_may_be_its_success(connect: Connect) -> None:
    with Server(answer(303, b"{}", "Location: /auth/api_keys/1")) as server:
        with pytest.raises(OutcomeUnknownError, match="A key may have been created"):
            connect(server.url, token="t").create("ci")

"""What `rotate` does: its requests, its arguments, its refusals, and the ways to go on after it."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, cast

import pytest
from conftest import Connect
from rotations import LIMIT_REACHED, Shelf, active, assert_hides, caught, connecting, settled, shown_by, told_by

from api_keys_client import (
    ApiKeysClient,
    AsyncApiKeysClient,
    ConfigurationError,
    CreatedKey,
    InvalidRequestError,
    KeyLimitReachedError,
    KeyNotFoundError,
    NotStored,
    Outcome,
    OutcomeUnknownError,
    Role,
    RotationError,
    ServerError,
)
from api_keys_client.faults import Dropped, Exchange
from api_keys_client.rotation import replacement_mark
from api_keys_client.sandbox import Fault, Operation, Sandbox

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
NONCE = "0123456789ab"


def requests(sandbox: Sandbox) -> list[str | None]:
    return [request.operation for request in sandbox.requests]


def store(_: CreatedKey) -> None:
    """Keeps nothing: for rotations whose new key nobody needs."""


def refuse(_: CreatedKey) -> None:
    raise NotStored("no")


def fail(_: CreatedKey) -> None:
    raise RuntimeError("no")


def rotation_error(call: Callable[[], object]) -> RotationError:
    with pytest.raises(RotationError) as caught_error:
        call()
    return caught_error.value


def left_over(client: ApiKeysClient, old_id: str) -> str:
    """A key as a rotation of this one leaves it that is cut off."""
    return client.create(replacement_mark("ci", old_id, NONCE)).id


def changed(change: Callable[[Any], object]) -> Fault:
    """The request takes effect, and its answer is changed."""

    def act(exchange: Exchange) -> Any:
        response = exchange.answer()
        body = json.loads(response.get_data())
        change(body)
        response.set_data(json.dumps(body))
        return response

    return Fault("changed", act)


class TestACleanRotation:
    def test_it_puts_a_new_key_in_place_of_the_old_one(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old = client.create("nightly 🔑 (ci)", ["TASK-ADMIN", "ORG-AUDITOR"])
        shelf = Shelf(old)
        before = len(sandbox.requests)
        rotation = client.rotate(old.id.upper(), store=shelf)
        assert requests(sandbox)[before:] in (["list", "create", "deactivate", "get"], ["list", "create", "deactivate"])
        assert (rotation.old.id, rotation.old.is_active, rotation.old.key) == (old.id, True, None)
        assert rotation.new.roles == ["TASK-ADMIN", "ORG-AUDITOR"]
        mark = rf"nightly 🔑 \(ci\) \(replaces {old.id} #[0-9a-f]{{12}}\)"
        assert re.fullmatch(mark, rotation.new.description or "")
        assert shelf.secret == rotation.new.key.get_secret_value()
        assert sandbox.accepts(shelf.secret)
        assert active(sandbox) == {rotation.new.id}
        assert [record.id for record in client.list("nightly 🔑 (ci)")] == [rotation.new.id]

    @pytest.mark.parametrize(("profile", "count"), [("engine", 4), ("spec", 3)])
    def test_its_requests_are_counted(self, driver: str, profile: Any, count: int) -> None:
        with Sandbox(profile=profile) as sandbox, connecting(driver, sandbox) as client:
            old = client.create("ci")
            client.rotate(old.id, store=store)
            assert len(sandbox.requests) == 1 + count

    def test_the_old_key_works_until_the_new_one_is_stored(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old = client.create("ci")
        steps: list[tuple[str, bool, bool]] = []

        def see(step: str, new: CreatedKey) -> None:
            secrets = (old.key.get_secret_value(), new.key.get_secret_value())
            steps.append((step, *map(sandbox.accepts, secrets)))  # type: ignore[arg-type]  # two booleans

        client.rotate(old.id, store=partial(see, "store"), verify=partial(see, "verify"))
        assert steps == [("verify", True, True), ("store", True, True)]
        assert not sandbox.accepts(old.key.get_secret_value())

    @pytest.mark.parametrize("description", [None, "", "ci", "a (temporary #xyz)", "x" * 500, "zwei\nZeilen"])
    def test_the_mark_of_a_replacement_is_replaced(
        self, sandbox: Sandbox, client: ApiKeysClient, description: str | None
    ) -> None:
        first = client.create(description)
        second = client.rotate(first.id, store=store).new
        third = client.rotate(second.id, store=store).new
        words = f"{description} " if description else ""
        assert re.fullmatch(re.escape(words) + rf"\(replaces {second.id} #\w{{12}}\)", third.description or "")
        # By it a creation that was cut off is found: no two may have the same.
        assert (second.description or "")[-14:] != (third.description or "")[-14:]
        assert active(sandbox) == {third.id}

    @pytest.mark.parametrize(
        ("arguments", "words", "roles"),
        [
            ({}, "ci ", ["TASK-ADMIN"]),
            ({"description": "other"}, "other ", ["TASK-ADMIN"]),
            ({"description": ""}, "", ["TASK-ADMIN"]),
            ({"description": f"other (temporary #{NONCE})"}, "other ", ["TASK-ADMIN"]),
            ({"roles": ["ORG-ADMIN", Role.ORG_AUDITOR]}, "ci ", ["ORG-ADMIN", "ORG-AUDITOR"]),
            ({"roles": {"ORG-ADMIN": 1}.keys()}, "ci ", ["ORG-ADMIN"]),
            ({"roles": []}, "ci ", []),
        ],
    )
    def test_words_and_roles_can_be_others(
        self, client: ApiKeysClient, arguments: dict[str, Any], words: str, roles: list[str]
    ) -> None:
        new = client.rotate(client.create("ci", ["TASK-ADMIN"]).id, store=store, **arguments).new
        assert (new.description or "").startswith(f"{words}(replaces ")
        assert (new.roles or []) == roles

    def test_a_key_without_roles_stays_without(self, client: ApiKeysClient) -> None:
        assert not client.rotate(client.create("ci", None).id, store=store).new.roles

    def test_a_temporary_key_can_be_rotated(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        with client.temporary_key("ci") as temporary:
            new = client.rotate(temporary.id, store=store).new
            assert (new.description or "").startswith("ci (replaces ")
        assert active(sandbox) == {new.id}

    def test_the_clients_own_functions_may_be_called_meanwhile(self, sandbox: Sandbox, driver: str) -> None:
        with connecting(driver, sandbox) as client, connecting(driver, sandbox) as other:
            # A loop that runs cannot be asked to run until something else is done.
            same = client if driver == "sync" else other
            neighbour = client.create("neighbour")
            old = client.create("ci")

            def verify(new: CreatedKey) -> bool:
                assert {record.id for record in same.list()} == {neighbour.id, old.id, new.id}
                return same.get(new.id).is_active

            def rotate_the_other(_: CreatedKey) -> None:
                same.rotate(neighbour.id, store=store)

            run_apart: Callable[[Callable[..., Any]], Callable[..., Any]] = (
                (lambda function: function) if driver == "sync" else in_a_thread
            )
            client.rotate(old.id, store=run_apart(rotate_the_other), verify=run_apart(verify))
            assert len(active(sandbox)) == 2
            assert not {neighbour.id, old.id} & active(sandbox)

    def test_an_async_function_may_call_its_own_client(self, sandbox: Sandbox) -> None:
        async def main() -> None:
            async with AsyncApiKeysClient(sandbox.url, token=sandbox.token) as client:
                old, neighbour = await client.create("ci"), await client.create("neighbour")

                async def verify(new: CreatedKey) -> bool:
                    return (await client.get(new.id)).is_active

                async def rotate_the_other(_: CreatedKey) -> None:
                    await client.rotate(neighbour.id, store=store)

                await client.rotate(old.id, store=rotate_the_other, verify=verify)

        asyncio.run(main())
        assert len(active(sandbox)) == 2

    def test_many_threads_rotate_with_one_client(self, sandbox: Sandbox) -> None:
        with ApiKeysClient(sandbox.url, token=sandbox.token) as client:
            shelves = [Shelf(client.create(f"key {number}")) for number in range(12)]
            threads = [
                threading.Thread(
                    target=partial(client.rotate, shelf.key_id, store=shelf, verify=lambda _: client.list())
                )
                for shelf in shelves
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert all(sandbox.accepts(shelf.secret) for shelf in shelves)
        assert active(sandbox) == {shelf.key_id for shelf in shelves}

    def test_nothing_shows_a_secret(
        self, sandbox: Sandbox, client: ApiKeysClient, caplog: pytest.LogCaptureFixture, capfd: Any
    ) -> None:
        caplog.set_level(logging.DEBUG)
        shelf = Shelf(client.create("ci"))
        old_secret = shelf.secret
        rotation = client.rotate(shelf.key_id, store=shelf)
        shown = [("the result", f"{rotation} {rotation!r} {vars(rotation)}"), ("the terminal", str(capfd.readouterr()))]
        shown += [("the log", f"{record.getMessage()} {record.__dict__}") for record in caplog.records]
        assert any(record.name == "api_keys_client" for record in caplog.records)
        assert_hides(iter(shown), sandbox.token, old_secret, shelf.secret)


def in_a_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    async def run(new: CreatedKey) -> Any:
        return await asyncio.to_thread(function, new)

    return run


async def later(_: CreatedKey) -> Any:
    yield


UNDONE: dict[str, Callable[[CreatedKey], Any]] = {
    "a generator": lambda _: (item for item in [1]),
    "an async generator": later,
    "a future": lambda _: Future[None](),
}


@pytest.mark.parametrize("work", UNDONE.values(), ids=UNDONE)
@pytest.mark.parametrize("place", ["store", "verify"])
def test_work_that_nobody_does_counts_for_nothing(
    sandbox: Sandbox, client: ApiKeysClient, place: str, work: Callable[[CreatedKey], Any]
) -> None:
    old_id = client.create("ci").id

    def give(new: CreatedKey) -> Any:
        return work(new)

    verify = give if place == "verify" else None
    error = rotation_error(lambda: client.rotate(old_id, store=give if place == "store" else store, verify=verify))
    assert isinstance(error.__cause__, TypeError)
    assert client.get(old_id).is_active


def test_a_generator_function_is_refused_before_anything_is_sent(sandbox: Sandbox, client: ApiKeysClient) -> None:
    def generator(_: CreatedKey) -> Any:
        yield

    for function in (generator, later, partial(generator)):
        with pytest.raises(InvalidRequestError, match="this one is a generator"):
            client.rotate(UNKNOWN_ID, store=function)
    assert sandbox.requests == []


class TestRefusals:
    @pytest.mark.parametrize(
        "arguments",
        [
            {"store": None},
            {"store": "/run/secrets/engine"},
            {"verify": "yes"},
            {"leftovers": "end"},
            {"leftovers": None},
            {"leftovers": ["keep"]},
            {"roles": ["ADMIN"]},
            {"roles": "TASK-ADMIN"},
            {"description": 7},
            {"description": "a\0b"},
            {"key_id": "x"},
            {"key_id": None},
        ],
        ids=repr,
    )
    def test_an_argument_is_refused_before_anything_is_sent(
        self, sandbox: Sandbox, client: ApiKeysClient, arguments: dict[str, Any]
    ) -> None:
        with pytest.raises(InvalidRequestError) as refusal:
            client.rotate(**{"key_id": UNKNOWN_ID, "store": store, **arguments})
        assert refusal.value.outcome is Outcome.NOT_SENT
        assert sandbox.requests == []

    @pytest.mark.parametrize("argument", ["store", "verify"])
    def test_the_sync_client_refuses_an_async_function(self, sandbox: Sandbox, argument: str) -> None:
        class Async:
            async def __call__(self, _: CreatedKey) -> None:
                raise NotImplementedError

            async def method(self, _: CreatedKey) -> None:
                raise NotImplementedError

        async def function(_: CreatedKey, *__: object) -> None:
            raise NotImplementedError

        with ApiKeysClient(sandbox.url, token=sandbox.token) as client:
            for use in (
                function,
                partial(function),
                Async(),
                Async().method,
                partial(Async().method),
                partial(Async()),
            ):
                with pytest.raises(InvalidRequestError, match="async"):
                    functions: dict[str, Any] = {"store": store, argument: use}
                    client.rotate(UNKNOWN_ID, **functions)
        assert sandbox.requests == []

    def test_the_sync_client_finds_a_coroutine_when_it_gets_one(self, sandbox: Sandbox) -> None:
        async def function(_: CreatedKey) -> None:
            raise NotImplementedError

        def plain(new: CreatedKey) -> object:
            return function(new)

        with ApiKeysClient(sandbox.url, token=sandbox.token) as client:
            old = client.create("ci")
            error = rotation_error(lambda: client.rotate(old.id, store=store, verify=plain))
            assert error.stage == "verify"
            assert active(sandbox) == {old.id}
            error = rotation_error(lambda: client.rotate(old.id, store=plain))
            assert error.stage == "store"
            assert old.id in active(sandbox)
            assert active(sandbox) <= {old.id, error.new_id}

    def test_the_async_client_takes_both_kinds(self, sandbox: Sandbox) -> None:
        stored: list[str] = []

        class Async:
            async def __call__(self, new: CreatedKey) -> None:
                await asyncio.sleep(0)
                stored.append(new.id)

        async def function(new: CreatedKey) -> None:
            await Async()(new)

        def plain(new: CreatedKey) -> object:
            return function(new)

        with connecting("async", sandbox) as client:
            old_id = client.create("ci").id
            for use in (function, partial(function), Async(), plain, lambda new: stored.append(new.id)):
                old_id = client.rotate(old_id, store=cast("Any", use)).new.id
                assert stored[-1] == old_id
        assert len(stored) == 5
        assert active(sandbox) == {old_id}

    def test_an_inactive_key(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old_id = client.create("ci").id
        client.deactivate(old_id)
        error = rotation_error(lambda: client.rotate(old_id, store=store))
        assert f"Key {old_id} cannot be rotated: it is inactive. Nothing was changed." in str(error)
        assert (error.stage, error.old_id, error.new_id, error.leftovers) == ("list", old_id, None, [])
        assert error.outcome is Outcome.NOT_SENT
        assert len(sandbox.keys()) == 1

    def test_a_key_that_was_rotated_names_the_one_that_replaced_it(
        self, sandbox: Sandbox, client: ApiKeysClient
    ) -> None:
        old_id = client.create("ci").id
        new_id = client.rotate(old_id, store=store).new.id
        error = rotation_error(lambda: client.rotate(old_id, store=store))
        assert f"it is inactive, and earlier rotations of it left {new_id} active" in str(error)
        assert error.leftovers == [new_id]
        assert active(sandbox) == {new_id}

    def test_an_unknown_key(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        with pytest.raises(KeyNotFoundError) as missing:
            client.rotate(UNKNOWN_ID, store=store)
        assert missing.value.key_id == UNKNOWN_ID
        assert requests(sandbox) == ["list", "get"]

    def test_a_key_that_the_list_leaves_out(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old_id = client.create("ci").id
        sandbox.queue(changed(lambda records: records.clear()), operation="list")
        error = rotation_error(lambda: client.rotate(old_id, store=store))
        assert "the list of active keys does not have it" in str(error)
        assert active(sandbox) == {old_id}

    def test_roles_that_no_key_can_be_created_with(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old_id = client.create("ci", ["TASK-ADMIN"]).id
        odd = changed(lambda records: records[0].update(roles=["TASK-ADMIN", "LATER-ROLE"]))
        sandbox.queue(odd, operation="list", times=2)
        before = len(sandbox.requests)
        error = rotation_error(lambda: client.rotate(old_id, store=store))
        assert "no key can be created with its role 'LATER-ROLE'. Nothing was changed." in str(error)
        assert "roles=" in error.next_step
        assert requests(sandbox)[before:] == ["list"]
        assert client.rotate(old_id, store=store, roles=["TASK-ADMIN"]).new.roles == ["TASK-ADMIN"]

    def test_the_key_limit(self, driver: str) -> None:
        with Sandbox(limit=1) as sandbox, connecting(driver, sandbox) as client:
            shelf = Shelf(client.create("ci"))
            with pytest.raises(KeyLimitReachedError, match=LIMIT_REACHED) as refusal:
                client.rotate(shelf.key_id, store=shelf)
            assert refusal.value.outcome is Outcome.REJECTED
            assert requests(sandbox) == ["create", "list", "create"]
            assert sandbox.accepts(shelf.secret)

    def test_the_servers_list_is_read_with_care(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old = client.create("ci")
        inactive_id = left_over(client, old.id)
        client.deactivate(inactive_id)

        inactive = json.loads(client.get(inactive_id).model_dump_json(exclude_none=True))

        def change(records: list[dict[str, Any]]) -> None:
            for record in records:
                record["id"] = record["id"].upper()
            records.append(inactive)

        sandbox.queue(changed(change), operation="list")
        new = client.rotate(old.id, store=store).new
        assert (new.description or "").startswith(f"ci (replaces {old.id} #")
        assert active(sandbox) == {new.id}


class TestLeftovers:
    def test_they_are_named_and_nothing_is_done(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old_id = client.create("ci").id
        left = {left_over(client, old_id), left_over(client, old_id)}
        client.create("neighbour")
        before = len(sandbox.requests)
        error = rotation_error(lambda: client.rotate(old_id, store=store))
        assert (error.stage, error.old_id, error.new_id) == ("leftovers", old_id, None)
        assert set(error.leftovers) == left
        assert all(key_id in str(error) for key_id in left)
        assert "Nothing was changed" in str(error)
        assert error.outcome is Outcome.NOT_SENT
        assert requests(sandbox)[before:] == ["list"]

    def test_they_are_kept(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old_id = client.create("ci").id
        left = left_over(client, old_id)
        new_id = client.rotate(old_id, store=store, leftovers="keep").new.id
        assert active(sandbox) == {left, new_id}
        assert rotation_error(lambda: client.rotate(new_id, store=store)).leftovers == [left]

    def test_they_end_with_the_old_key_but_not_before_the_new_one_is_stored(
        self, sandbox: Sandbox, client: ApiKeysClient
    ) -> None:
        old_id = client.create("ci").id
        left = {left_over(client, old_id), left_over(client, old_id)}
        neighbour = client.create("neighbour").id
        seen: list[set[str]] = []

        def look(_: CreatedKey) -> None:
            seen.append(active(sandbox))

        new_id = client.rotate(old_id, store=look, verify=look, leftovers="deactivate").new.id
        assert seen == [{old_id, *left, neighbour, new_id}] * 2
        assert active(sandbox) == {new_id, neighbour}

    @pytest.mark.parametrize("use", [refuse, fail])
    def test_none_ends_when_nothing_is_stored_for_sure(
        self, sandbox: Sandbox, client: ApiKeysClient, use: Callable[[CreatedKey], None]
    ) -> None:
        old_id = client.create("ci").id
        left = left_over(client, old_id)
        rotation_error(lambda: client.rotate(old_id, store=use, leftovers="deactivate"))
        assert {old_id, left} <= active(sandbox)

    def test_the_one_in_use_may_be_the_replacement(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        first = client.create("ci").id
        second = client.rotate(first, store=store, keep_old=True).new.id
        assert rotation_error(lambda: client.rotate(first, store=store)).leftovers == [second]
        assert rotation_error(lambda: client.rotate(second, store=store)).leftovers == [first]
        third = client.rotate(second, store=store, leftovers="deactivate").new.id
        assert active(sandbox) == {third}

    def test_a_commit_of_the_rotation_before_that_came_late_is_one(
        self, sandbox: Sandbox, client: ApiKeysClient
    ) -> None:
        first = client.create("ci").id
        second = client.rotate(first, store=store).new.id
        late = left_over(client, first)
        assert rotation_error(lambda: client.rotate(second, store=store)).leftovers == [late]
        third = client.rotate(second, store=store, leftovers="deactivate").new.id
        assert active(sandbox) == {third}

    def test_one_that_cannot_be_ended_is_named(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old_id = client.create("ci").id
        left = left_over(client, old_id)
        sandbox.queue(Fault("healthy", lambda exchange: exchange.answer()), operation="deactivate")
        sandbox.queue(Fault.status(403, "no"), operation="deactivate")
        error = rotation_error(lambda: client.rotate(old_id, store=store, leftovers="deactivate"))
        assert error.stage == "deactivate"
        assert error.leftovers == [left]
        assert f"{left}: deactivate {left}: the server answered 403 Forbidden: no. No key was changed." in str(error)
        assert active(sandbox) == {left, error.new_id}


class TestKeepOld:
    def test_both_work_until_it_is_finished(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        shelf = Shelf(client.create("ci"))
        old_id, old_secret = shelf.key_id, shelf.secret
        rotation = client.rotate(old_id, store=shelf, keep_old=True)
        assert requests(sandbox) == ["create", "list", "create"]
        assert sandbox.accepts(old_secret)
        assert sandbox.accepts(shelf.secret)
        settled(client, rotation.finish)
        assert active(sandbox) == {rotation.new.id}
        done = len(sandbox.requests)
        settled(client, rotation.finish)
        assert len(sandbox.requests) == done

    def test_without_it_there_is_nothing_to_finish(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        rotation = client.rotate(client.create("ci").id, store=store)
        done = len(sandbox.requests)
        settled(client, rotation.finish)
        assert len(sandbox.requests) == done

    def test_finishing_goes_on_where_it_failed(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old_id = client.create("ci").id
        left = left_over(client, old_id)
        rotation = client.rotate(old_id, store=store, keep_old=True, leftovers="deactivate")
        assert {old_id, left} <= active(sandbox)
        sandbox.queue(Fault.status(403), operation="deactivate")
        error = rotation_error(lambda: settled(client, rotation.finish))
        assert error.leftovers == [old_id]
        assert (error.stage, error.new_id, error.outcome) == ("deactivate", rotation.new.id, Outcome.APPLIED)
        assert active(sandbox) == {old_id, rotation.new.id}
        done = len(sandbox.requests)
        settled(client, rotation.finish)
        assert active(sandbox) == {rotation.new.id}
        assert requests(sandbox)[done:].count("deactivate") == 1


class TestUndo:
    def test_the_caller_knows_that_nothing_was_stored(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old_id = client.create("ci").id
        error = rotation_error(lambda: client.rotate(old_id, store=fail))
        assert active(sandbox) == {old_id, error.new_id}
        settled(client, error.undo)
        assert active(sandbox) == {old_id}
        client.rotate(old_id, store=store)

    def test_an_undo_that_fails_raises_and_can_be_called_again(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old_id = client.create("ci").id
        error = rotation_error(lambda: client.rotate(old_id, store=fail))
        sandbox.queue(Fault.status(500), operation="deactivate", times=3)
        with pytest.raises(ServerError) as failure:
            settled(client, error.undo)
        assert failure.value.key_id == error.new_id
        assert failure.value.outcome is Outcome.UNKNOWN
        settled(client, error.undo)
        assert active(sandbox) == {old_id}

    def test_other_errors_have_nothing_to_undo(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old_id = client.create("ci").id
        for error in (
            rotation_error(lambda: client.rotate(old_id, store=refuse)),
            rotation_error(lambda: client.rotate(old_id, store=store, verify=fail)),
            pickle.loads(pickle.dumps(rotation_error(lambda: client.rotate(old_id, store=fail)))),
        ):
            before = len(sandbox.requests)
            with pytest.raises(RuntimeError, match="nothing to undo"):
                error.undo()
            assert len(sandbox.requests) == before

    def test_an_error_comes_out_of_a_pickle_as_it_was(self, client: ApiKeysClient) -> None:
        old_id = client.create("ci").id
        error = rotation_error(lambda: client.rotate(old_id, store=fail))
        again = pickle.loads(pickle.dumps(error))
        assert str(again) == str(error)
        assert vars(again) == {**vars(error), "_undo": None}

    def test_a_cause_is_kept_and_its_words_are_not_repeated(self, client: ApiKeysClient) -> None:
        def leak(new: CreatedKey) -> None:
            raise RuntimeError(new.key.get_secret_value())

        old_id = client.create("ci").id
        error = rotation_error(lambda: client.rotate(old_id, store=leak))
        assert isinstance(error.__cause__, RuntimeError)
        assert str(error.__cause__) not in f"{error} {error!r} {vars(error)} {pickle.dumps(error)!r}"

    def test_a_store_that_says_no_shows_nothing(self, client: ApiKeysClient) -> None:
        kept: list[str] = []

        def keep_and_refuse(new: CreatedKey) -> None:
            kept.append(new.key.get_secret_value())
            del new
            raise NotStored("no")

        old_id = client.create("ci").id
        error = rotation_error(lambda: client.rotate(old_id, store=keep_and_refuse))
        assert_hides(shown_by(error), *kept)


class Tokens:
    """A token's source that runs dry: after so many requests it has none, or fails."""

    def __init__(self, token: str, good: int, then: Callable[[], str]) -> None:
        self._token = token
        self.good = good
        self._then = then

    def __call__(self) -> str:
        self.good -= 1
        return self._token if self.good >= 0 else self._then()


class TestATokenThatRunsDry:
    @pytest.mark.parametrize("good", range(4))
    def test_the_error_names_what_is_active(self, engine: Sandbox, connect: Connect, good: int) -> None:
        shelf = Shelf(connect(engine.url, token=engine.token).create("ci"))
        old_id = shelf.key_id
        client = connect(engine.url, token=Tokens(engine.token, good, str))
        error = caught(lambda: client.rotate(old_id, store=shelf))
        assert isinstance(error, ConfigurationError if good < 2 else RotationError)
        assert engine.accepts(shelf.secret)
        assert all(key_id in told_by(error) for key_id in active(engine) - {shelf.key_id})
        assert "is empty" in str(error)
        assert requests(engine) == ["create", "list", "create", "deactivate"][: good + 1]

    def test_what_could_not_be_undone_is_named(self, engine: Sandbox, connect: Connect) -> None:
        old_id = connect(engine.url, token=engine.token).create("ci").id
        client = connect(engine.url, token=Tokens(engine.token, 2, str))
        error = rotation_error(lambda: client.rotate(old_id, store=refuse))
        (new_id,) = active(engine) - {old_id}
        assert f"Key {new_id} was made and could not be deactivated" in str(error)
        assert error.leftovers == [new_id]

    def test_it_is_not_said_that_nothing_was_sent_when_something_was(self, engine: Sandbox, connect: Connect) -> None:
        key_id = connect(engine.url, token=engine.token).create("ci").id
        client = connect(engine.url, token=Tokens(engine.token, 1, str))
        engine.queue(Fault.drop(committed=True), operation="deactivate")
        with pytest.raises(ConfigurationError) as failure:
            client.deactivate(key_id)
        assert failure.value.outcome is Outcome.UNKNOWN
        assert "Nothing was sent" not in str(failure.value)


def test_the_deadline_leaves_the_undo_its_time(sandbox: Sandbox, connect: Connect) -> None:
    client = connect(sandbox.url, token=sandbox.token, deadline=0.3)
    old_id = client.create("ci").id
    looked = threading.Event()

    def commit_once_it_was_looked_for(exchange: Exchange) -> Any:
        def commit() -> None:
            looked.wait()
            exchange.answer()

        threading.Thread(target=commit).start()
        raise Dropped

    def look(exchange: Exchange) -> Any:
        response = exchange.answer()
        looked.set()
        return response

    healthy = Fault("healthy", lambda exchange: exchange.answer())
    faults: list[tuple[Operation, Fault]] = [
        ("list", healthy),
        ("create", Fault("late", commit_once_it_was_looked_for)),
        ("list", Fault("look", look)),
    ]
    for operation, fault in faults:
        sandbox.queue(fault, operation=operation)
    with pytest.raises(OutcomeUnknownError, match="has been deactivated"):
        client.rotate(old_id, store=store)
    assert len(sandbox.keys()) == 2
    assert active(sandbox) == {old_id}

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from api_keys_client import (
    ApiConnectionError,
    ApiKeysError,
    ApiTimeoutError,
    ConfigurationError,
    InvalidRequestError,
    Outcome,
    OutcomeUnknownError,
    RateLimitedError,
    RotationError,
    ServerError,
    errors,
)

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ApiKeysError)]


@pytest.mark.parametrize("kind", ALL)
def test_errors_come_back_whole(kind: type[ApiKeysError]) -> None:
    error = kind(
        "It failed.", status=500, detail="why", attempts=2, elapsed=1.5, retryable=True, outcome=Outcome.UNKNOWN
    )
    assert str(error) == f"It failed. {kind.next_step}".rstrip()
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_what_single_errors_add_comes_back_too() -> None:
    assert pickle.loads(pickle.dumps(RateLimitedError("Slow.", retry_after=7.0))).retry_after == 7.0
    assert pickle.loads(pickle.dumps(OutcomeUnknownError("Lost.", reason="reset"))).reason == "reset"
    assert pickle.loads(pickle.dumps(ApiConnectionError("Lost.", kind="dns"))).kind == "dns"
    assert ApiConnectionError("Lost.").kind == "other"


def test_an_attribute_that_it_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="ServerError has no attribute retry_after"):
        ServerError("Down.", retry_after=7.0)


def test_a_rotation_error_comes_back_without_its_undo() -> None:
    error = RotationError(
        "Stopped.", stage="store", old_id="one", new_id="two", leftovers=["three"], undo=lambda: "undone", detail="why"
    )
    assert error.undo() == "undone"
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (again.stage, again.old_id, again.new_id, again.leftovers) == ("store", "one", "two", ["three"])
        assert again.detail == "why"
        with pytest.raises(RuntimeError, match="nothing to undo"):
            again.undo()


def test_a_next_step_of_its_own_takes_the_place_of_the_kinds() -> None:
    error = RateLimitedError("Slow.", next_step="Call tomorrow.")
    assert error.next_step == "Call tomorrow."
    assert str(error) == "Slow. Call tomorrow."


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = {line.split("── ")[1].split()[0] for line in (errors.__doc__ or "").splitlines() if "── " in line}
    assert drawn == {kind.__name__ for kind in ALL} - {"ApiKeysError"}


def test_every_error_has_a_next_step() -> None:
    for kind in ALL:
        assert kind.next_step or kind.__name__ in ("ApiKeysError", "ConfigurationError")


def test_some_errors_are_caught_as_others() -> None:
    assert issubclass(ApiTimeoutError, ApiConnectionError)
    assert {kind for kind in ALL if issubclass(kind, ValueError)} == {ConfigurationError, InvalidRequestError}

"""What an error says, and what of a server's words it repeats, on the pure function that judges."""

from __future__ import annotations

import base64

import pytest

from api_keys_client import Outcome, UnexpectedResponseError
from api_keys_client._core.policy import never_ended
from tests.support.judging import ALL, BROKEN, CLOSED, CREATE, KEY_ID, NOT_SENT, READS, answer, failed


def test_the_detail_is_bounded_printable_and_without_the_token() -> None:
    came = answer(400, {"detail": "token-1 \x1b[31m" + "x" * 5000})
    came.token = "token-1"
    error = failed(READS["get"], came)
    assert error.detail
    assert error.detail.startswith("[token]  [31mxxx")
    assert error.detail.endswith("xxx…")
    assert len(error.detail) == 1000
    assert "token-1" not in str(error)
    assert failed(READS["get"], answer(400, {"detail": "x" * 1000})).detail == "x" * 1000


@pytest.mark.parametrize("rest", [b"ab", b"abc", b"abcd", b"a longer secret"])
@pytest.mark.parametrize("before", ["", "k", "ke", "key", "keys"])
def test_a_secret_in_the_detail_is_masked_whatever_it_is_glued_to(before: str, rest: bytes) -> None:
    secret = base64.b64encode(KEY_ID.encode() + b":" + rest).decode()
    assert failed(READS["get"], answer(400, {"detail": f"no {before}{secret} here"})).detail == "no [secret] here"
    shouted = base64.b64encode(KEY_ID.upper().encode() + b":" + rest).decode()
    assert failed(READS["get"], answer(400, {"detail": f"no {before}{shouted} here"})).detail == "no [secret] here"


def test_what_only_looks_like_a_secret_in_the_detail_stays() -> None:
    alone = base64.b64encode(f"{KEY_ID} and more".encode()).decode()
    assert failed(READS["get"], answer(400, {"detail": alone})).detail == alone
    words = "no key XXXX-XXXX " + base64.b64encode(b"this is long enough to be a secret, but it is none").decode()
    assert failed(READS["get"], answer(400, {"detail": words})).detail == words


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"loc": ["X-Team", 0], "msg": "Too long: "}, "X-Team.0: Too long"),
        ({"msg": "Too long"}, "Too long"),
        ({"loc": "body", "msg": "Too long"}, "Too long"),
        ({"loc": ["body"]}, "body"),
    ],
)
def test_faults_are_told_as_far_as_they_are_there(fault: object, told: str) -> None:
    assert failed(CREATE, answer(422, {"detail": [fault, 7, {"loc": [], "msg": "no"}]})).detail == f"{told}; no"


def test_no_more_than_ten_faults_are_told() -> None:
    detail = failed(CREATE, answer(422, {"detail": [{"msg": f"fault {number}"} for number in range(11)]})).detail
    assert detail
    assert detail.split("; ") == [f"fault {number}" for number in range(10)]


def test_both_shapes_of_an_error_body_are_read() -> None:
    faults = [{"loc": ["body", "roles", 0], "msg": "Input should be a role", "type": "enum", "input": "s3cret"}]
    error = failed(CREATE, answer(422, {"detail": faults}))
    assert error.detail == "body.roles.0: Input should be a role"
    assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    "body",
    [b"<html>proxy</html>", b"\xff\xfe", b"[" * 5000, b"[7]", b"null", b'{"detail": 7}', b'{"detail": [7]}'],
)
def test_a_body_of_another_shape_has_no_detail(body: bytes) -> None:
    assert failed(READS["get"], answer(400, body)).detail is None


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, b"", "get {}: the server answered 404 Not Found. "),
        (404, {"detail": "Not Found"}, "get {}: the server answered 404 Not Found. "),
        (404, {"detail": "No such key"}, "get {}: the server answered 404 Not Found: No such key. "),
        (499, b"", "get {}: the server answered 499. "),
        (499, {"detail": "gone"}, "get {}: the server answered 499: gone. "),
    ],
)
def test_a_refusal_is_told_by_its_status_and_the_servers_words(status: int, body: object, told: str) -> None:
    assert str(failed(READS["get"], answer(status, body))).startswith(told.format(KEY_ID))


def test_a_proxy_that_wants_a_password_is_told_from_a_server() -> None:
    error = failed(READS["get"], answer(407))
    assert type(error) is UnexpectedResponseError
    assert "proxy" in error.next_step


def test_the_attempts_are_told_where_there_were_more_than_one() -> None:
    assert "after" not in str(failed(READS["list"], CLOSED))
    error = failed(READS["list"], answer(429, retry_after="61"), attempt=2, elapsed=4.51)
    assert error.elapsed == 4.51
    told = "list: the server answered 429 Too Many Requests (after 2 attempts in 4.5 s)."
    assert str(error) == f"{told} {error.next_step}"


def test_what_was_changed_is_told_where_something_could_be() -> None:
    unchanged = "No key was changed."
    for call in (CREATE, ALL["deactivate"]):
        assert unchanged in str(failed(call, NOT_SENT, attempt=3))
        assert unchanged in str(failed(call, answer(403)))
    for call in READS.values():
        assert unchanged not in str(failed(call, answer(403)))
    assert unchanged not in str(failed(CREATE, BROKEN))


def test_a_place_is_told_where_it_could_not_be_reached() -> None:
    place = "(http://localhost)"
    assert f"the connection was refused {place} (after 3 attempts" in str(failed(READS["list"], NOT_SENT, attempt=3))
    assert place not in str(failed(READS["list"], CLOSED))
    assert place not in str(failed(READS["list"], BROKEN, attempt=3))


def test_a_key_that_nothing_could_end_any_more_is_told() -> None:
    error = never_ended(KEY_ID)
    told = f"Key {KEY_ID} may still be active: its program or event loop ended before it could be deactivated."
    assert (error.args, error.key_id, error.outcome) == ((told,), KEY_ID, Outcome.UNKNOWN)
    assert error.next_step == "Deactivate it."

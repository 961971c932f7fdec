"""What the sandbox takes for its token, and what it refuses."""

from __future__ import annotations

import pytest

from api_keys_client.sandbox import Sandbox
from tests.support.calling import KEYS, Caller, one_of_each


class TestAuthentication:
    @pytest.mark.parametrize(
        ("headers", "detail"),
        [
            ({}, "Requires authentication"),
            ({"Authorization": ""}, "Requires authentication"),
            ({"Authorization": "Bearer"}, "Bad credentials"),
            ({"Authorization": "Basic abc"}, "Bad credentials"),
            ({"Authorization": "Bearer a b"}, "Bad credentials"),
            ({"Authorization": "Bearer wrong"}, "Unauthorized"),
        ],
    )
    def test_what_is_refused(self, engine: Sandbox, caller: Caller, headers: dict[str, str], detail: str) -> None:
        answers = one_of_each(caller, headers=headers)
        assert [(answer.status, answer.detail) for answer in answers] == [(401, detail)] * 4
        assert engine.keys() == []

    def test_refuses_a_minted_key_even_an_org_admin(self, caller: Caller) -> None:
        secret = caller.create(roles=["ORG-ADMIN"])["key"]
        answers = one_of_each(caller, headers={"Authorization": f"Bearer {secret}"})
        assert [answer.status for answer in answers] == [401] * 4

    @pytest.mark.parametrize("cookie", ["ACCESS_TOKEN=wrong", 'ACCESS_TOKEN="Bearer wrong"'])
    def test_lets_a_cookie_win_over_a_good_header(self, caller: Caller, cookie: str) -> None:
        answers = one_of_each(caller, headers={**caller.headers, "Cookie": cookie})
        assert [answer.status for answer in answers] == [401] * 4

    def test_takes_a_good_cookie_and_leaves_other_cookies_alone(self, engine: Sandbox, caller: Caller) -> None:
        good = {"Cookie": f'ACCESS_TOKEN="Bearer {engine.token}"'}
        assert caller.call("GET", KEYS, headers=good).status == 200
        assert caller.call("GET", KEYS, headers={**caller.headers, "Cookie": "other=1"}).status == 200

    def test_of_a_wrong_token_comes_after_a_bad_role(self, caller: Caller) -> None:
        headers = {"Authorization": "Bearer wrong"}
        assert caller.call("POST", KEYS, {"roles": ["EMPEROR"]}, headers=headers).status == 400

    def test_takes_the_scheme_in_any_case(self, engine: Sandbox, caller: Caller) -> None:
        headers = {"Authorization": f"bEARER {engine.token}"}
        assert caller.call("GET", KEYS, headers=headers).status == 200

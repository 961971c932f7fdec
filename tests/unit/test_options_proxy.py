"""Where a client has its proxy from, and when there is none; a wrong one is refused."""

from __future__ import annotations

import os
from collections import UserDict
from collections.abc import Iterator
from typing import Any
from urllib.request import getproxies

import pytest

from api_keys_client import ApiKeysClient
from tests.support.options import checked, refusal


@pytest.mark.parametrize(
    "proxy", ["s3cret", "socks5://user:s3cret@proxy", "http://user:s3cret@", "http://user:s3cret@pro xy", 7]
)
def test_a_bad_proxy_is_refused(monkeypatch: pytest.MonkeyPatch, proxy: Any) -> None:
    assert "The proxy from proxy= is no URL" in str(refusal("https://example.com", proxy=proxy))
    if isinstance(proxy, str) and "://" in proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        assert "The proxy from HTTPS_PROXY or ALL_PROXY" in str(refusal("https://example.com"))
        assert checked("https://example.com", proxy="").proxy is None


def test_a_proxy_in_the_environment_may_come_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "us:s3cret@proxy.example:3128")
    proxy = checked("https://example.com").proxy
    assert proxy
    assert proxy.url == "http://proxy.example:3128"
    assert proxy.headers


@pytest.mark.parametrize(
    ("proxy", "url", "authorization"),
    [
        ("http://proxy:3128", "http://proxy:3128", None),
        ("https://proxy/path?query", "https://proxy", None),
        ("http://us%20er:p%40ss@proxy", "http://proxy", "Basic dXMgZXI6cEBzcw=="),
    ],
)
def test_a_proxy_is_its_url_and_a_header(proxy: str, url: str, authorization: str | None) -> None:
    found = checked(proxy=proxy).proxy
    assert found
    assert found.url == url
    assert found.headers.get("Proxy-Authorization") == authorization
    assert "us" not in repr(found.headers)


def test_a_proxy_comes_from_the_argument_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    def url(**options: Any) -> str | None:
        proxy = checked(**options).proxy
        return proxy.url if proxy else None

    assert url() is None
    monkeypatch.setenv("HTTP_PROXY", "http://for-http")
    assert url() is None
    assert url(base_url="http://example.com", allow_http=True) == "http://for-http"
    monkeypatch.setenv("ALL_PROXY", "http://for-all")
    assert url() == "http://for-all"
    monkeypatch.setenv("HTTPS_PROXY", "http://for-https")
    assert url() == "http://for-https"
    assert url(proxy="http://argument") == "http://argument"
    assert url(proxy="") is None
    monkeypatch.setenv("NO_PROXY", "example.com:8443")
    assert url() == "http://for-https"
    assert url(base_url="https://example.com:8443") is None
    assert url(base_url="https://example.com:8443", proxy="http://argument") == "http://argument"
    monkeypatch.setenv("NO_PROXY", "example.com")
    assert url() is None


@pytest.mark.parametrize(
    ("exceptions", "host", "excepted"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("example.org, 10.1.2.3/8 ,x", "10.9.9.9:8443", True),
        ("fd00::/8", "[fd00::1]", True),
        ("fd00::/8", "[fe00::1]:8443", False),
        ("fd00::1", "[fd00::1]:8443", True),
        ("[fd00::1]", "[FD00:0::1]", True),
        ("fd00::/8", "10.1.2.3", False),
        ("10.0.0.0/8", "example.com", False),
        ("10.0.0.0/99, nonsense/8", "10.1.2.3", False),
    ],
)
def test_no_proxy_takes_addresses_and_blocks(
    monkeypatch: pytest.MonkeyPatch, exceptions: str, host: str, excepted: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert (checked(f"https://{host}").proxy is None) is excepted


def test_loopback_has_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert checked(f"https://{host}", proxy="http://proxy").proxy is None
        assert checked(f"https://{host}").proxy is None


class Changing(UserDict[str, str]):
    """An environment that loses each name, to another thread, between being gone through and being asked."""

    def __iter__(self) -> Iterator[str]:
        yield "GONE_PROXY"


def test_for_loopback_the_environment_is_not_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", Changing())
    with pytest.raises(KeyError):
        getproxies()
    ApiKeysClient("http://127.0.0.1:1", token="token").close()

"""A plugin for proxy.py, by which every name, and so one that nothing else can resolve, leads to loopback."""

from __future__ import annotations

from proxy.http.proxy import HttpProxyBasePlugin


class Everywhere(HttpProxyBasePlugin):
    def resolve_dns(self, host: str, port: int) -> tuple[str, None]:
        return "127.0.0.1", None

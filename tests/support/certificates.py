"""TLS contexts for servers and clients, with certificates that are made on the spot."""

from __future__ import annotations

import ssl
from datetime import datetime

import trustme

HERE = ("127.0.0.1", "localhost")


def presenting(
    authority: trustme.CA, *hosts: str, not_after: datetime | None = None, clients_of: trustme.CA | None = None
) -> ssl.SSLContext:
    """A server's context: its certificate, and whose clients it lets in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(hosts or HERE), not_after=not_after).configure_cert(context)
    if clients_of:
        clients_of.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def trusting(authority: trustme.CA, client_of: trustme.CA | None = None) -> ssl.SSLContext:
    """A client's context: whom it trusts, and who says that it is a client."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if client_of:
        client_of.issue_cert("client@example.com").configure_cert(context)
    return context

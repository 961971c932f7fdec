"""The sandbox's server: Werkzeug's, on HTTP/1.1 with connections that stay open, quiet, and ended at once."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final, cast
from urllib.parse import quote
from wsgiref.types import WSGIApplication, WSGIEnvironment

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.test import run_wsgi_app

_POLL: Final = 0.01
_PATIENCE: Final = 0.5
_INVALID: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
    b"Content-Length: 30\r\n\r\nInvalid HTTP request received."
)


class LoopbackServer(ThreadedWSGIServer):
    """Listens from its making on; an OSError says that the address cannot be had."""

    def __init__(self, host: str, port: int, application: WSGIApplication, now: Callable[[], datetime]) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # If Werkzeug's server binds by itself, it prints a failure and exits.
        with socket.create_server((host, port), family=family, backlog=128) as listener:
            super().__init__(host, port, application, _Handler, fd=listener.fileno())
        self.url = f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
        self.now = now
        self._open: dict[threading.Thread, socket.socket] = {}
        self._accepting = threading.Thread(target=self.serve_forever, args=(_POLL,), daemon=True)
        self._accepting.start()

    def stop(self) -> None:
        """Accepts nothing more, lets answers under way go out, and ends every connection and thread."""
        self.shutdown()
        self._accepting.join()
        for how, patience in ((socket.SHUT_RD, _PATIENCE), (socket.SHUT_RDWR, None)):
            remaining = list(self._open.items())
            for _, connection in remaining:
                with suppress(OSError):
                    connection.shutdown(how)
            for thread, _ in remaining:
                thread.join(patience)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answers a connection's requests in a thread that `stop` can find."""
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self._open[thread] = request
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Does the thread's work."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            del self._open[threading.current_thread()]

    def shutdown_request(self, request: Any) -> None:
        """Closes without a shutdown, which would make an orderly end of the reset of a dropped connection."""
        self.close_request(request)


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: Any) -> None:
        """Prints nothing: the terminal belongs to whoever runs the tests."""

    def make_environ(self) -> WSGIEnvironment:
        """Reads the request as the engine does, where Werkzeug would join headers, or tidy up the path."""
        environ = super().make_environ()
        for name, variable in (("Authorization", "HTTP_AUTHORIZATION"), ("Content-Type", "CONTENT_TYPE")):
            if variable in environ:
                environ[variable] = self.headers[name]
        target = self.requestline.split()[1]
        if not re.match("/(?!/|%2f)", target, re.IGNORECASE):
            # Quoted as a whole it matches no operation.
            environ["PATH_INFO"] = quote(target, safe="")
        return environ

    def run_wsgi(self) -> None:
        """Answers one request, and leaves the connection open, which Werkzeug's own method never does."""
        lengths = {*self.headers.get_all("Content-Length", [])}
        nameless = self.request_version == "HTTP/1.1" and "Host" not in self.headers
        # The parser's defects are lines without a colon.
        malformed = nameless or self.headers.defects or len(lengths) > 1
        if malformed or not all(re.fullmatch("[0-9]{1,18}", length) for length in lengths):
            # As the engine's server does: nobody knows where this request ends and the next one begins.
            self.close_connection = True
            self.wfile.write(_INVALID)
            return
        body, status, headers = run_wsgi_app(self.server.app, self.make_environ())
        bodiless = self.command == "HEAD" or status[:3] in ("204", "304")
        old = self.request_version == "HTTP/1.0"
        chunked = not (bodiless or old or "Content-Length" in headers)
        self.close_connection |= old or headers.get("Connection") == "close"
        headers["Date"] = format_datetime(cast("LoopbackServer", self.server).now().astimezone(UTC), usegmt=True)
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        if self.close_connection:
            headers["Connection"] = "close"
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        # Written at once, so that it leaves in few packets.
        unsent = f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1")
        try:
            for data in body:
                unsent += b"%x\r\n%b\r\n" % (len(data), data) if chunked and data else data
            unsent += b"0\r\n\r\n" if chunked else b""
        finally:
            self.wfile.write(unsent)

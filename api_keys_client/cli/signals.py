"""Ctrl-C and SIGTERM while keys are being ended: the first stops what has not begun, the second gives up the rest."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from api_keys_client.cli.errors import ExitCode

STOPPING = "Stopping: waiting for those under way; Ctrl-C again gives them up."

_CODES: dict[int, ExitCode] = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class Interruption:
    """Whether there was an interruption."""

    code: ExitCode | None = None
    """The exit code that it stands for; None without one."""
    gave_up = False
    """Whether a second one came, which gave up what was under way."""
    _raised = False

    def raise_once(self) -> None:
        """Raises the interruption where no outcome is lost: a signal can come between a deactivation and its note.

        Raises:
            KeyboardInterrupt: there was one, and it was not raised before.
        """
        if self.code is not None and not self._raised:
            self._raised = True
            raise KeyboardInterrupt


@contextmanager
def interruptible(say: Callable[[str], None], give_up: Callable[[], None]) -> Iterator[Interruption]:
    """Notes the first signal, and lets the second one give up.

    Args:
        say: tells the user what happens now; called in another thread.
        give_up: ends what is under way; called in another thread.
    """
    seen = Interruption()
    # A signal that is ignored, as in the background of some shells, stays ignored.
    handled = [number for number in _CODES if signal.getsignal(number) is not signal.SIG_IGN]
    reading, writing = socket.socketpair()
    writing.setblocking(False)

    def watch() -> None:
        # A Python handler runs in the main thread only, which may be waiting for an answer just then.
        while number := reading.recv(1):
            if number[0] not in handled:
                continue
            if seen.code is None:
                seen.code = _CODES[number[0]]
                say(STOPPING)
            elif not seen.gave_up:
                seen.gave_up = True
                give_up()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    before = [signal.signal(number, lambda *_: None) for number in handled]
    try:
        yield seen
    finally:
        for number, handler in zip(handled, before, strict=True):
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        writing.close()
        watching.join()
        reading.close()

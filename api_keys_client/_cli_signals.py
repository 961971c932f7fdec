"""Ctrl-C and SIGTERM while keys are being ended: the first stops what has not begun, the second gives up the rest."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from api_keys_client._cli_session import ExitCode

STOPPING = "Stopping: waiting for those under way; Ctrl-C again gives them up."

_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class Interruption:
    """Whether there was one."""

    code: ExitCode | None = None
    """The exit code that it stands for; None without one."""
    gave_up = False
    """Whether a second one came, which gave up what was under way."""
    _raised = False

    def raise_once(self) -> None:
        """Raises it, where nothing is lost by that: raised by the signal itself, it could come before a key is told of.

        Raises:
            KeyboardInterrupt: there was one, and this is the first call since.
        """
        if self.code is not None and not self._raised:
            self._raised = True
            raise KeyboardInterrupt


@contextmanager
def interruptible(say: Callable[[str], None], give_up: Callable[[], None]) -> Iterator[Interruption]:
    """Notes the first signal, and lets the second one give up.

    Args:
        say: tells the user what happens now.
        give_up: ends what is under way; called in a thread of its own, since a signal comes in the midst of anything.
    """
    seen = Interruption()

    def handle(number: int, _: FrameType | None) -> None:
        if seen.code is None:
            seen.code = _CODES[signal.Signals(number)]
            say(STOPPING)
        elif not seen.gave_up:
            seen.gave_up = True
            threading.Thread(target=give_up).start()

    # One that is ignored, as in the background of some shells, stays so.
    handled = [number for number in _CODES if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, handle) for number in handled]
    try:
        yield seen
    finally:
        for number, handler in zip(handled, before, strict=True):
            signal.signal(number, handler)

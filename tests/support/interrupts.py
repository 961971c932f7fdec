"""Ctrl-C while a thread waits: one that comes right before, Python hears only when the wait is over."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

PATIENCE = 30.0


def press(child: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> None:
    """The signal to a child whose main thread is about to wait, or does already."""
    until_waiting(child.pid, child.pid)
    child.send_signal(number)


def press_here() -> None:
    """Ctrl-C to the main thread of this process, which is about to wait, or does already."""
    main = threading.main_thread()
    until_waiting(os.getpid(), main.native_id or 0)
    signal.pthread_kill(main.ident or 0, signal.SIGINT)


def until_waiting(process_id: int, thread_id: int) -> None:
    """Returns once the thread waits; where Linux's files are not there to say so, at once."""
    state = Path(f"/proc/{process_id}/task/{thread_id}/stat")
    end = time.monotonic() + PATIENCE
    times = 0
    # That a thread waits is no event; seen twice in a row, it was not for its turn.
    while times < 2 and state.exists():
        assert time.monotonic() < end
        waits = state.read_text().rpartition(")")[2].split()[0] == "S"
        times = times + 1 if waits else 0
        time.sleep(0.001)

"""Begins and ends the process of a node: `python -m cls_common.node_process MODULE`, or a console script.

Imports nothing but the standard library: what a node imports takes seconds, and an interrupt within them has to be
handled already.
"""

from collections.abc import Iterator
import contextlib
import ctypes
import importlib
import logging
import os
from pathlib import Path
import signal
import sys
import time
import traceback
from typing import NoReturn

INTERRUPTED = 130
_SIGEV_THREAD = 2


def exit_on_interrupt() -> None:
    """Makes SIGINT end this process at once, without a traceback, until another handler is set."""
    signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(INTERRUPTED))


def main() -> NoReturn:
    """Console script of every node: ROS installs it as `lib/PACKAGE/NAME`, which is `PACKAGE.nodes.NAME`."""
    script = Path(sys.argv[0])
    run(f'{script.parent.name}.nodes.{script.name}')


def run(module: str) -> NoReturn:
    """Imports a node's module, calls its `main()` and ends the process with the exit status that it returns.

    Exit status:
        that of `main()`; 1 for an exception; 130 for an interrupt before the node handles signals itself.
    """
    exit_on_interrupt()
    status = 1
    try:
        status = importlib.import_module(module).main()
    except BaseException:
        traceback.print_exc()
    end(status)


def end(status: int) -> NoReturn:
    """Ends the process of a node that has closed and shut ROS down, without the interpreter's teardown.

    That was seen to unload PyTorch and DDS for up to 4.5 s on a busy machine, with Python's signal handlers gone, so
    that a second signal turned a clean end into death by that signal. Nothing of ours uses `atexit`; only the log
    handlers and standard streams are left to flush.
    """
    logging.shutdown()
    _flush()
    os._exit(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # the reader is gone, or the stream is closed
            stream.flush()


class _TimerEvent(ctypes.Structure):
    """`struct sigevent` of glibc: a timer that calls a function in a thread of its own."""

    _fields_ = (
        ('value', ctypes.c_void_p), ('signo', ctypes.c_int), ('notify', ctypes.c_int), ('function', ctypes.c_void_p),
        ('attributes', ctypes.c_void_p), ('rest', ctypes.c_char * 32),
    )  # fmt: skip


@contextlib.contextmanager
def ends_within(seconds: int, status: int) -> Iterator[None]:
    """Ends the process with `status` if the block takes longer, even while C code holds the interpreter's lock.

    Fast DDS 2.14 destroys a participant under a lock that a discovery callback may wait for: of nodes that end at the
    same time some never ended. rclpy holds the interpreter's lock meanwhile, so that no thread of Python can help.
    """
    _flush()
    c = ctypes.CDLL(None)
    timer = ctypes.c_void_p()
    event = _TimerEvent(status, 0, _SIGEV_THREAD, ctypes.cast(c._exit, ctypes.c_void_p))
    c.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer))
    # Interval and first expiry, each s and ns.
    c.timer_settime(timer, 0, (ctypes.c_long * 4)(0, 0, seconds, 0), None)
    try:
        yield
    finally:
        c.timer_delete(timer)


if __name__ == '__main__':
    sys.argv = sys.argv[1:]
    run(sys.argv[0])

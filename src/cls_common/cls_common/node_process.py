"""Begins and ends the process of a node: `python -m cls_common.node_process MODULE`, or a console script.

Imports nothing but the standard library: what a node imports takes seconds, and an interrupt within them has to be
handled already.
"""

import contextlib
import importlib
import logging
import os
from pathlib import Path
import signal
import sys
import traceback
from typing import NoReturn

INTERRUPTED = 130


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
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # the reader is gone, or the stream is closed
            stream.flush()
    os._exit(status)


if __name__ == '__main__':
    sys.argv = sys.argv[1:]
    run(sys.argv[0])

"""Niceness of one thread, so that training yields to the control loop."""

import contextlib
import os
import threading


def give_way(niceness: int) -> None:
    """Sets the niceness of the calling thread only, 0 to 19; Linux schedules threads separately.

    A thread that is already nicer, as in a process started by `nice`, is not changed: only root may lower it.
    """
    if niceness > 0:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)

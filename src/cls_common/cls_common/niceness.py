"""Niceness of one thread: training gives way to the control loop, the rest of its process does not."""

import contextlib
import os
import threading


def give_way(niceness: int) -> None:
    """Sets the niceness of the calling thread alone, 0 to 19; Linux schedules threads one by one.

    A thread that is nicer already, as in a process started by `nice`, stays as it is: only the superuser may go back.
    """
    if niceness > 0:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)

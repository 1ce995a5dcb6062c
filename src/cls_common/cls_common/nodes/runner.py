"""Runs one node as a process: signals, bounded spinning, one clear line for an error, an orderly end."""

from collections.abc import Callable, Sequence
import faulthandler
import signal
import sys
import time
from typing import Protocol

import rclpy
from rclpy.duration import Duration
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from ..errors import UserError
from ..node_process import ends_within
from ..runtime_folder import provide_log_folder

# A terminal or systemd signals the whole group and launch each of its processes: that is one request to end.
_SAME_SIGNAL = 1.0
# s for the last messages to reach their readers: Fast DDS sends a lost one again after 3 s at the latest.
_DELIVERY = 4.0
# s to leave the graph, which takes some hundredths of a second.
_TEARDOWN = 5


class Closable(Protocol):
    """A node that ends itself in order: robots stop, files are finished."""

    def close(self) -> None: ...


def run(
    make_node: Callable[[], Node],
    args: Sequence[str] | None = None,
    make_executor: Callable[[], Executor] = SingleThreadedExecutor,
) -> int:
    """Spins a node until SIGINT, SIGTERM or its own end.

    The node may have `close()`, called while ROS still works, a boolean `finished` by which it ends itself, and
    `wind_down()`, by which it continues after the first signal: the node is spun until it returns true, so that it
    can still receive from and answer other nodes; a signal a second later ends it at once. Signals only set a flag:
    rclpy's own handlers would end the context before `close()` could use it, and a node that spins without bound was
    seen to hang after SIGTERM. The last messages of a node reach its readers before the node ends.

    Returns:
        exit status: 0 ended in order, 1 ended with a loss that the node reports by `exit_status`, 2 a UserError
        (one line with `error: ` on stderr, logged where there is a node).
    """
    faulthandler.enable()
    stopping: list[float] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopping.append(time.monotonic()))
    node: Node | None = None
    executor: Executor | None = None
    status = 1
    try:
        _initialise(args)
        executor = make_executor()
        node = make_node()
        executor.add_node(node)
        while rclpy.ok() and not getattr(node, 'finished', False) and not _may_end(node, stopping):
            executor.spin_once(timeout_sec=0.2)
        status = int(getattr(node, 'exit_status', 0))
    except UserError as error:
        _report(error, node)
        status = 2
    finally:
        _end(node, executor, status)
    return status


def _end(node: Node | None, executor: Executor | None, status: int) -> None:
    try:
        if node is not None and hasattr(node, 'close'):
            node.close()
    finally:
        if node is not None:
            _deliver(node)
        with ends_within(_TEARDOWN, status):
            if executor is not None:
                executor.shutdown(timeout_sec=1.0)
            if node is not None:
                node.destroy_node()
            rclpy.try_shutdown()


def _may_end(node: Node, signals: Sequence[float]) -> bool:
    if not signals:
        return False
    is_repeated = signals[-1] - signals[0] > _SAME_SIGNAL
    return is_repeated or not hasattr(node, 'wind_down') or bool(node.wind_down())


def _deliver(node: Node) -> None:
    """Waits until each reader has acknowledged what a reliable publisher sent: what is left is lost with the node.

    Returns after `_DELIVERY` s at the latest: a reader that was killed or stopped never acknowledges.
    """
    deadline = time.monotonic() + _DELIVERY
    for publisher in node.publishers:
        publisher.wait_for_all_acked(Duration(seconds=max(deadline - time.monotonic(), 0.0)))


def _report(error: UserError, node: Node | None) -> None:
    # One line: a node's logger writes to stderr, to the log file and to /rosout.
    if node is not None:
        node.get_logger().fatal(f'error: {error}')
    else:
        print(f'error: {error}', file=sys.stderr, flush=True)


def _initialise(args: Sequence[str] | None) -> None:
    provide_log_folder()
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # rclpy's errors have no public base class of their own
        raise UserError(
            'ROS could not start with these arguments',
            found=str(error),
            do='Check what stands after --ros-args.',
        ) from error

"""A node with a context and an executor of its own, for a client inside a program that is no node."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

N = TypeVar('N', bound=Node)
# Arguments of such a node: other programs see neither its log nor parameters, and it takes none of theirs.
OPTIONS = {'enable_rosout': False, 'start_parameter_services': False, 'use_global_arguments': False}


@contextmanager
def private_node(make_node: Callable[[Context], N]) -> Iterator[tuple[N, SingleThreadedExecutor]]:
    """Joins the graph until the block ends; the caller spins the executor."""
    context = Context()
    context.init(args=[])
    try:
        executor = SingleThreadedExecutor(context=context)
        node = make_node(context)
        executor.add_node(node)
        try:
            yield node, executor
        finally:
            executor.shutdown(timeout_sec=1.0)
            node.destroy_node()
    finally:
        context.try_shutdown()

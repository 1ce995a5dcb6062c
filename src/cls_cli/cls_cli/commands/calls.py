"""`mode`, `save`, `stop`, `rearm`: one service call to the running graph each."""

from collections.abc import Callable
from typing import Any

import click

from cls_common.comms import MODES

from .. import options
from ..invocation import examples


def _call(namespace: str, call: Callable[[Any], str]) -> int:
    """Calls the graph, prints its answer and returns the exit status."""
    from cls_bringup.nodes.graph_client import connect

    with connect(namespace) as client:
        print(call(client))
    return 0


@click.command('mode', epilog=examples('./cls mode manual', './cls mode curiosity', './cls mode greedy'))
@click.argument('mode', type=click.Choice(MODES))
@options.namespace
def mode(mode: str, namespace: str) -> int:
    """Choose the source of the actions of the running graph.

    In mode manual the keys choose the actions. In mode random they are drawn at random. In mode curiosity the policy of
    the brain chooses them. In mode greedy that policy chooses the best action without exploration; not every brain has
    this mode. In mode follow the model learns without acting, for example from a replay.
    """
    return _call(namespace, lambda client: str(client.set_mode(mode)))


@click.command('save', epilog=examples('./cls save'))
@options.namespace
def save(namespace: str) -> int:
    """Save the model of the running graph now.

    It is also saved regularly and at the end of the run.
    """
    return _call(namespace, lambda client: str(client.save_model()))


@click.command('stop', epilog=examples('./cls stop', './cls stop && sleep 10 && ./cls rearm'))
@options.namespace
def stop(namespace: str) -> int:
    """Stop the robot at once: no motion and no torque until `rearm`."""
    return _call(namespace, lambda client: str(client.emergency_stop()))


@click.command('rearm', epilog=examples('./cls rearm'))
@options.namespace
def rearm(namespace: str) -> int:
    """Allow motion again after an emergency stop."""
    return _call(namespace, lambda client: str(client.rearm()))

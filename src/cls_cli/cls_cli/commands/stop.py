"""`stop`: an emergency stop from the command line."""

import click

from .. import options


@click.command('stop')
@options.namespace
def command(namespace: str) -> int:
    """Stop at once: no motion and no torque until `rearm`."""
    from cls_bringup.nodes.graph_client import connect

    with connect(namespace) as remote:
        print(remote.emergency_stop())
    return 0

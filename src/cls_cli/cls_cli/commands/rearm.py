"""`rearm`: motion again after an emergency stop."""

import click

from .. import options


@click.command('rearm')
@options.namespace
def command(namespace: str) -> int:
    """Allow motion again after an emergency stop."""
    from cls_bringup.nodes.graph_client import connect

    with connect(namespace) as remote:
        print(remote.rearm())
    return 0

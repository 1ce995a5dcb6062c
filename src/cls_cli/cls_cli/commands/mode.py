"""`mode`: who decides on actions."""

import click

from cls_common.comms import MODES

from .. import options


@click.command('mode')
@click.argument('name', type=click.Choice(MODES))
@options.namespace
def command(name: str, namespace: str) -> int:
    """Choose who decides on actions."""
    from cls_bringup.nodes.graph_client import connect

    with connect(namespace) as remote:
        print(remote.set_mode(name))
    return 0

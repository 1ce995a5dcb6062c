"""`save`: the next generation of the model, now."""

import click

from .. import options


@click.command('save')
@options.namespace
def command(namespace: str) -> int:
    """Write the next generation of the model."""
    from cls_bringup.nodes.graph_client import connect

    with connect(namespace) as remote:
        print(remote.save_model())
    return 0

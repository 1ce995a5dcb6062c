"""`record`: records the running graph as a session."""

from pathlib import Path

import click

from .. import options
from ..invocation import examples

_EXAMPLES = examples(
    './cls record                               # until Ctrl-C',
    './cls record monday --budget-gb 50',
    './cls record --topic robot/info --topic robot/applied_action',
)


@click.command('record', epilog=_EXAMPLES)
@click.argument('name', default='')
@click.option(
    '--topic',
    'topics',
    multiple=True,
    metavar='TOPIC',
    show_default='all topics of the graph',
    help='Record only this topic. This option may be repeated.',
)
@options.sessions_dir
@click.option(
    '--budget-gb',
    default=10.0,
    show_default=True,
    type=click.FloatRange(0.001),
    metavar='GIB',
    help='Disk space for the sessions of one robot, in units of 1024^3 bytes. The oldest sessions are removed first.',
)
@options.namespace
def command(name: str, topics: tuple[str, ...], sessions_dir: Path, budget_gb: float, namespace: str) -> int:
    """Record the running graph as a session, until Ctrl-C.

    The session is called NAME, or by the time if no name is given.
    """
    from cls_recording.session import check_name

    if name:
        check_name(name)
    from ..nodes.recording import record

    parameters = {
        'sessions_dir': str(sessions_dir.absolute()),
        'name': name,
        'topics': ','.join(topics),
        'budget_bytes': max(int(budget_gb * 1024**3), 1 << 20),
    }
    status: int = record(parameters, namespace)
    return status

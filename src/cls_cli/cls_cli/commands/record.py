"""`record`: a session of the running graph, from now until Ctrl-C."""

from pathlib import Path

import click

from .. import options


@click.command('record')
@click.argument('name', default='')
@click.option('--topic', 'topics', multiple=True, metavar='TOPIC', help='Only this one; may be given again.')
@click.option('--sessions-dir', default='sessions', show_default=True, type=click.Path(path_type=Path), help='Folder.')
@click.option(
    '--budget-gb', default=10.0, show_default=True, type=click.FloatRange(0.001), metavar='N',
    help='What the sessions of a robot may use, in units of 1024^3 bytes; the oldest are removed first.',
)  # fmt: skip
@options.namespace
def command(name: str, topics: tuple[str, ...], sessions_dir: Path, budget_gb: float, namespace: str) -> int:
    """Record the running graph as session NAME, until Ctrl-C. Without NAME it is called by the time."""
    from cls_recording.session import check_name

    if name:
        check_name(name)
    from ..nodes.recording import record

    parameters = {
        'sessions_dir': str(sessions_dir.absolute()), 'name': name, 'topics': ','.join(topics),
        'budget_bytes': max(int(budget_gb * 1024**3), 1 << 20),
    }  # fmt: skip
    status: int = record(parameters, namespace)
    return status

"""`status`: how the running graph fares, within a second."""

from collections.abc import Mapping
import json
import time
from typing import Any

import click

from .. import options
from ..run_directory import domain, find_status

# Latched statuses reach a late joiner after a quarter of a second, seen.
_WAIT = 0.8


@click.command('status')
@click.option('--json', 'as_json', is_flag=True, help='One JSON object.')
@options.namespace
def command(as_json: bool, namespace: str) -> int:
    """How the running graph fares. Exit status 1 when none runs."""
    status = find_status(namespace) or _ask(namespace)
    if status is None:
        print(json.dumps({'running': False}) if as_json else f'not running (ROS domain {domain()})')
        return 1
    if as_json:
        print(json.dumps({'running': True, **status}))
    else:
        print(as_text(status))
    return 0


def _ask(namespace: str) -> dict[str, Any] | None:
    from ..nodes.remote import connect
    from ..snapshot import doings, measures

    with connect(namespace) as remote:
        pair = remote.await_pair(time.monotonic() + _WAIT)
    return {**doings(pair), **measures(pair)} if pair.heard else None


def as_text(status: Mapping[str, Any], prefix: str = '') -> str:
    """Returns one line for each figure, nested names joined by dots."""
    lines = []
    for name, value in status.items():
        if isinstance(value, dict):
            lines += [as_text(value, f'{prefix}{name}.')] if value else []
        elif value is not None:
            text = f'{value:.4g}' if isinstance(value, float) and not value.is_integer() else f'{value}'
            lines.append(f'{prefix + name:<20}  {text}')
    return '\n'.join(lines)

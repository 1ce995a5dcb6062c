"""`status`: how the running graph fares, within a second."""

from collections.abc import Mapping
import json
import time
from typing import Any

import click

from cls_bringup.run_directory import domain, find_status

from .. import options

# On a machine at rest importing and joining take half a second and the latched statuses another quarter, seen: the
# answer is there within a second. A machine that is slow at the first is as slow at the second, so it gets longer.
_ANSWER_AFTER, _JOIN_TIME, _SLOWER = 0.85, 0.6, 3.0
_NOT_FOR_PEOPLE = ('pid', 'written', 'namespace', 'domain')


@click.command('status')
@click.option('--json', 'as_json', is_flag=True, help='One JSON object.')
@options.namespace
def command(as_json: bool, namespace: str) -> int:
    """How the running graph fares. Exit status 1 when none runs."""
    begun = time.monotonic()
    status = find_status(namespace) or _ask(namespace, begun)
    if status is None:
        print(json.dumps({'running': False}) if as_json else f'not running (ROS domain {domain()})')
        return 1
    if as_json:
        print(json.dumps({'running': True, **status}))
    else:
        print(as_text({name: value for name, value in status.items() if name not in _NOT_FOR_PEOPLE}))
    return 0


def _ask(namespace: str, begun: float) -> dict[str, Any] | None:
    from cls_bringup.nodes.graph_client import connect
    from cls_bringup.snapshot import activity as doings
    from cls_bringup.snapshot import measures

    with connect(namespace) as remote:
        joined = time.monotonic() - begun
        pair = remote.await_pair(begun + (_ANSWER_AFTER if joined < _JOIN_TIME else _SLOWER * joined))
        if len(pair.heard) < remote.count_learners():
            pair = remote.await_pair(time.monotonic() + _ANSWER_AFTER)
    return {**doings(pair), **measures(pair)} if pair.heard else None


def as_text(status: Mapping[str, Any], prefix: str = '') -> str:
    """Returns one line for each figure, nested names joined by dots."""
    lines = []
    for name, value in status.items():
        if isinstance(value, dict):
            lines += [as_text(value, f'{prefix}{name}.')] if value else []
        elif isinstance(value, list):
            lines.append(f'{prefix + name:<20}  {"; ".join(value) or "none"}')
        elif value is not None:
            text = f'{value:.4g}' if isinstance(value, float) and not value.is_integer() else f'{value}'
            lines.append(f'{prefix + name:<20}  {text}')
    return '\n'.join(lines)

"""`status`: the state of the running graph, within a second."""

from collections.abc import Mapping
import json
import time
from typing import Any

import click

from cls_bringup.run_directory import domain, find_status

from .. import options
from ..invocation import examples

# Measured on an idle machine: imports and joining take half a second, the latched statuses another quarter, so the
# answer comes within a second. A machine that is slow to join is slow to receive, so it gets more time.
_ANSWER_AFTER, _JOIN_TIME, _SLOWER = 0.85, 0.6, 3.0
_NOT_SHOWN = ('pid', 'written', 'namespace', 'domain')


@click.command('status', epilog=examples('./cls status', './cls status --json'))
@options.as_json
@options.namespace
def command(as_json: bool, namespace: str) -> int:
    """Show the state of the running graph.

    The exit status is 1 if no graph runs.
    """
    begun = time.monotonic()
    status = find_status(namespace) or _ask(namespace, begun)
    if status is None:
        print(json.dumps({'running': False}) if as_json else f'not running (ROS domain {domain()})')
        return 1
    if as_json:
        print(json.dumps({'running': True, **status}))
    else:
        print(as_text({name: value for name, value in status.items() if name not in _NOT_SHOWN}))
    return 0


def _ask(namespace: str, begun: float) -> dict[str, Any] | None:
    from cls_bringup.nodes.graph_client import connect
    from cls_bringup.snapshot import activity, measures

    with connect(namespace) as client:
        joined = time.monotonic() - begun
        statuses = client.await_statuses(begun + (_ANSWER_AFTER if joined < _JOIN_TIME else _SLOWER * joined))
        if len(statuses.heard) < client.count_learners():
            statuses = client.await_statuses(time.monotonic() + _ANSWER_AFTER)
    return {**activity(statuses), **measures(statuses)} if statuses.heard else None


def as_text(status: Mapping[str, Any], prefix: str = '') -> str:
    """Returns one line per value; nested names are joined by dots."""
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

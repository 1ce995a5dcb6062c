"""Sessions as tables on a terminal, and as JSON."""

from collections.abc import Iterable, Sequence
import dataclasses
from datetime import datetime
from pathlib import Path
from typing import Any

from cls_recording.quality.action_statistics import Actions, ChannelActions
from cls_recording.quality.verdict import SessionQuality
from cls_recording.repair import Repair
from cls_recording.summary import SessionSummary, WHOLE

from .commands.models import size
from .invocation import as_called

_BAR = 30
_ANY_WIDTH = 10_000


def show_list(summaries: Sequence[SessionSummary], folder: Path) -> None:
    """Prints a table of the sessions in a folder, with damaged ones marked, and their problems below it."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style='bold')
    for name in ('session', 'robot', 'began', 'length', 'steps', 'messages', 'size', 'state'):
        table.add_column(name, justify='right' if name in ('length', 'steps', 'messages', 'size') else 'left')
    for one in summaries:
        path = one.path.relative_to(folder) if one.path.is_relative_to(folder) else one.path
        table.add_row(
            escape(str(path)), escape(one.robot), when(one.start), length(one.duration), f'{one.steps:,}',
            f'{one.messages:,}', size(one.size), one.state if one.state == WHOLE else f'[red]{one.state}[/]',
        )  # fmt: skip
    _print(table)
    for one in summaries:
        if one.problem:
            print(as_called(f'{one.name}: {one.problem}'))


def show_health(health: SessionQuality) -> None:
    """Prints the contents and the quality of a session."""
    info = health.info
    lines = {
        'session': str(health.path), 'health': health.verdict, 'robot': info.robot.name if info.robot else '',
        'began': when(health.start), 'length': length(health.duration), 'size': size(health.size),
        'steps': f'{health.actions.accepted:,}', 'model': info.model, 'run': info.run_id,
        'encoder': str((info.encoder or {}).get('id', '')), 'config': info.config_sha256[:16],
    }  # fmt: skip
    for name, value in lines.items():
        if value:
            print(f'{name:<9} {value}')
    for reason in health.reasons:
        print(f'          - {reason}')
    for topic, reason in health.left_out.items():
        print(f'left out  {topic}: {reason}')
    _show_topics(health)
    _show_actions(health.actions)
    print()


def show_repair(repair: Repair) -> None:
    """Prints the damage, the recovered messages and the losses of a repair."""
    if not repair.found:
        print(f'{repair.path}: nothing to repair')
        return
    print(f'{repair.path}: {", ".join(repair.found)}')
    print(f'  recovered     {sum(repair.messages.values()):,} messages')
    for topic, count in sorted(repair.messages.items()):
        print(f'    {count:>9,} {topic}')
    print(f'  lost          about {repair.lost_bytes:,} bytes')
    print(f'  last message  {when(repair.last) or "none"}')
    if repair.kept:
        print(f'  replaced, kept beside it: {", ".join(repair.kept)}')


def plain(value: Any) -> Any:
    """Returns dataclasses, nested ones too, as plain data for JSON; values that are not finite become None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value) if field.repr}
        return named | ({'duration': plain(value.duration)} if isinstance(value, SessionQuality) else {})
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if abs(value) < float('inf') else None
    return str(value) if isinstance(value, Path) else value


def when(time_ns: int) -> str:
    """Returns a log time, ns, as text in this machine's time zone; empty for 0."""
    try:
        return datetime.fromtimestamp(time_ns * 1e-9).astimezone().strftime('%Y-%m-%d %H:%M:%S') if time_ns else ''
    except (ValueError, OverflowError, OSError):
        return f'{time_ns} ns'  # beyond the years 1 to 9999


def length(seconds: float) -> str:
    """Returns a duration, s, as text."""
    whole = round(seconds)
    return f'{seconds:.1f} s' if seconds < 60 else f'{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}'


def _show_topics(health: SessionQuality) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style='bold')
    table.add_column('topic')
    for name in ('messages', 'per second'):
        table.add_column(name, justify='right')
    table.add_column('type')
    for name, topic in health.topics.items():
        table.add_row(name, f'{topic.count:,}', f'{topic.rate:.1f}', topic.type)
    print()
    _print(table)


def _show_actions(actions: Actions) -> None:
    if not actions.accepted:
        return
    sources = ', '.join(f'{count:,} by {source or "an unknown source"}' for source, count in actions.sources.items())
    low, high, deviation = actions.periods
    print(f'\nactions   {sources}; one each {actions.period:.2f} s, {actions.duration:.2f} s long')
    print(f'          from one to the next {low:.2f} to {high:.2f} s, deviation {deviation:.2f} s')
    for text, count in actions.refused.items():
        print(f'          {count:,} refused: {text}')
    for channel in actions.channels:
        _show_channel(channel)
    print('most frequent')
    for values, count in actions.most_frequent:
        print(f'{count:>9,}  {_numbers(values)}')


def _show_channel(channel: ChannelActions) -> None:
    print(f'{channel.name} ({channel.unit or "no unit"}): mean {channel.mean:.3g}, deviation {channel.std:.3g}')
    if channel.edges:
        names = [f'{low:.3g} to {high:.3g}' for low, high in zip(channel.edges, channel.edges[1:])]
    else:
        names = [f'{value:g}' for value in channel.values]
    most = max(channel.counts)
    for name, count in zip(names, channel.counts):
        print(f'{name:>20} {count:>9,} {"#" * round(_BAR * count / most)}')


def _numbers(values: Iterable[float]) -> str:
    return ', '.join(f'{value:.4g}' for value in values)


def _print(table: Any) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    # Without a terminal nothing is wrapped or cut.
    (console if console.is_terminal else Console(width=_ANY_WIDTH, highlight=False)).print(table)

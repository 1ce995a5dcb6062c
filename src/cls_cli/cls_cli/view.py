"""The live view of a run as rich renderables, and the one line that stands in for it without a terminal. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import math
import re
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cls_bringup.snapshot import LearnerStatuses, Replayed, Snapshot

from . import keys
from .picture_table import picture_table
from .run_policy.terminal_image import picture

if TYPE_CHECKING:
    from cls_common.images import Image

# Columns of the view without and with a picture, and of the picture.
_WIDTH, WITH_PICTURE, _PICTURE = 100, 124, 22
# Rows of the view beside figures and pictures: frame, message, keys, and the line below the view.
_AROUND = 7
_LOSS = re.compile('loss|error|avg_l_')
# Of metrics that several brains share.
_MEANINGS = {
    'skill': '1 exact, 0 no better than "nothing changes"',
    'held_out_skill': 'on transitions never learned from',
    'forgetting': 'skill lost since its best',
    'action_use': 'skill due to actions',
}
_MODE_STYLE = {'manual': 'yellow', 'random': 'magenta', 'curiosity': 'cyan', 'greedy': 'green', 'follow': 'blue'}


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Everything the view shows at one moment.

    Attributes:
        elapsed: s since the command.
        statuses: newest status of both learners.
        processes: state by node, such as 'RUNNING'.
        joint_names: in the order of the status' joints. channels: names of the robot's actions; empty where unknown.
        robot_trouble: why the robot takes no actions; empty when it does.
        picture: what the camera sees, uint8 (H, W, 3) RGB; None where it is not shown.
        pictures: of the brain by name, shown instead of the camera; empty where they are not shown.
        size: columns and rows of the terminal. are_pictures_alone: no figures are shown, only pictures.
        message: answer to the last key, or what is awaited.
        replay: how a replay goes; None where there is none.
    """

    robot: str
    elapsed: float
    statuses: LearnerStatuses
    processes: Mapping[str, str] = field(default_factory=dict)
    restarts: Mapping[str, int] = field(default_factory=dict)
    joint_names: Sequence[str] = ()
    channels: Sequence[str] = ()
    robot_trouble: str = ''
    picture: 'Image | None' = None
    pictures: 'Mapping[str, Image]' = field(default_factory=dict)
    size: tuple[int, int] = (_WIDTH, 40)
    are_pictures_alone: bool = False
    message: str = ''
    replay: Replayed | None = None


def render(screen: Screen) -> RenderableType:
    """Returns the panel."""
    statuses = screen.statuses
    title = f'[b]{statuses.model or "…"}[/] on {screen.robot}'
    body: RenderableType = _startup(screen) if statuses.fast is None or not statuses.loaded else _figures(screen)
    width = _WIDTH
    if screen.are_pictures_alone:
        body = _pictures(screen) if screen.pictures else Text('this brain has shown no pictures yet', style='dim')
    elif screen.pictures and screen.size[0] >= WITH_PICTURE:
        width = screen.size[0]
        body = _beside(body, picture_table(screen.pictures, width - _WIDTH - 2, screen.size[1] - _AROUND))
    elif screen.picture is not None:
        width = WITH_PICTURE
        body = _beside(body, picture(screen.picture, _PICTURE))
    hints = [_hints(line) for line in keys.hints(screen.channels)]
    message = Text(screen.message, style='yellow', overflow='ellipsis', no_wrap=True)
    return Panel(
        Group(body, Text(), message, *hints), title=title, subtitle=clock(screen.elapsed), title_align='left',
        subtitle_align='right', padding=(0, 1), width=width,
    )  # fmt: skip


def _beside(body: RenderableType, picture: RenderableType) -> Table:
    beside = Table.grid(padding=(0, 2))
    beside.add_column(width=_WIDTH - 4)
    beside.add_row(body, picture)
    return beside


def _pictures(screen: Screen) -> RenderableType:
    """Returns the pictures as large as they fit, below up to two lines of figures."""
    figures = '   '.join(f'{name.replace("_", " ")} {text}' for name, text in _plain_headlines(screen.statuses) if text)
    columns, rows = min(screen.size[0], _WIDTH) - 4, screen.size[1] - _AROUND - 2
    return Group(
        Text(f'{screen.statuses.total_steps:,} steps   {figures}'), picture_table(screen.pictures, columns, rows)
    )


def _hints(hints: Sequence[keys.Hint]) -> Text:
    return Text('  ').join(Text.assemble((hint.keys, 'bold'), f' {hint.meaning}') for hint in hints)


def _startup(screen: Screen) -> Table:
    table = _table()
    for name, state in screen.processes.items():
        table.add_row(name, Text(state.lower(), style='green' if state == 'RUNNING' else 'red'))
    table.add_row('waiting', screen.statuses.missing())
    return table


def _figures(screen: Screen) -> Table:
    statuses = screen.statuses
    fast, slow = statuses.fast, statuses.slow
    assert fast is not None and slow is not None
    table = _table()
    table.add_row('phase', _phase(statuses))
    table.add_row('mode', Text(fast.mode, style=_MODE_STYLE.get(fast.mode, '')))
    table.add_row('steps', f'{fast.steps:,} now   {statuses.total_steps:,} in all   {statuses.cycles:,} sleeps')
    table.add_row('rates', f'{fast.rate_hz:.1f} steps/s   {fast.frame_rate:.1f} frames/s')
    for name, text in _headlines(statuses):
        table.add_row(name, text)
    table.add_row('last sleep', _last_sleep(statuses, slow))
    table.add_row('losses', losses(statuses.losses()) or '-')
    table.add_row('pose', pose(screen.joint_names, fast.joints))
    held = f'{slow.memory_size:,} transitions, {slow.memory_bytes / 1e6:,.1f} MB'
    table.add_row('memory', f'{held}   generation {slow.generation:,} saved')
    if screen.replay is not None:
        table.add_row('replay', _replay(screen.replay))
    table.add_row('faults', _faults(screen))
    return table


def _table() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style='dim', width=14)
    table.add_column(ratio=1)
    return table


def _phase(statuses: LearnerStatuses) -> RenderableType:
    row = Table.grid(padding=(0, 2))
    style = 'green' if statuses.phase == 'wake' else 'blue'
    done, total = statuses.progress
    bar = ProgressBar(total=max(1, total), completed=done, width=30)
    row.add_row(Text(f'{statuses.phase} {done}/{total}', style=f'bold {style}'), bar)
    return row


def _plain_headlines(statuses: LearnerStatuses) -> list[tuple[str, str]]:
    """Returns name and known values of each headline metric."""
    return [
        (name, ' '.join(f'{learner} {value:+.2f}' for learner, value in values.items() if math.isfinite(value)))
        for name, values in statuses.headlines.items()
    ]


def _last_sleep(statuses: LearnerStatuses, slow: Snapshot) -> Text:
    text = Text(statuses.last_sleep or 'none yet')
    if slow.sleeps_rolled_back:
        text.append(f'   {slow.sleeps_rolled_back:,} sleeps rolled back in all', style='red')
    return text


def _replay(replay: Replayed) -> Text:
    text = Text(replay.text())
    for trouble in replay.troubles():
        text.append(f'   {trouble}', style='red')
    return text


def _value(value: float) -> Text:
    if not math.isfinite(value):
        return Text('not yet', style='dim')
    return Text(f'{value:+.2f}')


def _headlines(statuses: LearnerStatuses) -> list[tuple[str, Text]]:
    """Returns a row for the first headline metric and for each known one; both learners share a row."""
    rows: list[tuple[str, Text]] = []
    for name, values in statuses.headlines.items():
        if rows and not any(math.isfinite(value) for value in values.values()):
            continue
        parts = [
            ('   ' if i else '', f'{learner} ', _value(value)) for i, (learner, value) in enumerate(values.items())
        ]
        text = Text.assemble(*(part for group in parts for part in group))
        meaning = _MEANINGS.get(name)
        rows.append((name.replace('_', ' '), text.append(f'   ({meaning})', style='dim') if meaning else text))
    return rows


def _faults(screen: Screen) -> Text:
    faults = sum(s.faults for s in screen.statuses.heard)
    dropped = sum(s.dropped for s in screen.statuses.heard)
    text = Text(f'{faults:,} faults   {dropped:,} dropped', style='red' if faults or dropped else 'green')
    newest = next((s.fault for s in screen.statuses.heard if s.fault), '')
    crashed = [f'{name} restarted {count} times' for name, count in screen.restarts.items()]
    down = [f'{name} is down' for name, state in screen.processes.items() if state != 'RUNNING']
    for part in (screen.robot_trouble, newest, *screen.statuses.alarms, *crashed, *down):
        if part:
            text.append(f'   {part}', style='red')
    return text


def losses(values: Mapping[str, float]) -> str:
    """Returns losses and errors among metrics as text, undefined ones left out."""
    shown = {name: value for name, value in values.items() if _LOSS.search(name) and math.isfinite(value)}
    # Of one width, so that the row does not jump about.
    return '  '.join(f'{name} {value:<9.4g}' for name, value in shown.items()).rstrip()


def pose(names: Sequence[str], joints: tuple[float, ...]) -> str:
    """Returns joint angles, given in rad, as text in degrees."""
    if not joints:
        return '-'
    if len(names) != len(joints):
        names = [f'joint {i + 1}' for i in range(len(joints))]
    return '   '.join(f'{name} {angle:+.1f}°' for name, angle in zip(names, keys.degrees(joints)))


def clock(seconds: float) -> str:
    """Returns a span as h:mm:ss."""
    minutes, second = divmod(int(seconds), 60)
    return f'{minutes // 60}:{minutes % 60:02d}:{second:02d}'


def line(screen: Screen) -> str:
    """Returns one line of plain text."""
    statuses = screen.statuses
    if statuses.fast is None or not statuses.ready:
        return f'{clock(screen.elapsed)}  waiting: {statuses.missing()}'
    fast = statuses.fast
    replay = '  '.join(['', 'replay ' + screen.replay.text(), *screen.replay.troubles()]) if screen.replay else ''
    alarms = ''.join(f'  {alarm}' for alarm in statuses.alarms)
    headlines = '  '.join(f'{name.replace("_", " ")} {text}' for name, text in _plain_headlines(statuses) if text)
    faults = sum(s.faults for s in statuses.heard)
    done, total = statuses.progress
    return (
        f'{clock(screen.elapsed)}  {statuses.phase} {done}/{total}  {fast.mode}  '
        f'step {fast.steps:,} ({statuses.total_steps:,} in all)  {statuses.cycles} sleeps  {fast.rate_hz:.1f} steps/s  '
        f'{fast.frame_rate:.1f} frames/s  {headlines}  {faults} faults{alarms}{replay}'
    )

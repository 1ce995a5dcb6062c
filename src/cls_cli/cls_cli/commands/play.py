"""`play`: replays recorded sessions through the graph, in place of a robot."""

from pathlib import Path
from typing import Any

import click

from cls_bringup.graph import GraphOptions, REPLAY
from cls_common.errors import UserError

from .. import options, set_options
from ..invocation import examples
from ..running import run, SessionOptions

_SESSION = ('namespace', 'log_level', 'duration', 'startup_timeout', 'report', 'view')
_EXAMPLES = examples(
    './cls play sessions/sim/session_20250102_030405',
    './cls play sessions/sim --rate 0 --model again   # all sessions, fast',
    './cls play sessions/pan_tilt --filter-action pan=5',
)


@click.command('play', epilog=_EXAMPLES)
@click.argument('sessions', nargs=-1, required=True, metavar='SESSION...', type=options.SESSIONS)
@options.graph_option('rate', metavar='FACTOR')
@options.graph_option('loop')
@options.graph_option('paused')
@options.filter_action
@options.brain
@options.model
@options.models_dir
@options.encoder
@options.preset
@options.params_file
@set_options.option
@options.accept_robot
@options.seed
@options.duration
@options.startup_timeout(180.0)
@options.record
@options.sessions_dir
@options.report
@options.view
@options.namespace
@options.log_level
def command(sessions: tuple[Path, ...], models_dir: Path, sessions_dir: Path, params_file: str, **chosen: Any) -> int:
    """Replay recorded sessions into a brain.

    The sessions take the place of a robot. SESSION is the folder of a session, or a folder of sessions. The model is
    saved at the end.
    """
    _check(sessions, chosen['filter_action'], chosen['rate'])
    session = SessionOptions(**{name: chosen.pop(name) for name in _SESSION})
    chosen |= {
        'session': ','.join(options.absolute(path) for path in sessions),
        'models_dir': options.absolute(models_dir),
        'sessions_dir': options.absolute(sessions_dir),
        'params_file': options.absolute(params_file),
    }
    return run(GraphOptions(robot=REPLAY, **chosen), session)


def _check(sessions: tuple[Path, ...], filter_action: str, rate: float) -> None:
    """Raises UserError for wrong arguments, before any process is started."""
    for path in sessions:
        if ',' in str(path.absolute()):
            raise UserError(f'session {path}', expected='a path without a comma')
    from cls_recording.filters import ActionFilter
    from cls_recording.playback.settings import check_rate
    from cls_recording.playback.sources import open_sources

    check_rate(rate)
    wanted = ActionFilter.parse(filter_action) if filter_action else None
    for source in open_sources(sessions):
        if wanted is not None:
            wanted.check(source.robot)

"""`run`: acts on a robot without learning."""

from pathlib import Path
from typing import Any

import click

from cls_bringup.graph import GraphOptions
from cls_bringup.robot_checks import check_robot
from cls_common.errors import UserError
from cls_common.overrides import by_node, RECIPE

from .. import options, set_options

# The option that tells a policy what to do chooses it too.
_TOLD = {'action': 'constant', 'sequence': 'sequence', 'session': 'recorded'}
_ROBOT = ('robot', 'port', 'camera', 'scene', 'lock_step', 'seed', 'record', 'sessions_dir', 'params_file', 'settings')


@click.command('run')
@click.option('--robot', default='sim', show_default=True, metavar='ROBOT', help='sim, square, pan_tilt or gym:ID.')
@click.option('--attach', is_flag=True, help='Act on a robot that runs already; start nothing.')
@click.option(
    '--policy',
    default='',
    metavar='NAME',
    help='random (default), constant, sequence, recorded, manual, or visit_count on a robot with joints.',
)
@click.option(
    '--action', default='', metavar='VALUES', help="Of constant: '5 0' or pan=5,tilt=0, in the robot's units."
)
@click.option(
    '--sequence',
    default='',
    metavar='ACTIONS',
    help="Of sequence: 'pan=5; pan=-5', or alternate, double_move ... with one discrete channel.",
)
@click.option('--session', default='', metavar='FOLDER', type=click.Path(), help='Of recorded: whose actions to do.')
@click.option('--filter-action', default='', metavar='KEY=VALUE', help='Of recorded: only actions of this value.')
@click.option('--steps', default=0, type=click.IntRange(0), help='End after this many actions.')
@click.option('--duration', default=0.0, type=click.FloatRange(0.0), help='End this many seconds after the first.')
@click.option('--rate', default=0.0, type=click.FloatRange(0.0, 1000.0), help='Actions a second at most.')
@click.option('--interactive', is_flag=True, help='Confirm or override each action.')
@click.option('--view/--no-view', default=False, help='Show what the camera sees, on a terminal.')
@click.option('--record', is_flag=True, help='Record a session.')
@click.option('--sessions-dir', default='sessions', show_default=True, type=click.Path(), help='Where sessions lie.')
@click.option('--lock-step', is_flag=True, help='The simulator waits for each action.')
@click.option('--seed', default=-1, type=click.IntRange(-1), help='Of the simulation and of chance.')
@click.option('--scene', default=-1, type=click.IntRange(-1), help='Which simulated scene.')
@click.option('--port', default='', help='Serial port of the servo board.')
@click.option('--camera', default='', help='Index, path, video file or folder of images.')
@click.option('--params-file', default='', type=click.Path(), help='Parameter file that wins over ours.')
@set_options.option
@options.namespace
@click.option('--log-level', default='', type=click.Choice(['', 'debug', 'info', 'warn', 'error']), metavar='LEVEL')
@click.option('--startup-timeout', default=60.0, show_default=True, type=click.FloatRange(1.0), help='Seconds.')
@click.option('--report', type=click.Path(path_type=Path), help='Write a JSON report at the end.')
def command(policy: str, params_file: str, sessions_dir: str, session: str, **chosen: Any) -> int:
    """Act on a robot without learning: no networks, no model. Ctrl-C ends."""
    # Nodes need not share our working directory.
    chosen |= {
        'params_file': _absolute(params_file), 'sessions_dir': _absolute(sessions_dir), 'session': _absolute(session),
    }  # fmt: skip
    chosen['policy'] = _policy(policy, chosen)
    if {RECIPE, 'encoder'} & by_node(chosen['settings']).keys():
        raise UserError('--set', expected='sim.NAME: nothing is learned here')
    robot = GraphOptions(**{name: chosen.pop(name) for name in _ROBOT})
    check_robot(robot)
    from ..acting.choices import Choices
    from ..acting.run import run

    return run(robot, Choices(**chosen))


def _policy(policy: str, chosen: dict[str, Any]) -> str:
    told = [name for name in _TOLD if chosen[name]]
    if len(told) > 1 or (told and policy not in ('', _TOLD[told[0]])):
        given = ' and '.join(f'--{name}' for name in told)
        raise UserError(f'{given} with policy {policy or "none"}', expected=f'--{told[0]} with {_TOLD[told[0]]} alone')
    if chosen['filter_action'] and told != ['session']:
        raise UserError('--filter-action', expected='a --session to filter')
    return policy or (_TOLD[told[0]] if told else 'random')


def _absolute(path: str) -> str:
    return str(Path(path).absolute()) if path else ''

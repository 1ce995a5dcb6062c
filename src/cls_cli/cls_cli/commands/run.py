"""`run`: runs a policy on a robot, without learning."""

from pathlib import Path
from typing import Any

import click

from cls_bringup.graph import GraphOptions
from cls_bringup.robot_checks import check_robot
from cls_common.errors import UserError
from cls_common.overrides import by_node, RECIPE

from .. import options, set_options
from ..invocation import examples

# Option that is the input of a policy -> that policy, which the option therefore chooses.
_POLICY_OF = {'action': 'constant', 'sequence': 'sequence', 'session': 'recorded'}
_ROBOT = ('robot', 'port', 'camera', 'scene', 'lock_step', 'seed', 'record', 'sessions_dir', 'params_file', 'settings')
_EXAMPLES = examples(
    './cls run --steps 500 --report run.json      # random actions',
    "./cls run --robot pan_tilt --sequence 'pan=5; pan=-5' --interactive",
    './cls run --robot gym:CartPole-v1 --sequence triple_move --max-rate 20',
    './cls run --session sessions/sim/session_20250102_030405',
)


@click.command('run', epilog=_EXAMPLES)
@options.robot
@click.option('--attach', is_flag=True, help='Use a robot that already runs, and start no process.')
@click.option(
    '--policy',
    default='',
    metavar='NAME',
    show_default='random',
    help='Policy: random, constant, sequence, recorded, manual, or visit_count on a robot with joints.',
)
@click.option(
    '--action',
    default='',
    metavar='VALUES',
    show_default='none',
    help="Action of policy constant in the robot's units: '5 0' or pan=5,tilt=0.",
)
@click.option(
    '--sequence',
    default='',
    metavar='ACTIONS',
    show_default='none',
    help="Actions of policy sequence: 'pan=5; pan=-5', or for one discrete channel a name such as alternate or "
    'double_move.',
)
@click.option(
    '--session',
    default='',
    metavar='SESSION',
    type=click.Path(),
    show_default='none',
    help='Session whose actions policy recorded repeats.',
)
@options.filter_action
@click.option(
    '--max-rate',
    default=0.0,
    type=click.FloatRange(0.0, 1000.0),
    metavar='HZ',
    show_default='no limit',
    help='Send at most this many actions per second.',
)
@click.option('--interactive', is_flag=True, help='Confirm or replace each action at the keyboard.')
@options.steps()
@options.duration
@options.startup_timeout(60.0)
@click.option('--view/--no-view', default=False, show_default=True, help='Show the camera image on a terminal.')
@options.record
@options.sessions_dir
@options.report
@options.lock_step
@options.seed
@options.scene
@set_options.option
@options.port
@options.camera
@options.params_file
@options.namespace
@options.log_level
def command(policy: str, params_file: str, sessions_dir: Path, session: str, **chosen: Any) -> int:
    """Run a policy on a robot, without learning.

    No networks run and no model is needed. Ctrl-C ends the run. At its end the actions, their timing and
    refusals are printed.
    """
    chosen |= {'params_file': options.absolute(params_file), 'sessions_dir': options.absolute(sessions_dir)}
    chosen['session'] = options.absolute(session)
    chosen['policy'] = _policy(policy, chosen)
    if {RECIPE, 'encoder'} & by_node(chosen['settings']).keys():
        raise UserError('--set', expected='sim.NAME, because nothing is learned')
    robot = GraphOptions(**{name: chosen.pop(name) for name in _ROBOT})
    check_robot(robot)
    from ..run_policy.options import RunOptions
    from ..run_policy.run import run

    return run(robot, RunOptions(**chosen))


def _policy(policy: str, chosen: dict[str, Any]) -> str:
    given = [name for name in _POLICY_OF if chosen[name]]
    if len(given) > 1 or (given and policy not in ('', _POLICY_OF[given[0]])):
        names = ' and '.join(f'--{name}' for name in given)
        expected = f'--{given[0]} with {_POLICY_OF[given[0]]} alone'
        raise UserError(f'{names} with policy {policy or "none"}', expected=expected)
    if chosen['filter_action'] and given != ['session']:
        raise UserError('--filter-action', expected='a --session to filter')
    return policy or (_POLICY_OF[given[0]] if given else 'random')

"""Robots by name. `make` returns a robot for use without ROS.

    robot = make('sim', SimulatorSettings(scene=1))
    now = robot.reset()
    step = robot.step(action)          # deterministic in settings and actions
    now = step.restart or step         # after an episode the next one has begun

A new robot is one file in `bodies/` and one line here.
"""

from collections.abc import Callable

from cls_common.errors import UserError
from cls_common.robot import GYM

from .bodies.body import Body
from .bodies.gym_body import make_gym
from .bodies.pan_tilt_body import make_room, make_square
from .robot import SimulatedRobot, Step
from .settings import SimulatorSettings

__all__ = ['ROBOTS', 'SimulatedRobot', 'SimulatorSettings', 'Step', 'make']

ROBOTS: dict[str, Callable[[str, SimulatorSettings], Body]] = {'sim': make_room, 'square': make_square}


def make(robot_id: str, settings: SimulatorSettings) -> SimulatedRobot:
    """Makes a robot.

    Args:
        robot_id: 'sim', 'square' or 'gym:ID' with an ID for `gymnasium.make`, such as 'gym:my_envs:Plain-v0'.
        settings: of the simulation; `robot_id` overrides `settings.robot`.

    Raises:
        UserError: unknown robot, with the list of known ones, or one that can't be made.
    """
    maker = make_gym if robot_id.startswith(GYM) else ROBOTS.get(robot_id)
    if maker is None:
        raise UserError(f'unknown robot {robot_id!r}', expected=', '.join([*ROBOTS, 'gym:ID']))
    return SimulatedRobot(maker(robot_id, settings), settings)

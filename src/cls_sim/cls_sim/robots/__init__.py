"""Simulated robots by name, one file each. `make` returns a robot for use without ROS.

    robot = make('sim', SimulatorSettings(scene=1))
    now = robot.reset()
    step = robot.step(action)          # deterministic in settings and actions
    now = step.restart or step         # after an episode the next one has begun

A robot's file defines `make(name, settings)`, which returns a `Body`. It may define `check(name)`, which raises
UserError for a name that it can not make, faster than by making it.
"""

from dataclasses import replace

from ..robot import SimulatedRobot, Step
from ..settings import ROBOTS, SimulatorSettings

__all__ = ['SimulatedRobot', 'SimulatorSettings', 'Step', 'check', 'make']


def make(robot_id: str, settings: SimulatorSettings) -> SimulatedRobot:
    """Makes a robot.

    Args:
        robot_id: the name of a module here, such as 'sim' or 'toroidal_dot', or of a robot of an installed package;
            'gym:ID' with an ID for `gymnasium.make`, such as 'gym:my_envs:Plain-v0'.
        settings: of the simulation; `robot_id` overrides `settings.robot`.

    Raises:
        UserError: unknown robot, with the list of known ones, or one that can't be made.
    """
    settings = replace(settings, robot=robot_id)
    return SimulatedRobot(ROBOTS.make(robot_id, robot_id, settings), settings)


def check(robot_id: str) -> None:
    """Raises UserError for an unknown robot; makes none."""
    module = ROBOTS.find(robot_id)
    if hasattr(module, 'check'):
        module.check(robot_id)

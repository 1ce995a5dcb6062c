"""Checks of robot, encoder and model before any process starts."""

from functools import lru_cache
from pathlib import Path
from typing import Any, TYPE_CHECKING

from cls_common.registry import split
from cls_common.robot import GYM
from cls_sim.settings import ROBOTS

from .graph import describe, describe_body, GraphOptions, REPLAY
from .preflight import settings_in_force

if TYPE_CHECKING:
    from cls_common.robot import RobotInfo


def check_robot(options: GraphOptions) -> 'RobotInfo | None':
    """Makes and closes a simulated robot where making it can fail.

    Returns:
        its description; None where that is known only when its processes run.

    Raises:
        UserError: unknown name, or it cannot be made.
    """
    can_fail = options.robot.startswith(GYM) or split(options.robot)[0] in ROBOTS.installed() or options.settings
    if not options.simulated or not can_fail:
        return None
    return _make(options)


@lru_cache(1)
def _make(options: GraphOptions) -> 'RobotInfo':
    from cls_sim.robots import make

    (simulator,) = describe_body(options)
    settings: Any = settings_in_force(simulator)
    robot = make(options.robot, settings)
    robot.close()
    return robot.info


def check_model(options: GraphOptions) -> None:
    """Compares mode and robot, or the robots of the sessions to replay, with model and encoder.

    Raises:
        UserError: the brain can't act in the mode, the model was made with another robot, or the robot lacks what
            encoder or brain need.
    """
    from cls_learning.brain import check_mode, inputs_of
    from cls_perception import encoders

    from .chosen_brain import existing_model, settings_of_brain

    processes = {process.name: process for process in describe(options)}
    config = existing_model(processes['slow_learner'])
    brain, recipe = settings_of_brain(processes['slow_learner'])
    fast: Any = settings_in_force(processes['fast_learner'])
    check_mode(brain, fast.mode)
    robots = _robots(options)
    if config is None:
        if 'encoder' in processes:
            chosen: Any = settings_in_force(processes['encoder'])
            for robot in robots:
                encoders.check_sense(chosen.encoder or chosen.default_encoder, robot)
        if options.simulated and (brain.needs_reward(recipe) or 'encoder' not in processes):
            robots = [_make(options)]
        for robot in robots:
            inputs_of(brain, recipe, robot)
        return
    for robot in robots:
        config.check_robot(robot, any_name=options.accept_robot)
    if not robots and not options.accept_robot:
        config.check_robot_name(options.robot)


def _robots(options: GraphOptions) -> 'list[RobotInfo]':
    if options.robot == REPLAY:
        from cls_recording.playback.sources import open_sources

        return [source.robot for source in open_sources([Path(path) for path in options.session.split(',')])]
    robot = check_robot(options)
    return [robot] if robot else []

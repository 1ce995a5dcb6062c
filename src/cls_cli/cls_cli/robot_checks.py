"""What is asked of a robot before any process starts: whether it can be made, seen with, and gone on with."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from cls_common.errors import UserError
from cls_common.graph import describe, describe_body, GraphOptions, GYM, REPLAY
from cls_common.robot import RobotInfo

from .preflight import parameters


def check_robot(options: GraphOptions) -> RobotInfo | None:
    """Makes a simulated robot and closes it again, where making it can fail.

    Returns:
        what it is; None where that is known only once its processes run.

    Raises:
        UserError: there is none of this name, or it can't be made.
    """
    if not options.simulated or not (options.robot.startswith(GYM) or options.settings):
        return None
    return _make(options)


@lru_cache(1)
def _make(options: GraphOptions) -> RobotInfo:
    from cls_sim.robots import make
    from cls_sim.settings import SimulatorSettings

    (simulator,) = describe_body(options)
    robot = make(options.robot, SimulatorSettings.from_flat(parameters(simulator)))
    robot.close()
    return robot.info


def check_model(options: GraphOptions) -> None:
    """Compares the robot, or those of the sessions that are played, with the model and with the encoder.

    Raises:
        UserError: the model was made with another one, or the encoder takes a sense that the robot lacks.
    """
    from cls_learning.checkpoints.config_file import ModelConfig
    from cls_perception import encoders

    file = Path(options.models_dir, options.model, 'config.json')
    try:
        config = ModelConfig.from_json(file.read_text(encoding='utf-8'), str(file))
    except FileNotFoundError:
        config = None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'model {options.model!r}', expected='a readable config.json', found=str(error)) from error
    chosen = _parameters(options, 'encoder')
    encoder = str(config.encoder.get('name', '') if config else chosen.get('encoder') or chosen['default_encoder'])
    robots = _robots(options)
    for robot in robots:
        if config is not None:
            config.check_robot(robot, any_name=options.accept_robot)
        elif encoder in encoders.NAMES:
            encoders.check_sense(encoder, robot)
    if config is not None and not robots and not options.accept_robot:
        config.check_robot_name(options.robot)


def _robots(options: GraphOptions) -> list[RobotInfo]:
    if options.robot == REPLAY:
        from cls_recording.playing.sources import open_sources

        return [source.robot for source in open_sources([Path(path) for path in options.session.split(',')])]
    robot = check_robot(options)
    return [robot] if robot else []


def _parameters(options: GraphOptions, node: str) -> dict[str, Any]:
    (process,) = (process for process in describe(options) if process.name == node)
    return parameters(process)

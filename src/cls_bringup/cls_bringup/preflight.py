"""Checks what nodes would refuse after ten seconds of importing, before any process starts. No PyTorch here."""

from collections.abc import Callable, Mapping, Sequence
import importlib
from pathlib import Path
from typing import Any

from cls_common.errors import UserError
from cls_common.settings import read_parameter_file, Settings

from .graph import Process
from .supervision.commands import find_config

# Node -> module and name of the settings class of its parameters.
SETTINGS = {
    'simulator': 'cls_sim.settings:SimulatorSettings',
    'camera': 'cls_perception.settings:CameraSettings',
    'encoder': 'cls_perception.settings:EncoderNodeSettings',
    'servo_driver': 'cls_servo_driver.settings:ServoDriverSettings',
    'jetbot_driver': 'cls_jetbot_driver.settings:JetBotDriverSettings',
    'fast_learner': 'cls_learning.node_settings:FastNodeSettings',
    'slow_learner': 'cls_learning.node_settings:SlowNodeSettings',
    'frame_writer': 'cls_recording.settings:FrameWriterSettings',
    'recorder': 'cls_recording.settings:RecorderSettings',
    'player': 'cls_recording.playback.settings:PlayerSettings',
}
# Parameters of ROS itself.
_OF_ROS = ('use_sim_time', 'qos_overrides.')


def check(processes: Sequence[Process]) -> None:
    """Checks parameters, robot, encoder, preset, model, port and camera of the processes of a graph.

    Raises:
        UserError: the first problem, with the text that the node itself would give.
    """
    for process in processes:
        settings = settings_in_force(process)
        if process.name in _CHECKS:
            _CHECKS[process.name](settings)


def settings_of(node: str, values: Mapping[str, Any] | None = None) -> type[Settings]:
    """Returns the settings class of a node of ours by name.

    Args:
        values: of its parameters: those of slow_learner are its own and those of the brain that they choose.
    """
    if node == 'slow_learner':
        from cls_learning.node_settings import choose_brain, with_recipe

        return with_recipe(choose_brain(values or {}))
    module, _, name = SETTINGS[node].partition(':')
    settings: type[Settings] = getattr(importlib.import_module(module), name)
    return settings


def settings_in_force(process: Process) -> Settings:
    """Returns the settings that a process will run with: of its files, later ones winning, then by name."""
    values = parameters_in_force(process)
    return settings_of(process.name, values).from_flat(values)


def parameters_in_force(process: Process) -> dict[str, Any]:
    """Returns the values that files and names give to the parameters of a process, by dotted name."""
    values: dict[str, Any] = {}
    for name in process.parameter_files:
        nodes = read_parameter_file(find_config(name))
        values |= nodes.get('**', {}) | nodes.get(process.name, {})
    values |= process.parameters
    return {name: value for name, value in values.items() if not name.startswith(_OF_ROS)}


def _check_simulator(settings: Any) -> None:
    from cls_sim import robots

    robots.check(settings.robot)
    _expect_file('panorama', settings.panorama)


def _check_camera(settings: Any) -> None:
    from cls_perception import cameras
    from cls_perception.cameras.device import devices

    cameras.make(settings)
    path = Path(f'/dev/video{settings.source}' if settings.source.isdecimal() else settings.source)
    if not path.exists():
        raise UserError(
            f'camera {settings.source!r}',
            expected=f'an existing {path}',
            found=devices(),
            do='Plug the camera in, or name another one.',
        )


def _check_servo_driver(settings: Any) -> None:
    from cls_servo_driver.ports import choose_port, find_ports

    found = find_ports()
    port = choose_port(settings.port, found)
    if not Path(port.device).exists():
        raise UserError(
            f'serial port {port.device!r}',
            expected='a port of this machine',
            found=', '.join(map(str, found)) or 'no serial port at all',
            do='Plug the board in, or name its port.',
        )


def _check_jetbot_driver(settings: Any) -> None:
    from cls_jetbot_driver.connection import Connection

    Connection(settings.address(), settings.motor_timeout).close()


def _check_encoder(settings: Any) -> None:
    from cls_perception.settings import ENCODERS

    ENCODERS.check(settings.encoder or settings.default_encoder)


def _check_slow_learner(settings: Any) -> None:
    from cls_learning.model_store.ownership import check_free
    from cls_learning.node_settings import choose_brain
    from cls_learning.presets import read_preset

    check_free(Path(settings.models_dir, settings.model))
    brain = choose_brain({name: getattr(settings, name) for name in ('models_dir', 'model', 'brain')})
    read_preset(Path(find_config('sim.param.yaml')).parent / 'presets', settings.preset, brain.name)


def _expect_file(name: str, path: str) -> None:
    if path and not Path(path).is_file():
        raise UserError(f'parameter {name!r}', expected='a file', found=repr(path))


_CHECKS: dict[str, Callable[[Any], None]] = {
    'simulator': _check_simulator,
    'camera': _check_camera,
    'servo_driver': _check_servo_driver,
    'jetbot_driver': _check_jetbot_driver,
    'encoder': _check_encoder,
    'slow_learner': _check_slow_learner,
}

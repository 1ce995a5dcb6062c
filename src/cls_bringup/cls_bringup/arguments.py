"""The options of a graph for people: one text each, for the launch files and for the command line. No ROS here."""

from collections.abc import Iterable, Mapping
import dataclasses
from typing import Any, NamedTuple

from cls_common.comms import MODES
from cls_common.errors import UserError

from .graph import GraphOptions


class Argument(NamedTuple):
    """What an option is for.

    Attributes:
        text: one sentence.
        unset: what holds where it is left at its default, if the default's value does not say so.
        choices: the values that it may have, if these are few.
    """

    text: str
    unset: str = ''
    choices: tuple[str, ...] = ()


# Of every field of GraphOptions.
ARGUMENTS = {
    'robot': Argument(
        'Robot: sim, square, toroidal_dot, corridor, cart_pole, memory_chain, task_switching, stub, pan_tilt, jetbot, '
        'gym:ID, or gym:MODULE:ID of your own module.'
    ),
    'brain': Argument('Brain of a new model. An existing model has its own.', 'cls'),
    'model': Argument('Name of the model, which is created if it does not exist.'),
    'models_dir': Argument('Folder that holds the models.'),
    'mode': Argument('Source of the actions.', 'manual on hardware, curiosity in simulation', MODES),
    'encoder': Argument('Encoder of a new model.', 'that of the robot, or of the sessions'),
    'preset': Argument('Preset of a new model, a file in config/presets or in the folder of its brain there.', 'none'),
    'port': Argument('Serial port of the servo board.', 'the only one'),
    'camera': Argument(
        'Camera: an index, a device path, a video file or a folder of images.', 'as in the parameter file'
    ),
    'scene': Argument('Number of the simulated scene.', 'as in the parameter file'),
    'lock_step': Argument('Let the simulator wait for each action.'),
    'seed': Argument(
        'Seed of everything random. With a seed only one thread computes, so that the result is exact.', 'drawn'
    ),
    'steps': Argument('End after this many steps of the robot.', 'no limit'),
    'save_frames': Argument('Save a JPEG image before and after each action.'),
    'record': Argument('Record the run as a session.'),
    'sessions_dir': Argument('Folder that holds the sessions.'),
    'session': Argument('Folders of sessions, or of a robot for all of its sessions, with commas between.'),
    'rate': Argument('Speed relative to real time, from 0.1 to 100; 0 is as fast as the model learns.'),
    'loop': Argument('Start again at the end.'),
    'paused': Argument('Start paused; the service player/set_paused continues.'),
    'filter_action': Argument('Use only recorded actions of this value, such as pan=5.', 'all actions'),
    'params_file': Argument('Parameter file that overrides the built-in ones.', 'none'),
    'settings': Argument(
        'Set a learning parameter of a new model, such as fast.ring=400, or of its encoder, encoder.NAME, or of the '
        'simulation, such as sim.noise_sigma=5.', 'none',
    ),
    'accept_robot': Argument('Continue a model that was made with a robot of another name.'),
}  # fmt: skip
# Of these, those that only a replay has.
REPLAY_ONLY = ('session', 'rate', 'loop', 'paused', 'filter_action')


def default_text(name: str) -> str:
    """Returns the default of an option as `parse_options` reads it."""
    value = default(name)
    if isinstance(value, bool):
        return str(value).lower()
    return ';'.join(value) if isinstance(value, tuple) else str(value)


def default(name: str) -> Any:
    """Returns the default of an option: GraphOptions has it."""
    return _FIELDS[name].default


def description(name: str) -> str:
    """Returns the text of a launch argument: of the option, with its form and what holds at its default."""
    argument = ARGUMENTS[name]
    sentences = [argument.text]
    if argument.choices:
        sentences.append(f'One of {", ".join(argument.choices)}.')
    if isinstance(default(name), tuple):
        sentences.append('Semicolons separate several.')
    if argument.unset:
        sentences.append(f'Default: {argument.unset}.')
    return ' '.join(sentences)


def parse_flag(name: str, text: str) -> bool:
    """Returns the boolean of a text, with the values that launch's own conditions accept.

    Raises:
        UserError: any other text.
    """
    flags = {'true': True, '1': True, 'false': False, '0': False}
    if text.lower() not in flags:
        raise UserError(f'argument {name}', expected='true or false', found=repr(text))
    return flags[text.lower()]


def parse_options(texts: Mapping[str, str]) -> GraphOptions:
    """Returns the options from texts by name.

    Raises:
        UserError: a text that is not of its type, or an unknown choice.
    """
    return GraphOptions(**{name: _parse(name, text) for name, text in texts.items()})


def _parse(name: str, text: str) -> Any:
    kind = type(default(name))
    if kind is tuple:
        return tuple(_parts(text))
    if kind is bool:
        return parse_flag(name, text)
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError as error:
            expected = 'a whole number' if kind is int else 'a number'
            raise UserError(f'argument {name}', expected=expected, found=repr(text)) from error
    return text


def _parts(text: str) -> Iterable[str]:
    return (part.strip() for part in text.split(';') if part.strip())


_FIELDS = {field.name: field for field in dataclasses.fields(GraphOptions)}

"""Parses actions from text: of the command line, a file or a prompt. The text is never evaluated as code."""

import re

import numpy as np

from cls_common.errors import UserError
from cls_common.robot import Channel, check_action, Kind, RobotInfo
from cls_common.transition import Floats

_NUMBER = re.compile(r'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?')
# For robots with one channel: move (1) or stay (0).
NAMED_SEQUENCES = {
    'always_move': (1,),
    'always_stay': (0,),
    'alternate': (0, 1),
    'double_move': (1, 1, 0),
    'triple_move': (1, 1, 1, 0),
}


def parse_action(text: str, robot: RobotInfo) -> Floats:
    """Parses one action in robot units: `5 0`, `5,0` or `pan=5,tilt=0`; a channel that is not named rests.

    Returns:
        float32 (A,), within the limits of each channel.

    Raises:
        UserError: other text, or a value outside the limits of a channel.
    """
    words = [word for word in re.split(r'[\s,]+', re.sub(r'\s*=\s*', '=', text.strip())) if word]
    if any('=' in word for word in words):
        values = _by_name(words, robot)
    elif len(words) == len(robot.channels):
        values = [_number(word, channel) for word, channel in zip(words, robot.channels)]
    else:
        raise UserError(f'action {_shown(text)}', expected=_how(robot), found=f'{len(words)} values')
    return check_action(robot, values)


def parse_sequence(text: str, robot: RobotInfo) -> list[Floats]:
    """Parses a sequence of actions float32 (A,): separated by semicolons (for one channel also commas), or a name.

    Raises:
        UserError: it is empty, a named one does not suit the robot, or an action is invalid.
    """
    name = text.strip()
    if name in NAMED_SEQUENCES:
        if [channel.kind for channel in robot.channels] != [Kind.DISCRETE]:
            raise UserError(
                f'sequence {name!r}',
                expected='a robot with one discrete channel',
                found=_how(robot),
                do='Give the actions themselves, separated by semicolons.',
            )
        return [parse_action(str(value), robot) for value in NAMED_SEQUENCES[name]]
    actions = [part for part in re.split('[;,]' if len(robot.channels) == 1 else ';', text) if part.strip()]
    if not actions:
        raise UserError('an empty sequence', expected=f'{_how(robot)}; separated by semicolons')
    return [parse_action(action, robot) for action in actions]


def _by_name(words: list[str], robot: RobotInfo) -> list[float]:
    channels = {channel.name: (index, channel) for index, channel in enumerate(robot.channels)}
    values: list[float] = robot.zero().tolist()
    seen: set[str] = set()
    for word in words:
        name, equals, number = word.partition('=')
        if not equals or name not in channels or name in seen:
            raise UserError(
                f'action {_shown(word)}', expected='each of ' + ', '.join(channels) + ' once at most, as name=value'
            )
        seen.add(name)
        index, channel = channels[name]
        values[index] = _number(number, channel)
    return values


def _number(text: str, channel: Channel) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else np.nan
    # Limits are sent as float32: the typed 0.1 of a declared limit must not exceed its rounded value.
    low, high = float(np.float32(channel.low)), float(np.float32(channel.high))
    is_inside = min(low, channel.low) <= value <= max(high, channel.high)
    if not is_inside or (channel.kind == Kind.DISCRETE and value != round(value)):
        whole = 'a whole number' if channel.kind == Kind.DISCRETE else 'a number'
        expected = f'{whole} from {channel.low:g} to {channel.high:g} {channel.unit}'.rstrip()
        raise UserError(f'action channel {channel.name!r}', expected=expected, found=_shown(text))
    return float(value)


def _how(robot: RobotInfo) -> str:
    count = len(robot.channels)
    names = ','.join(f'{channel.name}=…' for channel in robot.channels)
    return f'{count} number{"" if count == 1 else "s"}, or {names}'


def _shown(text: str) -> str:
    """Returns text for an error: shortened, control characters escaped."""
    return repr(text if len(text) <= 40 else f'{text[:39]}…')

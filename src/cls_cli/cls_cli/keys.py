"""Keys of the live view and of teleop, and their actions. Signs are defined here only. No terminal and no ROS here."""

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cls_common.robot import Channel, Kind, RobotInfo

if TYPE_CHECKING:
    from cls_bringup.nodes.manual import ManualControl

STEP_DEG = 5.0
ZERO = ' '
PAN, TILT = 0, 1
# Servo 1 is pan, left is positive; servo 2 is tilt, up is positive.
DIRECTIONS = {'w': (TILT, 1), 's': (TILT, -1), 'a': (PAN, 1), 'd': (PAN, -1)}
MODES = {'1': 'manual', '2': 'random', '3': 'curiosity', '4': 'greedy'}
SLEEP, SAVE, QUIT = 'x', 'c', 'q'
STOP, REARM = 'e', 'r'
PICTURES = 'v'


@dataclass(frozen=True)
class Hint:
    """A key and its meaning, as shown on the terminal."""

    keys: str
    meaning: str


_CALLS = (
    Hint(SLEEP, 'sleep'),
    Hint(SAVE, 'save'),
    Hint(PICTURES, 'pictures'),
    Hint(STOP, 'emergency stop'),
    Hint(REARM, 'rearm'),
    Hint(QUIT, 'save and quit'),
)


def hints(channels: Sequence[str]) -> tuple[tuple[Hint, ...], ...]:
    """Returns the keys and their meanings for a robot with these channels, one tuple per line of the view."""
    named = {'pan', 'tilt'} <= set(channels)
    axes = {'a/d': 'pan' if named else None, 'w/s': 'tilt' if named else None}
    moving = [Hint(key, name or channel) for (key, name), channel in zip(axes.items(), channels)]
    return (*moving, Hint('space', 'hold still'), Hint('/'.join(MODES), ' | '.join(MODES.values()))), _CALLS


def moves(key: str) -> bool:
    """Whether a key commands an action."""
    return key == ZERO or key in DIRECTIONS


def action(key: str, info: RobotInfo, step_deg: float = STEP_DEG) -> NDArray[np.float32] | None:
    """Returns the action of a key.

    Relative channels in degrees named pan and tilt move by `step_deg`. On any other robot a/d and w/s push channels
    0 and 1 by a quarter of their range off rest; discrete channels take their last or first value.

    Args:
        step_deg: size of one manual step, degrees.

    Returns:
        float32 (A,) in the robot's units, within its limits; None if the robot has no such channel.
    """
    if key == ZERO:
        return info.zero()
    axis, sign = DIRECTIONS[key]
    stepped = {c.name: i for i, c in enumerate(info.channels) if c.kind == Kind.RELATIVE and c.unit == 'deg'}
    is_pan_tilt = {'pan', 'tilt'} <= set(stepped)
    index = stepped[('pan', 'tilt')[axis]] if is_pan_tilt else axis
    if index >= len(info.channels):
        return None
    values = info.zero()
    values[index] = sign * step_deg if is_pan_tilt else _push(info.channels[index], sign)
    return np.clip(values, info.low, info.high)


def send(manual: 'ManualControl', key: str, step_deg: float = STEP_DEG) -> str:
    """Sends the action of a key; returns one line that names the action and its receiver."""
    if manual.info is None:
        return 'no robot has described itself yet (robot/info)'
    values = action(key, manual.info, step_deg)
    return f'{manual.info.name} has no channel for {key!r}' if values is None else str(manual.send(values))


def _push(channel: Channel, sign: int) -> float:
    if channel.kind == Kind.DISCRETE:
        return channel.high if sign > 0 else channel.low
    rest = 0.0 if channel.low <= 0.0 <= channel.high else 0.5 * (channel.low + channel.high)
    return rest + sign * 0.25 * (channel.high - channel.low)


def degrees(joints: tuple[float, ...]) -> tuple[float, ...]:
    """Returns joint angles, rad, in degrees."""
    return tuple(math.degrees(angle) for angle in joints)

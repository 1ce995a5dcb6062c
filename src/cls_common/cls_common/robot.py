"""Description of a robot: its action channels, joints and modalities, without ROS imports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import UserError

GYM = 'gym:'  # in a robot's name, before the ID of any Gymnasium environment


class Kind(IntEnum):
    """Meaning of an action channel's value. Values equal the constants of cls_interfaces/ActionChannel."""

    RELATIVE = 0
    ABSOLUTE = 1
    VELOCITY = 2
    DISCRETE = 3


# Actions are sent as float32, in which larger values become infinite.
_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Channel:
    """One number of an action, between `low` and `high` in `unit`."""

    name: str
    kind: Kind
    unit: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (max(abs(self.low), abs(self.high)) <= _FLOAT32_MAX and self.low <= self.high):
            raise UserError(
                f'action channel {self.name!r}',
                expected='finite low <= high',
                found=f'{self.low}, {self.high}',
            )
        if self.kind == Kind.DISCRETE and not (float(self.low).is_integer() and float(self.high).is_integer()):
            raise UserError(
                f'discrete action channel {self.name!r}',
                expected='whole limits',
                found=f'{self.low}, {self.high}',
            )


_CHANNEL_FIELDS = tuple(each.name for each in fields(Channel))


@dataclass(frozen=True)
class RobotInfo:
    """Content of cls_interfaces/RobotInfo as plain data.

    Attributes:
        name: such as 'sim', 'pan_tilt', 'gym:CartPole-v1'.
        modalities: names of observations, 'camera' first if there is one.
        channels: one for each number of an action, length A.
        joint_names, joint_low, joint_high: joints and their limits, rad, length J (may be 0).
        settle_time: s from an action's end to an undisturbed image.
        lock_step: one image for each action, no others.
        has_reward: its steps carry a reward; without one it is NaN.
        low, high: limits of the channels, float32 (A,).
    """

    name: str
    modalities: tuple[str, ...]
    channels: tuple[Channel, ...]
    joint_names: tuple[str, ...] = ()
    joint_low: tuple[float, ...] = ()
    joint_high: tuple[float, ...] = ()
    settle_time: float = 0.0
    lock_step: bool = False
    has_reward: bool = False
    low: NDArray[np.float32] = field(init=False, repr=False, compare=False)
    high: NDArray[np.float32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not len(self.joint_names) == len(self.joint_low) == len(self.joint_high):
            raise UserError(
                f'robot {self.name!r}',
                expected='as many low and high limits as joints',
                found=f'{len(self.joint_names)}, {len(self.joint_low)} and {len(self.joint_high)}',
            )
        for name, low, high in zip(self.joint_names, self.joint_low, self.joint_high):
            if not -math.inf < low <= high < math.inf:
                raise UserError(f'joint {name!r}', expected='finite low <= high', found=f'{low}, {high}')
        if not 0.0 <= self.settle_time < math.inf:
            raise UserError(f'robot {self.name!r}', expected='settle_time of 0 s or more', found=str(self.settle_time))
        object.__setattr__(self, 'low', np.array([c.low for c in self.channels], np.float32))
        object.__setattr__(self, 'high', np.array([c.high for c in self.channels], np.float32))

    def to_units(self, unit_action: ArrayLike) -> NDArray[np.float32]:
        """Scales an action from [-1, 1] to the robot's units; discrete channels are rounded.

        Args:
            unit_action: (..., A), clipped to [-1, 1]; NaN stays NaN, which `check_action` refuses.

        Returns:
            float32 (..., A), within each channel's limits.
        """
        unit = np.clip(np.asarray(unit_action, np.float64), -1.0, 1.0)
        low, high = self.low.astype(np.float64), self.high.astype(np.float64)
        values = low + (unit + 1.0) * 0.5 * (high - low)
        values = np.where(self._discrete(), np.floor(values + 0.5), values)
        # Rounding may step over a limit by one unit in the last place.
        return np.clip(values, low, high).astype(np.float32)

    def to_unit(self, values: ArrayLike) -> NDArray[np.float32]:
        """Scales values (..., A) in the robot's units to float32 [-1, 1]; a channel with low == high gives 0."""
        return _to_unit(values, self.low, self.high)

    def zero(self) -> NDArray[np.float32]:
        """Returns the zero action, float32 (A,), clipped to each channel's limits."""
        return np.clip(np.zeros(len(self.channels), np.float32), self.low, self.high)

    def joints_to_unit(self, joints: ArrayLike) -> NDArray[np.float32]:
        """Scales joint angles (..., J), rad, to float32 [-1, 1] by their limits; fixed joints give 0."""
        return _to_unit(joints, self.joint_low, self.joint_high)

    def _discrete(self) -> NDArray[np.bool_]:
        return np.array([c.kind == Kind.DISCRETE for c in self.channels], bool)


def action_text(channels: Sequence[Channel], values: ArrayLike) -> str:
    """Returns an action (A,) in a robot's units as text, such as 'pan=5 tilt=0'."""
    return ' '.join(f'{c.name}={v:g}' for c, v in zip(channels, np.asarray(values, np.float64)))


def to_plain(robot: RobotInfo) -> dict[str, Any]:
    """Returns a robot as plain data for JSON: fields by name, the kind of a channel by its name in `Kind`.

    `has_reward` is absent where it is false, as in older versions, so that the hash of their config.json stays.
    """
    plain = {field.name: getattr(robot, field.name) for field in fields(robot) if field.init}
    if not robot.has_reward:
        del plain['has_reward']
    return plain | {'channels': [{**vars(c), 'kind': c.kind.name} for c in robot.channels]}


def from_plain(content: Mapping[str, Any]) -> RobotInfo:
    """Returns the robot that `to_plain` described.

    A kind may be its number too, and a channel the list of its values in order: so wrote sessions of format 1.

    Raises:
        UserError: unknown kind, or the description contradicts itself.
        KeyError, TypeError: fields are missing or unknown.
    """
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in dict(content).items()
    }
    values['channels'] = tuple(_channel(channel, values['name']) for channel in values['channels'])
    return RobotInfo(**values)


def from_message(message: Any) -> RobotInfo:
    """Reads a cls_interfaces/RobotInfo, of rclpy or from a bag; raises UserError where it contradicts itself.

    Bags of older versions lack `has_reward`.
    """
    return from_plain({
        'name': message.name, 'modalities': list(message.modalities),
        'channels': [[c.name, c.kind, c.unit, float(c.low), float(c.high)] for c in message.channels],
        'joint_names': list(message.joint_names), 'joint_low': list(map(float, message.joint_low)),
        'joint_high': list(map(float, message.joint_high)), 'settle_time': float(message.settle_time),
        'lock_step': bool(message.lock_step), 'has_reward': bool(getattr(message, 'has_reward', False)),
    })  # fmt: skip


def _channel(values: Mapping[str, Any] | Sequence[Any], robot: str) -> Channel:
    named = dict(values if isinstance(values, Mapping) else zip(_CHANNEL_FIELDS, values, strict=True))
    kinds = {kind.name: kind for kind in Kind} | {int(kind): kind for kind in Kind}
    if named['kind'] not in kinds:
        raise UserError(
            f'action channel {named["name"]!r} of {robot!r}',
            expected=f'a kind of {sorted(map(int, Kind))}',
            found=str(named['kind']),
        )
    return Channel(**named | {'kind': kinds[named['kind']]})


@dataclass(frozen=True)
class Difference:
    """Difference of two robots: an aspect, and its text in each of them."""

    aspect: str
    expected: str
    found: str


# Aspects by which robots are compared, the most important first.
ASPECTS = ('actions', 'joints', 'senses', 'name')
# Most channels or joints that an error lists; further ones are counted.
_NAMED = 3


def difference(expected: RobotInfo, found: RobotInfo, aspects: Sequence[str] = ASPECTS) -> Difference | None:
    """Compares two robots; used wherever a model, session or graph has to match a robot.

    Args:
        aspects: those of ASPECTS to compare. Actions: names, kinds, units and limits (float32, as sent) of the
            channels, in order. Name: of a simulation, with its environment: 'gym:CliffWalking-v1'.

    Returns:
        the first aspect in which they differ; None for the same robot.
    """
    for aspect in ASPECTS:
        one, other = _aspect(expected, aspect), _aspect(found, aspect)
        if aspect in aspects and one != other:
            return Difference(aspect, *_only_differing(one, other))
    return None


def _aspect(robot: RobotInfo, aspect: str) -> tuple[str, ...]:
    if aspect == 'actions':
        limits = zip(robot.channels, robot.low, robot.high)
        return tuple(
            f'{c.name} ({c.kind.name.lower()}) {low!s} to {high!s} {c.unit}'.rstrip() for c, low, high in limits
        )
    if aspect == 'joints':
        return robot.joint_names
    return robot.modalities if aspect == 'senses' else (robot.name,)


def _only_differing(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, str]:
    if len(one) != len(other):
        return _named(one), _named(other)
    different = [i for i, pair in enumerate(zip(one, other)) if pair[0] != pair[1]]
    return _named([one[i] for i in different]), _named([other[i] for i in different])


def _named(parts: Sequence[str]) -> str:
    more = f' and {len(parts) - _NAMED} more' if len(parts) > _NAMED else ''
    return ', '.join(parts[:_NAMED]) + more or 'none'


def _to_unit(values: ArrayLike, low: ArrayLike, high: ArrayLike) -> NDArray[np.float32]:
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    width = high - low
    unit = 2.0 * (np.asarray(values, np.float64) - low) / np.where(width > 0, width, 1.0) - 1.0
    return np.where(width > 0, unit, 0.0).astype(np.float32)


def check_action(info: RobotInfo, values: ArrayLike) -> NDArray[np.float32]:
    """Returns an action as float32 (A,); raises UserError for a wrong size or a value that is not finite."""
    with np.errstate(over='ignore'):  # too large for float32 becomes infinite and is refused below
        action = np.asarray(values, np.float32).reshape(-1)
    if action.shape != (len(info.channels),):
        raise UserError(f'action for {info.name!r}', expected=f'{len(info.channels)} values', found=f'{action.size}')
    if not np.isfinite(action).all():
        raise UserError(f'action for {info.name!r}', expected='finite values', found=str(action.tolist()))
    return action

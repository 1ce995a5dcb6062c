"""What a robot is to everybody else: its action channels, joints and senses. No ROS here."""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import UserError


class Kind(IntEnum):
    """What a number of an action means. Values equal the constants of cls_interfaces/ActionChannel."""

    RELATIVE = 0
    ABSOLUTE = 1
    VELOCITY = 2
    DISCRETE = 3


@dataclass(frozen=True)
class Channel:
    """One number of an action, between `low` and `high` in `unit`."""

    name: str
    kind: Kind
    unit: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low <= self.high):
            raise UserError(
                f'action channel {self.name!r}', expected='finite low <= high', found=f'{self.low}, {self.high}'
            )


@dataclass(frozen=True)
class RobotInfo:
    """What cls_interfaces/RobotInfo says, as plain data.

    Attributes:
        name: such as 'sim', 'pan_tilt', 'gym:CartPole-v1'.
        modalities: senses, 'camera' first where there is one.
        channels: one for each number of an action, length A.
        joint_names, joint_low, joint_high: joints and their limits, rad, length J (may be 0).
        settle_time: s from an action's end to an undisturbed image.
        lock_step: one image for each action, none in between.
    """

    name: str
    modalities: tuple[str, ...]
    channels: tuple[Channel, ...]
    joint_names: tuple[str, ...] = ()
    joint_low: tuple[float, ...] = ()
    joint_high: tuple[float, ...] = ()
    settle_time: float = 0.0
    lock_step: bool = False
    low: NDArray[np.float32] = field(init=False, repr=False, compare=False)
    high: NDArray[np.float32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not len(self.joint_names) == len(self.joint_low) == len(self.joint_high):
            raise UserError(
                f'robot {self.name!r}', expected='one low and one high limit for each joint',
                found=f'{len(self.joint_names)} joints, {len(self.joint_low)} and {len(self.joint_high)} limits',
            )  # fmt: skip
        object.__setattr__(self, 'low', np.array([c.low for c in self.channels], np.float32))
        object.__setattr__(self, 'high', np.array([c.high for c in self.channels], np.float32))

    def to_units(self, unit_action: ArrayLike) -> NDArray[np.float32]:
        """Scales an action from [-1, 1] to the robot's units; discrete channels are rounded.

        Args:
            unit_action: (A,), clipped to [-1, 1].

        Returns:
            float32 (A,), within each channel's limits.
        """
        unit = np.clip(np.asarray(unit_action, np.float32), -1.0, 1.0)
        values = self.low + (unit + 1.0) * 0.5 * (self.high - self.low)
        return np.where(self._discrete(), np.floor(values + 0.5), values).astype(np.float32)

    def to_unit(self, values: ArrayLike) -> NDArray[np.float32]:
        """Scales values in the robot's units, (..., A), to [-1, 1]; a channel of no width gives 0."""
        width = self.high - self.low
        safe = np.where(width > 0, width, 1.0)
        unit = 2.0 * (np.asarray(values, np.float32) - self.low) / safe - 1.0
        return np.where(width > 0, unit, 0.0).astype(np.float32)

    def zero(self) -> NDArray[np.float32]:
        """The action that does nothing where there is one, (A,): 0 clipped into each channel's limits."""
        return np.clip(np.zeros(len(self.channels), np.float32), self.low, self.high)

    def joints_to_unit(self, joints: ArrayLike) -> NDArray[np.float32]:
        """Scales joint angles, rad, (..., J), to [-1, 1] by their limits (row 000-058)."""
        low, high = np.array(self.joint_low), np.array(self.joint_high)
        return (2.0 * (np.asarray(joints, np.float64) - low) / (high - low) - 1.0).astype(np.float32)

    def _discrete(self) -> NDArray[np.bool_]:
        return np.array([c.kind == Kind.DISCRETE for c in self.channels], bool)


def check_action(info: RobotInfo, values: ArrayLike) -> NDArray[np.float32]:
    """Returns an action as float32 (A,) or raises UserError; never lets a non-finite number through (H4)."""
    action = np.asarray(values, np.float32).reshape(-1)
    if action.shape != (len(info.channels),):
        raise UserError(
            f'action for {info.name!r}', expected=f'{len(info.channels)} values', found=f'{action.size}'
        )
    if not np.isfinite(action).all():
        raise UserError(f'action for {info.name!r}', expected='finite values', found=str(action.tolist()))
    return action

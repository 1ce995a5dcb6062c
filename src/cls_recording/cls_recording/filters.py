"""Selects the actions of a recording by the value of one channel. No ROS here."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cls_common.errors import UserError
from cls_common.robot import RobotInfo

_EXPECTED = 'CHANNEL=VALUE, such as pan=5'


@dataclass(frozen=True)
class ActionFilter:
    """Matches actions whose channel `key` equals `value` exactly, as float32, the type in messages."""

    key: str
    value: np.float32

    @classmethod
    def parse(cls, text: str) -> 'ActionFilter':
        """Reads 'KEY=VALUE'; raises UserError without '=', without a key, or where VALUE is no finite number."""
        key, equals, value = (part.strip() for part in text.partition('='))
        if not equals or not key:
            raise UserError(f'action filter {text!r}', expected=_EXPECTED)
        try:
            with np.errstate(over='ignore'):  # too large becomes infinite and is refused below
                number = np.float32(float(value))
        except ValueError as error:
            raise UserError(f'action filter {text!r}', expected=_EXPECTED, found=f'value {value!r}') from error
        if not np.isfinite(number):
            raise UserError(f'action filter {text!r}', expected='a finite number', found=f'value {value!r}')
        return cls(key, number)

    def check(self, robot: RobotInfo) -> int:
        """Returns the channel's index; raises UserError where the robot has no such channel."""
        names = [channel.name for channel in robot.channels]
        if self.key not in names:
            raise UserError(f'action filter {self.key!r}', expected=f'a channel of {robot.name!r}: {", ".join(names)}')
        return names.index(self.key)

    def matches(self, robot: RobotInfo, values: ArrayLike) -> bool:
        """Whether an action, (A,) in the robot's units, has this value; raises UserError for an unknown channel."""
        index, action = self.check(robot), np.asarray(values, np.float32).reshape(-1)
        return index < action.size and bool(action[index] == self.value)

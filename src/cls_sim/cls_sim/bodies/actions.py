"""Between a Gymnasium action space and a robot's action channels."""

from typing import Any

from gymnasium import spaces
import numpy as np
from numpy.typing import NDArray

from cls_common.errors import UserError
from cls_common.robot import Channel, Kind, RobotInfo


def channels_of(space: 'spaces.Space[Any]', robot: str) -> tuple[Channel, ...]:
    """Returns a channel for each number of an action.

    A Box is of kind VELOCITY: Gymnasium does not say what its numbers mean, but nearly everywhere they are
    torques, forces or speeds that hold until the next action. Discrete choices count from 0, whatever `start`.

    Raises:
        UserError: not a bounded Box, Discrete or MultiDiscrete.
    """
    if isinstance(space, spaces.Discrete):
        return (Channel('action', Kind.DISCRETE, '', 0.0, float(space.n - 1)),)
    if isinstance(space, spaces.MultiDiscrete):
        counts = space.nvec.reshape(-1)
        return tuple(Channel(_name(i, len(counts)), Kind.DISCRETE, '', 0.0, float(n - 1)) for i, n in enumerate(counts))
    if isinstance(space, spaces.Box) and space.is_bounded('both'):
        low, high = space.low.reshape(-1), space.high.reshape(-1)
        return tuple(
            Channel(_name(i, len(low)), Kind.VELOCITY, '', float(low[i]), float(high[i])) for i in range(len(low))
        )
    raise UserError(
        f'actions of robot {robot!r}', expected='a bounded Box, Discrete or MultiDiscrete', found=str(space)
    )


def to_env_action(
    space: 'spaces.Space[Any]', info: RobotInfo, values: NDArray[np.float32]
) -> tuple[NDArray[np.float32], Any]:
    """Limits an action and puts it in the space's form.

    Args:
        values: finite float32 (A,).

    Returns:
        what is applied, float32 (A,), and the same as an element of `space`.
    """
    applied = np.clip(values, info.low, info.high)
    if isinstance(space, spaces.Box):
        return applied, applied.reshape(space.shape).astype(space.dtype)
    applied = np.floor(applied + 0.5).astype(np.float32)
    if isinstance(space, spaces.Discrete):
        return applied, space.start + space.dtype.type(applied[0])
    assert isinstance(space, spaces.MultiDiscrete)
    return applied, space.start + applied.reshape(space.nvec.shape).astype(space.dtype)


def _name(index: int, count: int) -> str:
    return 'action' if count == 1 else f'action_{index}'

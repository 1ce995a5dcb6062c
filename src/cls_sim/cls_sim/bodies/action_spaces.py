"""Conversion between a Gymnasium action space and a robot's action channels."""

from collections.abc import Iterator
from typing import Any

from gymnasium import spaces
import numpy as np
from numpy.typing import NDArray

from cls_common.errors import UserError
from cls_common.robot import Channel, Kind, RobotInfo

Space = spaces.Space[Any]
# Above this, float32 (the type of actions in messages) does not hold all integers.
_LARGEST_WHOLE = 2.0**24


def channels_of(space: Space, robot: str) -> tuple[Channel, ...]:
    """Returns a channel for each number of an action.

    A Box is of kind VELOCITY: Gymnasium does not define the meaning of its numbers, but most are torques, forces or
    speeds that hold until the next action. Choices count from 0, independent of their `start`. The parts of a Dict or
    Tuple are concatenated, named by their keys.

    Raises:
        UserError: for spaces other than bounded numbers and choices.
    """
    try:
        return tuple(channel for name, part in _parts(space, 'action') for channel in _channels(name, part))
    except UserError as error:
        raise UserError(
            f'actions of robot {robot!r}',
            found=f'{space} ({error})' if str(error) else str(space),
            expected='bounded numbers or choices: Box, Discrete, MultiDiscrete, MultiBinary, Dict or Tuple of them',
            do='Give its Box finite limits.' if isinstance(space, spaces.Box) else '',
        ) from error


def _parts(space: Space, name: str) -> Iterator[tuple[str, Space]]:
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _parts(part, str(key) if name == 'action' else f'{name}_{key}')
    elif isinstance(space, spaces.Tuple):
        for index, part in enumerate(space.spaces):
            yield from _parts(part, f'{name}_{index}')
    else:
        yield name, space


def _channels(name: str, space: Space) -> Iterator[Channel]:
    kind, low, high = _limits(space)
    for index, (smallest, largest) in enumerate(zip(low.tolist(), high.tolist())):
        yield Channel(name if len(low) == 1 else f'{name}_{index}', kind, '', smallest, largest)


def _limits(space: Space) -> tuple[Kind, NDArray[np.float64], NDArray[np.float64]]:
    """Returns the kind of a space's numbers and their limits as channel values, float64 (N,)."""
    if isinstance(space, spaces.Discrete):
        return Kind.DISCRETE, np.zeros(1), np.array([float(space.n - 1)])
    if isinstance(space, spaces.MultiDiscrete):
        high = space.nvec.reshape(-1) - 1.0
        return Kind.DISCRETE, np.zeros(len(high)), high
    if isinstance(space, spaces.MultiBinary):
        count = int(np.prod(space.shape))
        return Kind.DISCRETE, np.zeros(count), np.ones(count)
    if isinstance(space, spaces.Box) and space.is_bounded('both'):
        low, high = space.low.astype(np.float64).reshape(-1), space.high.astype(np.float64).reshape(-1)
        if not (_is_whole(space) and max(abs(low).max(initial=0.0), abs(high).max(initial=0.0)) > _LARGEST_WHOLE):
            return Kind.VELOCITY, low, high
    raise UserError('')


def _is_whole(space: 'spaces.Box') -> bool:
    return space.dtype is not None and space.dtype.kind in 'iub'


def to_env_action(space: Space, info: RobotInfo, values: NDArray[np.float32]) -> tuple[NDArray[np.float32], Any]:
    """Clips an action, rounds its integer parts, and converts it to an element of the space.

    Args:
        values: finite float32 (A,).

    Returns:
        the applied action, float32 (A,), and the same as an element of `space`.
    """
    applied = np.clip(values, info.low, info.high)
    action, rest = _take(space, applied)
    assert not rest.size
    return applied, action


def _take(space: Space, values: NDArray[np.float32]) -> tuple[Any, NDArray[np.float32]]:
    """Takes a space's element from the front of `values`, rounding in place; returns it and the rest."""
    if isinstance(space, spaces.Dict):
        taken = {}
        for key, part in space.spaces.items():
            taken[key], values = _take(part, values)
        return taken, values
    if isinstance(space, spaces.Tuple):
        items = []
        for part in space.spaces:
            item, values = _take(part, values)
            items.append(item)
        return tuple(items), values
    count = int(np.prod(space.shape or ()))
    own, rest = values[:count], values[count:]
    if not isinstance(space, spaces.Box) or _is_whole(space):
        own[:] = np.floor(own + 0.5)
    return _element(space, own.reshape(space.shape or ())), rest


def _element(space: Space, numbers: NDArray[np.float32]) -> Any:
    if isinstance(space, spaces.Discrete):
        return space.start + space.dtype.type(numbers)
    if isinstance(space, spaces.MultiDiscrete):
        return space.start + numbers.astype(space.dtype)
    if isinstance(space, spaces.Box):
        # Rounding to float32 may exceed a limit.
        exact = numbers.astype(np.float64)
        return np.clip(exact, space.low.astype(np.float64), space.high.astype(np.float64)).astype(space.dtype)
    return numbers.astype(space.dtype)

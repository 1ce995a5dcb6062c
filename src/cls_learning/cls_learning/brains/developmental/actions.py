"""The actions of a robot that are compared, and the policies of the brain `developmental`."""

import math

import numpy as np
import torch
from torch import Tensor

from cls_common.robot import Kind, RobotInfo
from cls_common.transition import Floats

from ...policies.contract import Selector
from ...policies.sequence import SequencePolicy
from ...registries import POLICIES
from .settings import AUTOMATIC, DevelopmentalSettings, UNCERTAINTY

# Values of a continuous channel that are compared.
_LEVELS = (0.0, -1.0, 1.0)


def candidates(robot: RobotInfo, most: int) -> Floats:
    """Returns actions that cover those of a robot, float32 (K, A) in -1..1, K <= most.

    All values of a discrete channel, rest and both limits of another one, in all combinations; of more than `most`
    combinations evenly spaced ones.
    """
    values = []
    for channel in robot.channels:
        count = int(channel.high - channel.low) + 1
        values.append(np.linspace(-1, 1, count) if channel.kind == Kind.DISCRETE and count > 1 else np.array(_LEVELS))
    # Whole numbers of Python: many channels have more combinations than 64 bits count.
    total = math.prod(len(each) for each in values)
    count = min(most, total)
    numbers = sorted({round(k * (total - 1) / max(count - 1, 1)) for k in range(count)})
    return np.array([_combination(values, number) for number in numbers], np.float32)


def _combination(values: list[np.ndarray], number: int) -> list[float]:
    """Returns one combination of the channels' values by its number, of which the last channel counts ones."""
    found = []
    for each in reversed(values):
        number, place = divmod(number, len(each))
        found.append(float(each[place]))
    return found[::-1]


def make_selector(settings: DevelopmentalSettings, robot: RobotInfo, seed: int) -> Selector | None:
    """Returns the policy of mode curiosity that does not depend on predictions; None for `uncertainty`.

    Raises:
        UserError: there is no such policy, or it needs what this brain does not have.
    """
    kind = settings.policy.kind
    if kind == AUTOMATIC:
        channel = robot.channels[0]
        is_pair = len(robot.channels) == 1 and channel.kind == Kind.DISCRETE and channel.high - channel.low == 1
        if not is_pair:
            return None
        return SequencePolicy([np.array([value], np.float32) for value in (channel.low, channel.high)], robot)
    if kind == UNCERTAINTY:
        return None
    found: Selector = POLICIES.make(kind, settings, robot, 0, None, seed)
    return found


def as_input(actions: Floats) -> Tensor:
    """Returns actions as float32 tensors."""
    return torch.from_numpy(np.ascontiguousarray(actions, np.float32))

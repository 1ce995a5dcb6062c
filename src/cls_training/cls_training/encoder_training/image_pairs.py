"""Reads images and actions of recorded sessions as training data of encoders."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
import torch

from cls_common import comms
from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.stamps import to_nanoseconds
from cls_common.transition import EMBEDDING, Reading, Transition
from cls_perception.objective import ImagePairs
from cls_perception.small_images import shrink
from cls_recording.reader import Event, SessionReader
from cls_recording.steps import from_senses, missing, Readings, to_image

from ..transition_reader import check_robot

_APPLIED = comms.APPLIED_ACTION.name
# A step may use an image this many images before the last used one.
_HISTORY = 1024


def robot_of(path: Path) -> RobotInfo:
    """Returns the robot of a session; raises UserError if it names none."""
    with SessionReader(path) as reader:
        if reader.info.robot is None:
            raise missing(reader, [comms.ROBOT_INFO.name])
        return reader.info.robot


def read_image_pairs(
    paths: Sequence[Path], robot: RobotInfo, limit: int, report: Callable[[int], None] = lambda _: None
) -> ImagePairs:
    """Reads the first steps of sessions, with the images before and after each, paired as the learner pairs them.

    Args:
        limit: largest number of steps.
        report: called after each step with the number of steps so far.

    Raises:
        UserError: a session of another robot, without images or actions, damaged, or nothing in any of them.
    """
    steps: list[tuple[int, int]] = []
    actions: list[NDArray[np.float32]] = []
    store = _ImageStore()
    for path in paths:
        with SessionReader(path) as reader:
            check_robot(reader, robot)
            transitions = from_senses(reader, [_image_topic(reader)], (EMBEDDING,), store.add, robot)
            for step in islice(transitions, limit - len(steps)):
                steps.append(store.use(step))
                actions.append(in_unit(robot, step.action_applied))
                report(len(steps))
    if not steps:
        raise UserError('the sessions', expected='steps to learn from', found='none')
    images, places = store.used()
    before, after = (torch.tensor([places[step[i]] for step in steps]) for i in (0, 1))
    return ImagePairs(images, before, after, torch.from_numpy(np.stack(actions)))


def in_unit(robot: RobotInfo, action: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns an action, given in the robot's units, scaled to about -1 to 1, float32 (A,)."""
    half = np.maximum((robot.high - robot.low) / 2, np.finfo(np.float32).tiny)
    return np.asarray(np.clip((action - (robot.high + robot.low) / 2) / half, -2.0, 2.0), np.float32)


class _ImageStore:
    """Small copies of images by number; old images that no step uses are dropped."""

    def __init__(self) -> None:
        self._count = 0
        self._small: dict[int, torch.Tensor] = {}
        self._used: set[int] = set()
        self._oldest = 0

    def add(self, event: Event) -> Readings:
        """Adds a recorded image; the embedding returned is its number."""
        image = to_image(event)
        number = self._count
        self._count += 1
        self._small[number] = shrink(torch.from_numpy(image.copy())[None])[0]
        stamp = to_nanoseconds(event.message.header.stamp)
        return {EMBEDDING: Reading(np.array([number], np.float32), stamp)}

    def use(self, step: Transition) -> tuple[int, int]:
        """Returns the numbers of the images before and after a step."""
        before, after = int(step.z[0]), int(step.z_next[0])
        self._used |= {before, after}
        for number in range(self._oldest, before - _HISTORY):
            if number not in self._used:
                self._small.pop(number, None)
        self._oldest = max(self._oldest, before - _HISTORY)
        return before, after

    def used(self) -> tuple[torch.Tensor, dict[int, int]]:
        """Returns the images that steps use, uint8 (N, 3, 96, 96), and the index of each number among them."""
        numbers = sorted(self._used)
        return torch.stack([self._small[number] for number in numbers]), {n: i for i, n in enumerate(numbers)}


def _image_topic(reader: SessionReader) -> str:
    found = next((name for name in (comms.IMAGE.name, comms.COMPRESSED.name) if name in reader.topics), None)
    if found is None or _APPLIED not in reader.topics:
        raise missing(reader, [f'{comms.IMAGE.name} or {comms.COMPRESSED.name}', _APPLIED])
    return found

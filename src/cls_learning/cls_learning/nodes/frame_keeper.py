"""Keeps camera images until the experience that names them comes, then writes both to the model folder."""

from collections import OrderedDict
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from cls_common import comms
from cls_common.images import Image
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_image, to_nanoseconds
from cls_common.transition import Experience

from ..model_store.frames import FrameStore

# Images waiting for their experience: at 30 Hz and 2 actions a second 15 come for each step.
WAITING = 90


class FrameKeeper:
    """Pairs images and experiences by stamp.

    Attributes:
        missing: steps whose images were lost on the way; counted, never made up.
    """

    def __init__(self, node: Node, folder: Path) -> None:
        self._store = FrameStore(folder / 'frames')
        self._images: OrderedDict[int, Image] = OrderedDict()
        self.missing = 0
        group = MutuallyExclusiveCallbackGroup()
        # Each image may be the one: none is skipped for a newer one, as who looks for the newest would.
        every = replace(comms.IMAGE.profile, depth=WAITING)
        qos.subscription(node, comms.IMAGE, self._on_image, profile=every, callback_group=group)

    def _on_image(self, message: Any) -> None:
        self._images[to_nanoseconds(message.header.stamp)] = from_image(message)
        while len(self._images) > WAITING:
            self._images.popitem(last=False)

    def keep(self, experience: Experience) -> None:
        """Writes the pair of one step, numbered from 0."""
        t = experience.transition
        before, after = self._images.get(t.stamp_z), self._images.get(t.stamp_next)
        if before is None or after is None:
            self.missing += 1
            return
        self._store.write(experience.sequence - 1, t.action_applied.tolist(), before, after, datetime.now())

    def close(self) -> None:
        """Closes the index."""
        self._store.close()

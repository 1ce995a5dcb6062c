"""What fast_learner says of itself, twice a second and whenever its phase changes."""

import math
import time
from typing import TYPE_CHECKING

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_floats
from cls_interfaces.msg import LearnerStatus

from ..agent.rate import Rate
from ..agent.skill import SkillWindow
from ..types import Experience
from .messages import set_metrics, set_unknown

if TYPE_CHECKING:
    from .fast_learner import FastLearnerNode


class FastStatus:
    """Counts for the node and publishes fast_learner/status.

    Attributes:
        steps: wake steps since the weights came. faults: so far; `fault` is the newest, empty after a good step.
        frame_rate: embeddings a second.
    """

    def __init__(self, node: 'FastLearnerNode') -> None:
        self._node = node
        self.steps = self.faults = 0
        self.fault = ''
        self.frame_rate, self._step_rate = Rate(), Rate()
        self._skill = SkillWindow()
        self._metrics: dict[str, float] = {}
        self._probed: dict[str, float] = {}
        self._out = qos.publisher(node, comms.FAST_STATUS)
        qos.subscription(node, comms.SLOW_STATUS, self._on_slow_status)

    def _on_slow_status(self, message: LearnerStatus) -> None:
        # slow_learner holds the held-out transitions and scores Fast on them too.
        self._probed = dict(zip(message.metric_names, message.metric_values))
        if message.run_id == self._node.run_id:
            self._node.backlog.hear(message.total_steps, message.written, time.monotonic())

    def stepped(self, experience: Experience) -> None:
        """Counts a wake step."""
        self.steps += 1
        self.fault = ''
        self._metrics = experience.metrics
        self._skill.add(experience.error_before, experience.copy_error)
        self._step_rate.tick(time.monotonic())

    def woke_up(self) -> None:
        """Counts the rate anew: a night is no slow step."""
        self._step_rate.pause()

    def publish(self) -> None:
        """Says how it goes."""
        node, now = self._node, time.monotonic()
        status = LearnerStatus(
            node=node.get_name(), phase=node.phase, mode=node.mode, model=node.model, run_id=node.run_id,
            config_sha256=node.config_sha256, loaded=node.waking is not None,
            steps=self.steps, faults=self.faults, fault=self.fault, rate_hz=self._step_rate.value(now),
            frame_rate=self.frame_rate.value(now), joints=to_floats(node.wake.joints, 'd'),
        )  # fmt: skip
        status.header.stamp = node.get_clock().now().to_msg()
        set_unknown(status)
        status.skill = self._skill.value()
        status.probe_skill = self._probed.get('fast_probe_skill', math.nan)
        status.action_use = self._probed.get('fast_action_use', math.nan)
        if node.waking is not None:
            status.total_steps = node.waking.total_steps
            status.wake_steps_in_cycle = node.waking.wake_steps_in_cycle
            status.wake_steps_per_cycle = node.waking.settings.sleep.wake_steps_per_cycle
            status.cycles = node.waking.cycles
            status.memory_size = len(node.waking.memory)
        status.behind, status.slowed = node.backlog.behind, node.backlog.slowed
        if node.backlog.must_wait:
            status.alarms = [f'acting waits: slow_learner is {node.backlog.behind} steps behind']
        set_metrics(status, self._metrics)
        self._out.publish(status)

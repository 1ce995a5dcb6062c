"""The status of fast_learner, twice a second and whenever its phase changes."""

import time
from typing import TYPE_CHECKING

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_floats
from cls_common.nodes.experience_messages import to_metrics
from cls_common.nodes.metric_topics import MetricTopics
from cls_common.transition import Experience
from cls_interfaces.msg import LearnerStatus

from ..runtime.rate_meter import RateMeter

if TYPE_CHECKING:
    from .fast_learner import FastLearnerNode


class FastStatus:
    """Counts for the node and publishes fast_learner/status and its metrics.

    Attributes:
        steps: wake steps since the weights came. faults: so far; `fault` is the newest, empty after a good step.
        frame_rate: observations a second.
    """

    def __init__(self, node: 'FastLearnerNode') -> None:
        self._node = node
        self.steps = self.faults = 0
        self.fault = ''
        self.frame_rate, self._step_rate = RateMeter(), RateMeter()
        self._metrics: dict[str, float] = {}
        self._out = qos.publisher(node, comms.FAST_STATUS)
        self._plots = MetricTopics(node)
        qos.subscription(node, comms.SLOW_STATUS, self._on_slow_status)

    def _on_slow_status(self, message: LearnerStatus) -> None:
        if message.run_id == self._node.run_id:
            self._node.backlog.add_report(message.total_steps, message.written, time.monotonic())

    def stepped(self, experience: Experience) -> None:
        """Counts a wake step."""
        self.steps += 1
        self.fault = ''
        self._metrics = dict(experience.metrics)
        self._step_rate.tick(time.monotonic())

    def woke_up(self) -> None:
        """Measures the rate again, since a sleep is no slow step, and publishes the status."""
        self._step_rate.pause()
        self.publish()

    def report_fault(self, text: str) -> None:
        """Counts and shows a fault; logged at most once a second."""
        self.faults += 1
        self.fault = text
        self._node.get_logger().warning(text, throttle_duration_sec=1.0)

    def publish(self) -> None:
        """Publishes the status."""
        node, now, learner = self._node, time.monotonic(), self._node.learner
        status = LearnerStatus(
            node=node.get_name(), phase=node.phase, mode=node.mode, model=node.model, run_id=node.run_id,
            config_sha256=node.config_sha256, loaded=learner is not None,
            steps=self.steps, faults=self.faults, fault=self.fault, rate_hz=self._step_rate.value(now),
            frame_rate=self.frame_rate.value(now), joints=to_floats(node.steps.joints, 'd'),
        )  # fmt: skip
        status.header.stamp = node.get_clock().now().to_msg()
        status.behind, status.slowed = node.backlog.behind, node.backlog.slowed
        if node.backlog.must_wait:
            status.alarms = [f'acting waits: slow_learner is {node.backlog.behind} steps behind']
        if learner is not None and node.config is not None:
            status.brain = node.config.brain_name
            status.total_steps, status.cycles = learner.total_steps, learner.cycles
            status.wake_steps_in_cycle = learner.wake_steps_in_cycle
            status.wake_steps_per_cycle = learner.wake_steps_per_cycle
            status.memory_size, status.memory_bytes = learner.memory_size, learner.memory_bytes
            metrics = self._metrics | learner.metrics()
            status.metrics = to_metrics(metrics, node.config.brain.headlines)
            self._plots.publish(metrics)
        self._out.publish(status)

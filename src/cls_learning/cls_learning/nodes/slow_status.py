"""The status of slow_learner, twice a second and every few steps."""

import time

from rclpy.node import Node

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.experience_messages import to_metrics
from cls_common.nodes.metric_topics import MetricTopics
from cls_interfaces.msg import LearnerStatus

from ..runtime.learner_session import LearnerSession
from .slow_worker import SlowWorker

# The status is published twice a second, and after so many steps learned, since acting may wait for them.
PERIOD, STEPS = 0.5, 25


class SlowStatus:
    """Publishes slow_learner/status and its metrics."""

    def __init__(self, node: Node, model: str, brain: str, worker: SlowWorker) -> None:
        self._node = node
        self._model, self._brain = model, brain
        self._worker = worker
        self._published, self._published_steps = 0.0, 0
        self._out = qos.publisher(node, comms.SLOW_STATUS)
        self._plots = MetricTopics(node)

    def publish_if_due(self) -> None:
        """Publishes the status where it is due; called ten times a second."""
        worker, now = self._worker, time.monotonic()
        if now - self._published < PERIOD and worker.steps - self._published_steps < STEPS:
            return
        self._published, self._published_steps = now, worker.steps
        progress = worker.status.progress
        status = LearnerStatus(
            node=self._node.get_name(), brain=self._brain, phase=progress.phase, is_asleep=worker.status.is_asleep,
            phase_step=progress.step, phase_steps=progress.steps, model=self._model, dropped=worker.dropped,
            last_sleep=worker.status.last_sleep,
        )  # fmt: skip
        status.header.stamp = self._node.get_clock().now().to_msg()
        if worker.session is not None:
            self._fill(status, worker.session)
        self._out.publish(status)

    def _fill(self, status: LearnerStatus, session: LearnerSession) -> None:
        consolidator = session.consolidator
        status.loaded, status.steps = self._worker.is_ready, self._worker.steps
        status.run_id, status.config_sha256 = session.run_id, session.config.sha256
        status.total_steps, status.written = session.sequence, session.written
        status.cycles, status.generation = session.cycles, session.folder.generation
        status.memory_size, status.memory_bytes = consolidator.memory_size, consolidator.memory_bytes
        status.dropped += consolidator.gaps
        status.alarms, status.sleeps_rolled_back = consolidator.alarms, consolidator.sleeps_rolled_back
        metrics = session.status_metrics()
        status.metrics = to_metrics(metrics, session.brain.headlines)
        self._plots.publish(metrics)

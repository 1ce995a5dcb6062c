"""The node of the consolidator: learns from every experience, sleeps on request, owns the model folder."""

from collections.abc import Sequence
import json
import os
from pathlib import Path
import secrets
import sys
import threading
import time
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger
import torch

from cls_common import comms
from cls_common.errors import UserError
from cls_common.experience_codec import from_message
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_robot_info
from cls_common.nodes.experience_messages import to_metrics
from cls_common.nodes.metric_topics import MetricTopics
from cls_common.nodes.parameters import declare, overrides, read
from cls_common.nodes.runner import run
from cls_common.resources import config_dir
from cls_common.robot import RobotInfo
from cls_interfaces.action import Sleep
from cls_interfaces.msg import LearnerStatus
from cls_perception.devices import choose_device

from ..brain import check_goal, inputs_of, Progress
from ..model_store.config_file import ModelConfig
from ..model_store.folder import ModelFolder
from ..node_settings import choose_brain, with_recipe
from ..runtime.config_resolution import check_against, resolve
from ..runtime.learner_session import LearnerSession
from ..runtime.model_creation import create_model, new_config
from .fast_link import FastLink
from .jobs import SaveJob, SleepJob
from .senses import VectorSizes
from .sleep_messages import from_goal, to_result
from .slow_worker import SlowWorker

# Three for callbacks that wait (a sleep, two that asked for a save), two for those that never do.
THREADS = 5
FEEDBACK_EVERY = 10
# The status is published twice a second, and after so many steps learned, since acting may wait for them.
STATUS_PERIOD, STATUS_STEPS = 0.5, 25


class SlowLearnerNode(Node):
    """The consolidator of any brain, and the model folder.

    Parameters: `cls_learning.node_settings.SlowNodeSettings` and the brain's recipe, which counts for a new model only.

    Publishers: slow_learner/status, slow_learner/metrics/<name>.
    Subscribers: experience, robot/info, fast_learner/status; for a new model, observation/<modality> of the
        vectors that the brain perceives.
    Services: save_model. Action servers: sleep.
    Clients: fast_learner/{begin_sleep, end_sleep, get_state, load_state}, encoder/get_encoder.
    Timers (steady): 0.1 s for the status, which is published every 0.5 s or 25 steps.
    """

    def __init__(self) -> None:
        super().__init__('slow_learner')
        asked = overrides(self)
        self._brain = choose_brain(asked)
        parameters, recipe_names = with_recipe(self._brain), dict(self._brain.settings.leaves())
        recipe, self._origins, self._asked = resolve(
            config_dir() / 'presets', asked.get('preset', ''),
            {name: value for name, value in asked.items() if name in recipe_names}, self._brain,
        )  # fmt: skip
        chosen = read(self, parameters, recipe.to_flat())
        self._folder = ModelFolder(Path(chosen.models_dir), chosen.model)
        # The parameters of a model that exists show its own recipe, which is what runs.
        config = self._folder.config
        frozen = {**config.settings.to_flat(), 'seed': config.seed} if config else {}
        self._settings = declare(self, parameters, recipe.to_flat(), frozen)
        self._recipe = recipe
        # Measured on 2 cores, encoder and simulator running: a sleep of 8 s with one thread, of 12 s with two.
        torch.set_num_threads(self._settings.threads or max((os.cpu_count() or 1) // 2, 1))
        self._robot: RobotInfo | None = None
        self._robot_known = threading.Event()
        self._config_sha256 = ''
        self._is_asleep, self._saving = threading.Lock(), threading.Lock()
        self._save: SaveJob | None = None
        self._waiting = threading.Semaphore(2)
        self._published, self._published_steps = 0.0, 0
        parallel, in_order = ReentrantCallbackGroup(), MutuallyExclusiveCallbackGroup()
        self._status_out = qos.publisher(self, comms.SLOW_STATUS)
        self._plots = MetricTopics(self)
        self._worker: SlowWorker | None = None
        self._link = FastLink(self, lambda: self._worker is not None and self._worker.is_stopping, parallel)
        self._worker = SlowWorker(self, self._link, self._settings.lease, self._settings.nice, self._open_session)
        qos.subscription(self, comms.ROBOT_INFO, self._on_robot_info, callback_group=parallel)
        qos.subscription(self, comms.EXPERIENCE, self._on_experience, callback_group=in_order)
        qos.subscription(self, comms.FAST_STATUS, self._on_fast_status, callback_group=parallel)
        self.create_service(Trigger, comms.SAVE_MODEL.name, self._on_save, callback_group=parallel)
        self._server = ActionServer(
            self, Sleep, comms.SLEEP.name, self._on_sleep, callback_group=parallel, goal_callback=self._on_goal,
            cancel_callback=lambda _: CancelResponse.ACCEPT, result_timeout=900,
        )  # fmt: skip
        qos.steady_timer(self, 0.1, self._on_status_timer, callback_group=MutuallyExclusiveCallbackGroup())

    @property
    def finished(self) -> bool:
        """Whether the worker ended; its error ends the process."""
        worker = self._worker
        if worker is not None and worker.error is not None:
            raise worker.error
        return False

    def wind_down(self) -> bool:
        """Ends in order after the first signal: the journal gets every experience of fast_learner first."""
        assert self._worker is not None
        self._worker.begin_end()
        return self._worker.is_over

    def close(self) -> None:
        """Ends the worker; whatever was not saved is in the journal."""
        if self._worker is not None:
            self._worker.stop()
        self._folder.close(keep_unlearned=False)

    def _open_session(self) -> LearnerSession:
        """Creates the model as soon as robot and encoder are known, or resumes it; runs in the worker."""
        folder = self._folder
        if folder.config is None:
            self.get_logger().info(f'new model {self._settings.model!r}: waiting for robot and encoder')
            config, encoder_weights = self._describe_new_model()
            create_model(folder, config, encoder_weights)
        else:
            check_against(folder.config.settings, self._asked, self._settings.model)
            if self._settings.accept_robot:
                folder.accept_robot(self._await_robot())
        session = LearnerSession(folder, str(choose_device(self._settings.device)))
        self._config_sha256 = session.config.sha256
        self.get_logger().info(f'model {self._settings.model!r} at step {session.sequence}, cycle {session.cycles}')
        return session

    def _describe_new_model(self) -> tuple[ModelConfig, bytes]:
        robot = self._await_robot()
        inputs = inputs_of(self._brain, self._recipe, robot)
        vectors = self._await_vectors([each.name for each in inputs if each.kind == 'vector'])
        encoder, weights = self._await_encoder() if any(each.kind == 'embedding' for each in inputs) else ({}, b'')
        seed = self._settings.seed if self._settings.seed >= 0 else secrets.randbelow(2**31)
        return new_config(robot, encoder, seed, self._recipe, self._origins, self._brain.name, vectors), weights

    def _await_encoder(self) -> tuple[dict[str, Any], bytes]:
        # An encoder of observations has no size, and so no id, before it has seen the first one.
        while not self._link.get_encoder(with_weights=False, patience=float('inf')).encoder_id:
            threading.Event().wait(0.1)
        answer = self._link.get_encoder(with_weights=True, patience=float('inf'))
        about = {'id': answer.encoder_id, 'size': answer.size, 'version': answer.version}
        return {**json.loads(answer.config), **about}, bytes(answer.weights)

    def _await_vectors(self, modalities: list[str]) -> dict[str, int]:
        found = VectorSizes(self, modalities)
        while not found.are_known:
            self._check_going_on()
            threading.Event().wait(0.1)
        return found.sizes

    def _await_robot(self) -> RobotInfo:
        while not self._robot_known.wait(0.2):
            self._check_going_on()
        assert self._robot is not None
        return self._robot

    def _check_going_on(self) -> None:
        if self._worker is not None and self._worker.is_stopping:
            raise self._link.ended()

    def _on_robot_info(self, message: Any) -> None:
        self._robot = from_robot_info(message)
        self._robot_known.set()

    def _on_experience(self, message: Any) -> None:
        assert self._worker is not None
        try:
            experience = from_message(message)
        except ValueError as error:
            self.get_logger().warning(f'experience refused: {error}', throttle_duration_sec=1.0)
            return
        self._worker.put(experience)

    def _on_fast_status(self, message: LearnerStatus) -> None:
        assert self._worker is not None
        session = self._worker.session
        if session is not None and message.run_id == session.run_id:
            self._worker.reported = message.total_steps
        if not message.loaded and self._worker.is_ready:
            self._worker.reload_fast()

    def _on_goal(self, _goal: Any) -> GoalResponse:
        assert self._worker is not None
        if self._worker.is_ready and self._is_asleep.acquire(blocking=False):
            return GoalResponse.ACCEPT
        reason = 'asleep already' if self._worker.is_ready else 'fast_learner has no weights yet'
        self.get_logger().warning(f'sleep goal rejected: {reason}', throttle_duration_sec=5.0)
        return GoalResponse.REJECT

    def _on_sleep(self, handle: Any) -> Sleep.Result:
        assert self._worker is not None
        try:
            assert self._worker.session is not None
            try:
                goal = from_goal(handle.request)
                check_goal(goal, self._worker.session.phases)
            except UserError as error:
                handle.abort()
                return Sleep.Result(error_code=Sleep.Result.BAD_GOAL, error_msg=str(error))

            def feedback(progress: Progress) -> None:
                if progress.step % FEEDBACK_EVERY == 1 or progress.step == progress.steps:
                    handle.publish_feedback(Sleep.Feedback(**vars(progress)))

            job = SleepJob(goal, feedback, lambda: handle.is_cancel_requested)
            self._worker.put(job)
            while not job.done.wait(0.5):
                if self._worker.is_over:
                    job.message = str(self._worker.error or 'slow_learner ends')
                    break
            if job.code == Sleep.Result.NONE:
                handle.succeed()
            elif job.code == Sleep.Result.CANCELLED and handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
            return to_result(job)
        finally:
            self._is_asleep.release()

    def _on_save(self, _request: Any, response: Trigger.Response) -> Trigger.Response:
        assert self._worker is not None
        if not self._worker.is_ready or self._is_asleep.locked():
            response.message = f'not now: {self._worker.phase}'
            return response
        # Two waiting callbacks at most: with every thread waiting, nothing would be heard that they wait for.
        if not self._waiting.acquire(blocking=False):
            response.message = 'not now: a save is under way'
            return response
        try:
            job = self._pending_save()
            while not job.done.wait(0.5) and not self._worker.is_over:
                pass
        finally:
            self._waiting.release()
        response.success, response.message = job.success, job.message
        return response

    def _pending_save(self) -> SaveJob:
        """Returns the save that is under way, or begins one: a client that asks twice gets the answer of one save."""
        assert self._worker is not None
        with self._saving:
            if self._save is None or self._save.done.is_set():
                self._save = SaveJob()
                self._worker.put(self._save)
            return self._save

    def _on_status_timer(self) -> None:
        worker, now = self._worker, time.monotonic()
        assert worker is not None
        if now - self._published < STATUS_PERIOD and worker.steps - self._published_steps < STATUS_STEPS:
            return
        self._published, self._published_steps = now, worker.steps
        status = LearnerStatus(
            node=self.get_name(), brain=self._brain.name, phase=worker.phase, is_asleep=worker.is_asleep,
            phase_step=worker.step, phase_steps=worker.steps_of_phase, model=self._settings.model,
            dropped=worker.dropped, last_sleep=worker.last_sleep,
        )  # fmt: skip
        status.header.stamp = self.get_clock().now().to_msg()
        if worker.session is not None:
            self._fill(status, worker.session, worker)
        self._status_out.publish(status)

    def _fill(self, status: LearnerStatus, session: LearnerSession, worker: SlowWorker) -> None:
        consolidator = session.consolidator
        status.loaded, status.steps = worker.is_ready, worker.steps
        status.run_id, status.config_sha256 = session.run_id, self._config_sha256
        status.total_steps, status.written = session.sequence, session.written
        status.cycles, status.generation = session.cycles, session.folder.generation
        status.memory_size, status.memory_bytes = consolidator.memory_size, consolidator.memory_bytes
        status.dropped += consolidator.gaps
        status.alarms, status.sleeps_rolled_back = consolidator.alarms, consolidator.sleeps_rolled_back
        metrics = session.status_metrics()
        status.metrics = to_metrics(metrics, self._brain.headlines)
        self._plots.publish(metrics)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(SlowLearnerNode, args, lambda: MultiThreadedExecutor(num_threads=THREADS))


if __name__ == '__main__':
    sys.exit(main())

"""The node of the sleeping half: learns from every experience, sleeps on request, owns the model folder."""

from collections.abc import Sequence
from datetime import datetime
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
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_robot_info
from cls_common.nodes.parameters import declare, overrides, read
from cls_common.nodes.runner import run
from cls_common.resources import config_dir
from cls_common.robot import RobotInfo
from cls_interfaces.action import Sleep
from cls_interfaces.msg import LearnerStatus
from cls_perception.devices import choose_device

from ..agent.cortex import Cortex, make_waking_half
from ..agent.recipe import check_against, resolve
from ..checkpoints.config_file import ModelConfig
from ..checkpoints.folder import ModelFolder
from ..config import LearningSettings
from ..consolidation.night import Goal, Progress
from ..node_settings import SlowNodeSettings
from .fast_link import FastLink
from .frame_keeper import FrameKeeper
from .jobs import SaveJob, SleepJob
from .messages import from_experience_message, set_metrics, set_mornings, set_unknown, to_result
from .slow_worker import SlowWorker

# Three for callbacks that wait (a sleep, two that asked for a save), two for those that never do.
THREADS = 5
FEEDBACK_EVERY = 10
# The status is published twice a second, and after so many steps learned, since acting may wait for them.
STATUS_PERIOD, STATUS_STEPS = 0.5, 25


class SlowLearnerNode(Node):
    """Slow, replay memory, consolidation and the model folder.

    Parameters: `cls_learning.node_settings.SlowNodeSettings`; the recipe counts for a new model only.

    Publishers: slow_learner/status.
    Subscribers: experience, robot/info, fast_learner/status; camera/image_raw with save_frames.
    Services: save_model. Action servers: sleep.
    Clients: fast_learner/{begin_sleep, end_sleep, get_state, load_state}, encoder/get_encoder.
    Timers (steady): 0.1 s for the status, which is published every 0.5 s or 25 steps.
    """

    def __init__(self) -> None:
        super().__init__('slow_learner')
        self._asked = {k: v for k, v in overrides(self).items() if k in dict(LearningSettings.leaves())}
        preset = overrides(self).get('preset', '')
        recipe, self._origins, self._asked = resolve(config_dir() / 'presets', preset, self._asked)
        chosen = read(self, SlowNodeSettings, recipe.to_flat())
        self._folder = ModelFolder(Path(chosen.models_dir), chosen.model)
        # The parameters of a model that exists show its own recipe, which is what runs.
        config = self._folder.config
        frozen = {**config.settings.to_flat(), 'seed': config.seed} if config else {}
        self._settings = declare(self, SlowNodeSettings, recipe.to_flat(), frozen)
        self._recipe = recipe
        # Measured on 2 cores, eyes and body running: a night of 8 s with one thread, of 12 s with two.
        torch.set_num_threads(self._settings.threads or max((os.cpu_count() or 1) // 2, 1))
        self._robot: RobotInfo | None = None
        self._robot_known = threading.Event()
        self._config_sha256 = ''
        self._is_asleep, self._saving = threading.Lock(), threading.Lock()
        self._save: SaveJob | None = None
        self._waiting = threading.Semaphore(2)
        self._published, self._published_steps = 0.0, 0
        parallel, in_order = ReentrantCallbackGroup(), MutuallyExclusiveCallbackGroup()
        self._frames = FrameKeeper(self, self._folder.path) if self._settings.save_frames else None
        self._status_out = qos.publisher(self, comms.SLOW_STATUS)
        self._worker: SlowWorker | None = None
        self._link = FastLink(self, lambda: self._worker is not None and self._worker.is_stopping, parallel)
        self._worker = SlowWorker(self, self._link, self._settings.lease, self._settings.nice, self._open_cortex)
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
        if self._frames is not None:
            self._frames.close()
        self._folder.close(keep_unlearned=False)

    def _open_cortex(self) -> Cortex:
        """Creates the model as soon as robot and encoder are known, or resumes it; runs in the worker."""
        folder = self._folder
        if folder.config is None:
            self.get_logger().info(f'new model {self._settings.model!r}: waiting for robot and encoder')
            config, encoder_weights = self._describe_new_model()
            make_waking_half(config)  # refuses a policy that can't act on this robot, before it is frozen
            folder.create(config, encoder_weights)
        else:
            check_against(folder.config.settings, self._asked, self._settings.model)
            if self._settings.accept_robot:
                folder.accept_robot(self._await_robot())
        cortex = Cortex(folder, str(choose_device(self._settings.device)))
        self._config_sha256 = cortex.config.sha256
        self.get_logger().info(f'model {self._settings.model!r} at step {cortex.sequence}, cycle {cortex.cycles}')
        return cortex

    def _describe_new_model(self) -> tuple[ModelConfig, bytes]:
        robot = self._await_robot()
        # An encoder of observations has no size, and so no id, before it has seen the first one.
        while not self._link.get_encoder(with_weights=False, patience=float('inf')).encoder_id:
            threading.Event().wait(0.1)
        answer = self._link.get_encoder(with_weights=True, patience=float('inf'))
        encoder = {**json.loads(answer.config), 'id': answer.encoder_id, 'size': answer.size, 'version': answer.version}
        seed = self._settings.seed if self._settings.seed >= 0 else secrets.randbelow(2**31)
        now = datetime.now().isoformat(timespec='seconds')
        return ModelConfig(robot, encoder, seed, self._recipe, self._origins, now), bytes(answer.weights)

    def _await_robot(self) -> RobotInfo:
        while not self._robot_known.wait(0.2):
            if self._worker is not None and self._worker.is_stopping:
                raise self._link.ended()
        assert self._robot is not None
        return self._robot

    def _on_robot_info(self, message: Any) -> None:
        self._robot = from_robot_info(message)
        self._robot_known.set()

    def _on_experience(self, message: Any) -> None:
        assert self._worker is not None
        experience = from_experience_message(message)
        self._worker.put(experience)
        if self._frames is not None:
            self._frames.keep(experience)

    def _on_fast_status(self, message: LearnerStatus) -> None:
        assert self._worker is not None
        cortex = self._worker.cortex
        if cortex is not None and message.run_id == cortex.run_id:
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
            goal = handle.request
            steps = {'sws': goal.sws_steps, 'rem': goal.rem_steps, 'tether': goal.tether_steps}

            def feedback(progress: Progress) -> None:
                if progress.step % FEEDBACK_EVERY == 1 or progress.step == progress.steps:
                    handle.publish_feedback(Sleep.Feedback(**vars(progress)))

            job = SleepJob(Goal(steps), feedback, lambda: handle.is_cancel_requested)
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
        """Returns the save that is under way, or begins one: who asks twice gets the answer of one save."""
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
            node=self.get_name(), phase=worker.phase, phase_step=worker.step, phase_steps=worker.steps_of_phase,
            model=self._settings.model, dropped=worker.dropped, last_sleep=worker.last_sleep,
        )  # fmt: skip
        status.header.stamp = self.get_clock().now().to_msg()
        set_unknown(status)
        cortex = worker.cortex
        if cortex is not None:
            status.loaded = worker.is_ready
            status.run_id = cortex.run_id
            status.config_sha256 = self._config_sha256
            status.steps = worker.steps
            status.total_steps, status.written = cortex.sequence, cortex.written
            status.cycles = cortex.cycles
            status.generation = cortex.folder.generation
            status.memory_size = len(cortex.sleeping.memory) + len(cortex.sleeping.probes)
            status.dropped += cortex.sleeping.gaps
            status.skill = cortex.skill.value()
            set_mornings(status, cortex.sleeping)
            set_metrics(status, cortex.metrics | cortex.network_statistics() | cortex.sleeping.mornings.of_fast())
        if self._frames is not None:
            status.dropped += self._frames.missing
        self._status_out.publish(status)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(SlowLearnerNode, args, lambda: MultiThreadedExecutor(num_threads=THREADS))


if __name__ == '__main__':
    sys.exit(main())

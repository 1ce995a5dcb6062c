"""The node of the consolidator: learns from every experience, sleeps on request, owns the model folder."""

from collections.abc import Sequence
import os
from pathlib import Path
import sys
import threading
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
import torch

from cls_common import comms
from cls_common.experience_codec import from_message
from cls_common.nodes import qos
from cls_common.nodes.parameters import declare, overrides, read
from cls_common.nodes.runner import run
from cls_common.resources import config_dir
from cls_interfaces.msg import LearnerStatus

from ..model_store.folder import ModelFolder
from ..node_settings import choose_brain, with_recipe
from ..runtime.config_resolution import resolve
from .fast_link import FastLink
from .model_opener import ModelOpener, Recipe
from .save_server import SaveServer
from .sleep_server import SleepServer
from .slow_status import SlowStatus
from .slow_worker import SlowWorker

# Three for callbacks that wait (a sleep and two saves), two for those that never do.
THREADS = 5
STATUS_TICK = 0.1


class SlowLearnerNode(Node):
    """The consolidator of any brain, and the model folder.

    Parameters: `cls_learning.node_settings.SlowNodeSettings` and the brain's recipe, which counts for a new model only.

    Publishers: slow_learner/status, slow_learner/metrics/<name>.
    Subscribers: experience, robot/info, fast_learner/status; for a new model, observation/<modality> of the
        vectors that the brain perceives.
    Services: save_model. Action servers: sleep.
    Clients: fast_learner/{begin_sleep, end_sleep, get_state, load_state, get_experiences}, encoder/get_encoder.
    Timers (steady): 0.1 s for the status, which is published every 0.5 s or 25 steps.
    """

    def __init__(self) -> None:
        super().__init__('slow_learner')
        requested = overrides(self)
        brain = choose_brain(requested)
        parameters, recipe_names = with_recipe(brain), dict(brain.settings.leaves())
        named = {name: value for name, value in requested.items() if name in recipe_names}
        recipe = Recipe(brain, *resolve(config_dir() / 'presets', requested.get('preset', ''), named, brain))
        defaults = recipe.settings.to_flat()
        chosen = read(self, parameters, defaults)
        self._folder = ModelFolder(Path(chosen.models_dir), chosen.model)
        # The parameters of an existing model show its own recipe, which is the one in force.
        config = self._folder.config
        frozen = {**config.settings.to_flat(), 'seed': config.seed} if config else {}
        settings = declare(self, parameters, defaults, frozen)
        # Measured on 2 cores, encoder and simulator running: a sleep of 8 s with one thread, of 12 s with two.
        torch.set_num_threads(settings.threads or max((os.cpu_count() or 1) // 2, 1))
        parallel, in_order, status_group = (
            ReentrantCallbackGroup(), MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup(),
        )  # fmt: skip
        stopping = threading.Event()
        link = FastLink(self, stopping.is_set, parallel)
        opener = ModelOpener(self, self._folder, settings, recipe, link, stopping, parallel)
        self._worker = SlowWorker(self, link, settings, opener.open, stopping)
        qos.subscription(self, comms.EXPERIENCE, self._on_experience, callback_group=in_order)
        qos.subscription(self, comms.FAST_STATUS, self._on_fast_status, callback_group=parallel)
        sleeps = SleepServer(self, self._worker, parallel)
        SaveServer(self, self._worker, sleeps, parallel)
        status = SlowStatus(self, settings.model, brain.name, self._worker)
        qos.steady_timer(self, STATUS_TICK, status.publish_if_due, callback_group=status_group)

    @property
    def finished(self) -> bool:
        """Whether the worker ended; its error ends the process."""
        if self._worker.error is not None:
            raise self._worker.error
        return False

    def wind_down(self) -> bool:
        """Ends in order after the first signal: the journal gets every experience of fast_learner first."""
        self._worker.begin_end()
        return self._worker.is_over

    def close(self) -> None:
        """Ends the worker; whatever was not saved is in the journal."""
        self._worker.stop()
        self._folder.close(keep_unlearned=False)

    def _on_experience(self, message: Any) -> None:
        try:
            experience = from_message(message)
        except ValueError as error:
            self.get_logger().warning(f'experience refused: {error}', throttle_duration_sec=1.0)
            return
        self._worker.put(experience)

    def _on_fast_status(self, message: LearnerStatus) -> None:
        session = self._worker.session
        if session is not None and message.run_id == session.run_id:
            self._worker.reported = message.total_steps
        if not message.loaded and self._worker.is_ready:
            self._worker.reload_fast()


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(SlowLearnerNode, args, lambda: MultiThreadedExecutor(num_threads=THREADS))


if __name__ == '__main__':
    sys.exit(main())

"""Runs the brain `developmental` on the dot for so many processor seconds, and predicts walks that it has not seen."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
import tempfile
import time
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
import torch

from cls_learning.brains.developmental.model import DevelopmentalModel, Steps, to_pictures
from cls_learning.brains.developmental.online_learner import DevelopmentalOnlineLearner
from cls_training.train_loop import TrainProgress
from cls_training.training import opened, SimulatedRun, TrainOptions

from .dot_walks import DOT, Walks
from .metrics import Floats, measures, one_step_r2
from .recipes import Recipe

BRAIN: Final = 'developmental'
ROBOT: Final = 'toroidal_dot'
# Points of the curve of R2 over time.
_POINTS: Final = 10


class TimeIsUpError(Exception):
    """Ends a run between two steps, or in a sleep, which is then discarded."""


class Stopwatch:
    """Processor and wall time of learning, s; that of measuring does not count."""

    def __init__(self) -> None:
        self.processor = self.wall = 0.0
        self._began = time.process_time(), time.monotonic()

    def stop(self) -> None:
        """Adds the time since the last start."""
        self.processor += time.process_time() - self._began[0]
        self.wall += time.monotonic() - self._began[1]

    def start(self) -> None:
        """Starts again."""
        self._began = time.process_time(), time.monotonic()

    @property
    def now(self) -> float:
        """Processor time so far."""
        return self.processor + time.process_time() - self._began[0]

    def metrics(self) -> dict[str, float]:
        """Returns wall and processor time as seconds and processor_seconds."""
        return {'seconds': self.wall, 'processor_seconds': self.processor}


class ModelPredictor:
    """Predicts the dot with a model of the brain."""

    def __init__(self, learner: DevelopmentalOnlineLearner, model: DevelopmentalModel | None = None) -> None:
        self._model, self._code = model or learner.fast, learner.code
        self.context = self._model.context

    @torch.inference_mode()
    def rollout(self, walks: Walks, actions: NDArray[np.int64]) -> Floats:
        """See PicturePredictor."""
        given = [to_pictures(torch.from_numpy(walks.frames(k))) for k in range(self.context)]
        steps = actions.shape[1] - self.context + 1
        # What is predicted is not shown.
        pictures = torch.stack([*given, *[torch.zeros_like(given[0])] * steps], 1)
        taken = self._code.to_input(torch.from_numpy(actions[..., None].astype(np.float32)))
        return self._model.roll(Steps(pictures, taken), steps).movedim(2, -1).numpy()


@contextmanager
def opened_brain(
    recipe: Recipe, robot: str, seed: int, settings: Mapping[str, Any], simulator: Mapping[str, Any],
    report: Callable[[TrainProgress], None] = lambda _: None,
) -> Iterator[SimulatedRun]:  # fmt: skip
    """Opens a new model of the brain in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        options = TrainOptions(
            robot=robot, model='bench', models_dir=Path(folder), steps=0, seed=seed, brain=BRAIN,
            preset=recipe.preset, overrides={**settings, **recipe.settings, 'save_interval': 0}, simulator=simulator,
        )  # fmt: skip
        with opened(options, report) as training:
            yield training


def run(recipe: Recipe, seconds: float, seed: int) -> dict[str, Any]:
    """Runs one seed on the dot; returns its metrics.

    Args:
        seconds: of the processor, in which the robot acts and learns; a sleep in progress is then discarded.
    """
    watch, curve = Stopwatch(), dict[str, float]()

    def report(_: TrainProgress) -> None:
        due = seconds * (len(curve) + 1) / _POINTS
        if watch.now >= due:
            watch.stop()
            curve[f'{due:g}'] = one_step_r2(predictor, recipe.walks // 4, seed, unseen=True)
            watch.start()
        if watch.now >= seconds:
            raise TimeIsUpError

    simulator = {f'{ROBOT}.{name}': value for name, value in DOT.to_flat().items()}
    with opened_brain(recipe, ROBOT, seed, {}, simulator, report) as training:
        learner = training.loop.learner
        assert isinstance(learner, DevelopmentalOnlineLearner)
        predictor = ModelPredictor(learner)
        try:
            with training.loop:
                watch.start()
                training.run(10**9)
        except TimeIsUpError:
            watch.stop()
        steps = learner.total_steps
        return {
            **measures(predictor, recipe.walks, seed), **watch.metrics(), 'steps': steps, 'restarts': learner.episode,
            'sleeps': learner.cycles, 'seconds_a_step': watch.processor / max(steps, 1), 'r2_over_time': curve,
            'parameters': sum(each.numel() for each in learner.fast.parameters()),
        }  # fmt: skip

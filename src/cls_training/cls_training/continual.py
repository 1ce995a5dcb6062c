"""A cycle over tasks: episodes of each task in turn, with what each episode and each task brought. No ROS."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
import math
from typing import Any

import torch
from torch import nn, Tensor

from cls_common.transition import Experience

from .training import opened, TrainOptions

ROBOT = 'task_switching'


@dataclass(frozen=True)
class Episode:
    """One episode.

    Attributes:
        task, number: from 0; the number is that within its task.
        mean_loss: mean error of predictions before learning; NaN for a brain that gives none.
        total_reward: NaN for a robot without reward. steps: its length.
    """

    task: int
    number: int
    mean_loss: float
    total_reward: float
    steps: int


@dataclass
class CycleResult:
    """Results of a cycle.

    Attributes:
        task_losses, task_rewards: by task, of each episode.
        divergences: by task, the L2 change of the consolidator's weights since the task before, mean over tensors.
        weights: hash of the weights at the end.
    """

    task_losses: list[list[float]] = field(default_factory=list)
    task_rewards: list[list[float]] = field(default_factory=list)
    divergences: list[float] = field(default_factory=list)
    weights: str = ''


class _Observer:
    """Sums experiences up to episodes and tasks; called in the thread of the consolidator."""

    def __init__(
        self, networks: Mapping[str, nn.Module], episodes: int, length: int, report: Callable[[Episode], None]
    ) -> None:
        self.result = CycleResult()
        self._networks = networks
        self._episodes, self._length, self._report = episodes, length, report
        self._losses: list[float] = []
        self._rewards: list[float] = []
        self._done = 0
        self._before = self._weights()

    def _weights(self) -> list[Tensor]:
        return [p.detach().clone() for network in self._networks.values() for p in network.parameters()]

    def learned(self, experience: Experience, _: Mapping[str, float]) -> None:
        """Takes one experience."""
        self._losses.append(experience.metrics.get('error_before', math.nan))
        self._rewards.append(experience.transition.reward)
        if len(self._losses) == self._length:
            self._end_episode()

    def _end_episode(self) -> None:
        task, number = divmod(self._done, self._episodes)
        episode = Episode(
            task, number, sum(self._losses) / len(self._losses), sum(self._rewards), len(self._losses)
        )  # fmt: skip
        self._done += 1
        self._losses, self._rewards = [], []
        own = self.result
        if number == 0:
            own.task_losses.append([])
            own.task_rewards.append([])
        own.task_losses[-1].append(episode.mean_loss)
        own.task_rewards[-1].append(episode.total_reward)
        if number == self._episodes - 1:
            now = self._weights()
            moved = [(new - old).norm() for new, old in zip(now, self._before, strict=True)]
            own.divergences.append(float(torch.stack(moved).mean()) if moved else math.nan)
            self._before = now
        self._report(episode)


def continual_learning_cycle(
    options: TrainOptions, tasks: int, episodes: int, length: int, report: Callable[[Episode], None] = lambda _: None
) -> CycleResult:
    """Learns some tasks in turn on the robot `task_switching`; the brain gets no sign of a switch.

    Args:
        options: of the model and its brain; robot and steps are set here.
        tasks: number of tasks. episodes: of each task. length: steps of an episode.
        report: called after each episode.

    Raises:
        UserError: as `training.train`.
    """
    steps = tasks * episodes * length
    world: dict[str, Any] = {
        f'{ROBOT}.episode': length, f'{ROBOT}.reset_at_switch': True, f'{ROBOT}.schedule.tasks': tasks,
        f'{ROBOT}.schedule.interval': episodes * length, f'{ROBOT}.schedule.spread': 0.0,
    }  # fmt: skip
    asked = replace(options, robot=ROBOT, steps=steps, simulator={**world, **options.simulator})
    with opened(asked, lambda _: None) as run, run.loop:
        loop = run.loop
        observer = _Observer(loop.session.consolidator.networks(), episodes, length, report)
        loop.learned = observer.learned
        run.run(steps)
        observer.result.weights = loop.session.weights_sha256(loop.learner.to_bytes())
    return observer.result

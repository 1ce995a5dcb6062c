"""Windows of memory, and lessons that a teacher dreams from them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...learners.actions import ActionCode
from ...learners.symlog import symlog
from ...types import SequenceBatch
from .model import all_present, CrossModalModel, with_duration


class Windows(NamedTuple):
    """W windows of K steps.

    Attributes:
        senses: raw, by name (W, K + 1, S). code: of the steps, as `CrossModalModel.predict` takes it, (W, K, A).
        reward: symlog, NaN where none, (W, K).
    """

    senses: dict[str, Tensor]
    code: Tensor
    reward: Tensor

    @classmethod
    def of(cls, batch: SequenceBatch, code: ActionCode, step_duration: float = 0.0) -> 'Windows':
        """Makes windows of what a memory drew; with a nominal duration of a step, s, codes have durations."""
        codes = code.to_input(batch.action_applied)
        if step_duration:
            elapsed = torch.where(batch.duration > 0.0, batch.duration / step_duration, 1.0)
            codes = with_duration(codes, elapsed)
        return cls(batch.observations, codes, symlog(batch.reward))

    def take(self, chosen: Tensor) -> 'Windows':
        """Returns some of the windows, by index."""
        return Windows({n: s[chosen] for n, s in self.senses.items()}, self.code[chosen], self.reward[chosen])

    def at(self, k: int) -> dict[str, Tensor]:
        """Returns the readings before step k, (W, S) each."""
        return {name: readings[:, k] for name, readings in self.senses.items()}

    def copy_errors(self, model: CrossModalModel) -> Tensor:
        """Returns the errors of predicting no change in the second half of each window, (W,)."""
        steps = range(self.code.shape[1] // 2, self.code.shape[1])
        return mean_of_senses(_mean([model.errors(self.at(k), self.at(k + 1)) for k in steps]))


class Lesson(NamedTuple):
    """Inputs and targets of K steps of B windows.

    Attributes:
        inputs, targets: raw, by name (B, K, S). code: (B, K, A). reward: symlog, NaN where unknown, (B, K).
    """

    inputs: dict[str, Tensor]
    targets: dict[str, Tensor]
    code: Tensor
    reward: Tensor

    @classmethod
    def join(cls, lessons: Sequence['Lesson']) -> 'Lesson':
        """Returns several lessons as one."""
        names = lessons[0].inputs
        return cls(
            {name: torch.cat([each.inputs[name] for each in lessons]) for name in names},
            {name: torch.cat([each.targets[name] for each in lessons]) for name in names},
            torch.cat([each.code for each in lessons]),
            torch.cat([each.reward for each in lessons]),
        )

    def drop_senses(self, share: float, generator: np.random.Generator) -> list[dict[str, Tensor]]:
        """Returns for each step which senses are heeded, bool (B,) each.

        Args:
            share: of the windows in which one sense, drawn by chance, is left out from a random step on.
        """
        count, steps = self.code.shape[:2]
        names = list(self.inputs)
        is_hit = torch.from_numpy(generator.random(count) < share) & (len(names) > 1)
        which = torch.from_numpy(generator.integers(len(names), size=count))
        since = torch.from_numpy(generator.integers(steps, size=count))
        return [{name: ~(is_hit & (which == at) & (k >= since)) for at, name in enumerate(names)} for k in range(steps)]


@torch.no_grad()
def window_errors(model: CrossModalModel, windows: Windows) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Returns the mean errors of a model in the first and the second half of each window.

    Returns:
        twice, by sense: (W,), in spreads of changes.
    """
    carried, steps = model.initial(len(windows.code)), windows.code.shape[1]
    found = []
    for k in range(steps):
        senses = windows.at(k)
        carried, predicted = model.step(carried, senses, all_present(senses), windows.code[:, k])
        found.append(model.errors(predicted.senses, windows.at(k + 1)))
    first, second = found[: steps // 2], found[steps // 2 :]
    return _mean(first), _mean(second)


def mean_of_senses(errors: dict[str, Tensor]) -> Tensor:
    """Returns the mean over senses, (W,)."""
    return torch.stack(list(errors.values())).mean(dim=0)


@torch.no_grad()
def dream(
    teacher: CrossModalModel, windows: Windows, real: int, noise: dict[str, float], generator: np.random.Generator
) -> Lesson:
    """Follows windows for some steps, and dreams the rest.

    Args:
        windows: B windows. real: steps that are as they were, with what followed as their targets.
        noise: spread of what is added to dreamed readings, by sense, raw.
    """
    carried, now = teacher.initial(len(windows.code)), windows.at(0)
    inputs, targets, codes, rewards = [], [], [], []
    for k in range(windows.code.shape[1]):
        is_real = k < real
        code = windows.code[:, k]
        if not is_real:
            chance = _random(code.shape, generator) * 2 - 1
            # Durations of steps are as they were.
            code = torch.cat([chance[:, :-1], code[:, -1:]], dim=-1) if teacher.has_duration else chance
        carried, predicted = teacher.step(carried, now, all_present(now), code)
        inputs.append(now)
        targets.append(windows.at(k + 1) if is_real else predicted.senses)
        codes.append(code)
        rewards.append(windows.reward[:, k] if is_real else predicted.reward)
        if is_real:
            now = windows.at(k + 1)
        else:
            now = {n: s + noise[n] * _normal(s.shape, generator) for n, s in predicted.senses.items()}
    return Lesson(_along(inputs), _along(targets), torch.stack(codes, dim=1), torch.stack(rewards, dim=1))


def _along(steps: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([step[name] for step in steps], dim=1) for name in steps[0]}


def _mean(steps: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([errors[name] for errors in steps]).mean(dim=0) for name in steps[0]}


def _random(shape: torch.Size, generator: np.random.Generator) -> Tensor:
    return torch.from_numpy(generator.random(tuple(shape), np.float32))


def _normal(shape: torch.Size, generator: np.random.Generator) -> Tensor:
    return torch.from_numpy(generator.standard_normal(tuple(shape), np.float32))

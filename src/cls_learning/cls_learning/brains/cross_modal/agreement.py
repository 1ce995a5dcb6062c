"""Notices a sense whose readings are plausible, and contradicted by the others."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ...learners.optimisation import select, State
from .model import CarriedState, CrossModalModel, Senses

# Decay of recent errors and of usual ones, per step.
_RECENT, _USUAL = 0.8, 0.99
# Steps before usual errors are known.
_FIRST = 50
# Errors of the other senses, as a share of the usual, up to which they are predicted as usual.
_AS_USUAL = 1.5
# Steps in a row after which a sense is said to disagree. Changes of the world looked like it for up to 21 of them, in
# four streams of `task_switching` with a threshold of 1.5.
_PATIENCE = 30


class SensesAgreement:
    """Follows the world on M + 1 tracks, with all senses and without each, by a model that does not learn meanwhile.

    A sense disagrees if for some steps it is predicted `threshold` times worse than usual, while without it the others
    are predicted as usual. In a world that has become another one those are predicted badly too, without it as well.

    Args:
        threshold: 1 or more; 0: no sense ever disagrees, and nothing is computed.

    Attributes:
        disagrees: by sense, bool (M,).
    """

    def __init__(self, names: tuple[str, ...], threshold: float) -> None:
        self.names, self._threshold = names, threshold
        count = len(names)
        self.is_on = threshold > 0.0 and count > 1
        self._carried: CarriedState | None = None
        # Mean squared errors of each sense (columns) on each track (rows), the first with all senses.
        self._recent, self._usual = (torch.zeros(count + 1, count, dtype=torch.float64) for _ in range(2))
        self._steps = 0
        self._suspected = torch.zeros(count, dtype=torch.int64)  # steps in a row
        self._withheld: list[float] = []
        self.disagrees = torch.zeros(count, dtype=torch.bool)

    def of_world(self, error: float) -> list[float]:
        """Returns the errors that say something of the world: none while one sense may be their cause.

        What is withheld is returned later, unless the sense then disagrees.
        """
        self._withheld = [] if bool(self.disagrees.any()) else [*self._withheld, error]
        if self._suspects:
            return []
        found, self._withheld = self._withheld, []
        return found

    @property
    def _suspects(self) -> bool:
        return bool(self._suspected.any())

    def reset(self) -> None:
        """Forgets what was usual: the model or its world has become another one."""
        self._steps = 0
        self._withheld = []
        self._suspected.zero_()
        self.disagrees = torch.zeros_like(self.disagrees)

    @torch.no_grad()
    def add(self, model: CrossModalModel, before: Senses, after: Senses, code: Tensor, *, begins: bool) -> None:
        """Takes one step.

        Args:
            before, after: readings (1, S) by sense. code: as `CrossModalModel.predict` takes it, (1, A).
            begins: whether no step led to `before`.
        """
        if not self.is_on:
            return
        tracks = len(self.names) + 1
        if self._carried is None or begins:
            self._carried = model.initial(tracks)
        present = {name: torch.arange(tracks) != k + 1 for k, name in enumerate(self.names)}
        many = {name: values.expand(tracks, -1) for name, values in before.items()}
        self._carried, predicted = model.step(self._carried, many, present, code.expand(tracks, -1))
        errors = model.errors(predicted.senses, after)
        found = torch.stack([errors[name] for name in self.names], dim=1).double()
        self._recent = found if self._steps == 0 else _RECENT * self._recent + (1 - _RECENT) * found
        self._steps += 1
        if self._steps > _FIRST:
            self._compare()
        if not self._suspects:
            share = max(1 - _USUAL, 1 / self._steps)
            self._usual += share * (found - self._usual)

    def _compare(self) -> None:
        ratios = self._recent / self._usual.clamp(min=torch.finfo(torch.float64).tiny)
        own = ratios[0]
        others = torch.stack([torch.cat([row[:k], row[k + 1 :]]).max() for k, row in enumerate(ratios[1:])])
        # Less is enough to go on: a sense that is near a bound does not come and go.
        bound = torch.where(self.disagrees, (1 + self._threshold) / 2, self._threshold)
        self._suspected = torch.where((own > bound) & (others < _AS_USUAL), self._suspected + 1, 0)
        self.disagrees = self._suspected >= _PATIENCE

    def state(self) -> State:
        """Returns everything by name; empty where it is off or before the first step."""
        if self._carried is None:
            return {}
        carried = {f'agreement.carried.{name}': tensor.clone() for name, tensor in self._carried.named().items()}
        return carried | {
            'agreement.errors': torch.stack([self._recent, self._usual]),
            'agreement.suspected': self._suspected.clone(),
            'agreement.steps': torch.tensor(self._steps),
            'agreement.withheld': torch.tensor(self._withheld, dtype=torch.float64),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores everything; without a state, that of no step."""
        carried = select('agreement.carried', state)
        self.reset()
        self._carried, self._recent, self._usual = None, torch.zeros_like(self._recent), torch.zeros_like(self._usual)
        if carried:
            self._carried = CarriedState(**{name: tensor.clone() for name, tensor in carried.items()})
            self._recent, self._usual = (each.clone() for each in state['agreement.errors'])
            self._suspected, self._steps = state['agreement.suspected'].clone(), int(state['agreement.steps'])
            self._withheld = state['agreement.withheld'].tolist()
            self.disagrees = self._suspected >= _PATIENCE

"""State of a recurrent world model, carried from wake step to wake step."""

import torch

from cls_common.transition import Transition

from ..world_models.contract import ModelState
from .optimisation import select, State


class Carried:
    """States before and after the newest step of one stream, B = 1; empty for a model without state.

    Attributes:
        before: state that predicts the newest step. now: state after it, which predicts the next one.
    """

    def __init__(self, name: str, initial: ModelState) -> None:
        self._name = name
        self._initial = initial
        self.before = self.now = initial
        self._newest: Transition | None = None

    def is_new(self, transition: Transition) -> bool:
        """Whether this step is not the newest one: a step is carried before the next action or in learning, once."""
        return transition is not self._newest

    def begin(self, transition: Transition, *, is_cut: bool = False) -> ModelState:
        """Begins a step and returns the state before it: the initial one at a boundary or after missing steps."""
        self._newest = transition
        self.before = self._initial if transition.boundary or is_cut else self.now
        return self.before

    def end(self, transition: Transition, after: ModelState) -> None:
        """Ends a step with the state after it; at the end of an episode that is the initial one."""
        self.now = self._initial if transition.terminal or transition.truncated else after

    def state(self) -> State:
        """Returns the state for the next step as tensors named `<learner>.carried.*`; empty without one."""
        return {f'{self._name}.carried.{name}': value.detach().cpu().clone() for name, value in self.now.items()}

    def load(self, state: State) -> None:
        """Restores the state; the initial one where none was stored.

        Raises:
            ValueError: a part has another shape.
        """
        stored = select(f'{self._name}.carried', state)
        now: dict[str, torch.Tensor] = {}
        for name, initial in self._initial.items():
            now[name] = stored.get(name, initial).to(initial.device, copy=True)
            if now[name].shape != initial.shape:
                raise ValueError(
                    f'{self._name}.carried.{name}: expected shape {tuple(initial.shape)}, '
                    f'found {tuple(now[name].shape)}'
                )
        self.before = self.now = now
        self._newest = None

"""Whether the robot sees well enough to act, and what its predictions are worth beside trivial ones."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .settings import GateSettings

RIVALS = ('constant', 'copy', 'blind')
# A prediction whose error is above this share of a trivial one's is not better than it.
_EQUAL = 1.0
# Tokens of different pictures that vary in fewer directions show a collapsed encoder.
_LOWEST_RANK = 1.5
# Decays of the running means, and of the moments of actions.
_SLOW, _QUICK, _ACTIONS = 0.99, 0.9, 0.98


class Errors(NamedTuple):
    """Mean squared errors of one step, in units of pictures from 0 to 1; NaN where not computed.

    Attributes:
        reconstruction: of the new picture, nothing hidden. prediction: of the new picture, from those before.
        constant: of the new picture's mean colour. copy: of the picture before.
        blind: of the mean of what is predicted for all actions. wrong: of the best of what is predicted for others.
    """

    reconstruction: float
    prediction: float
    constant: float
    copy: float
    blind: float = float('nan')
    wrong: float = float('nan')

    def shares(self) -> dict[str, float]:
        """Returns the prediction error as a share of each rival's, by its name; infinite where that has none."""
        return {f'share_{name}': _share(self.prediction, getattr(self, name)) for name in RIVALS}


class QualityGate:
    """Holds the robot at rest while it reconstructs pictures badly, for a limited number of steps.

    Attributes:
        is_open: whether the last picture was seen well. rests: steps in a row in which it was not.
    """

    def __init__(self, settings: GateSettings) -> None:
        self._settings = settings
        self.is_open, self.rests = settings.kind == 'open', 0

    @property
    def may_act(self) -> bool:
        """Whether the robot may act: it sees, or has rested as long as it may."""
        return self.is_open or self.rests >= self._settings.most_rests

    def observe(self, errors: Errors) -> None:
        """Judges the newest picture."""
        own = self._settings
        if own.kind == 'relative':
            self.is_open = _share(errors.reconstruction, errors.constant) <= own.reconstruction
        elif own.kind == 'absolute':
            self.is_open = errors.reconstruction <= own.reconstruction
        self.rests = 0 if self.is_open else self.rests + 1

    def state(self) -> dict[str, Tensor]:
        """Returns the state as tensors."""
        return {'gate': torch.tensor([int(self.is_open), self.rests])}

    def load(self, state: dict[str, Tensor]) -> None:
        """Restores the state."""
        is_open, self.rests = state['gate'].tolist()
        self.is_open = bool(is_open)


class RunningMeans:
    """Running means of what the steps of about the last hundred are worth, and the variety of their actions.

    Attributes:
        means: by name, NaN where unknown.
    """

    NAMES = (
        'reconstruction_share', 'share_constant', 'share_copy', 'share_blind', 'action_gap', 'r2', 'effective_rank'
    )  # fmt: skip

    def __init__(self, action_size: int) -> None:
        self.means = dict.fromkeys(self.NAMES, math.nan)
        self._moments = torch.zeros(2, action_size, dtype=torch.float64)

    def observe(self, errors: Errors, r2: float, action: Tensor) -> None:
        """Takes one step into the means: its errors, its explained variance and its action (A,)."""
        now = errors.shares() | {
            'reconstruction_share': errors.reconstruction / errors.constant if errors.constant else math.nan,
            'action_gap': (errors.wrong - errors.prediction) / errors.constant if errors.constant else math.nan,
            'r2': r2,
        }
        for name, value in now.items():
            if math.isfinite(value):
                # Copying is exact where nothing moved, and some figures are not made at each step.
                old, decay = self.means[name], _SLOW if name in ('r2', 'reconstruction_share') else _QUICK
                self.means[name] = value if math.isnan(old) else decay * old + (1 - decay) * value
        action = action.double()
        self._moments = _ACTIONS * self._moments + (1 - _ACTIONS) * torch.stack([action, action.square()])

    def action_variety(self, steps: int) -> float:
        """Returns the largest variance of a channel of the actions, in squared halves of its range.

        Args:
            steps: number of actions so far, 1 or more.
        """
        mean, square = self._moments / (1 - _ACTIONS**steps)
        return float((square - mean.square()).max())

    def state(self) -> dict[str, Tensor]:
        """Returns the state as tensors; an unknown mean has none."""
        known = {f'shown.{name}': value for name, value in self.means.items() if not math.isnan(value)}
        found = {name: torch.tensor(value, dtype=torch.float64) for name, value in known.items()}
        return found | {'action_moments': self._moments.clone()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Restores the state."""
        self.means = {
            name: float(state[f'shown.{name}']) if f'shown.{name}' in state else math.nan for name in self.NAMES
        }
        self._moments = state['action_moments'].clone()


def warnings(metrics: dict[str, float], most_rests: int) -> list[str]:
    """Returns what is wrong in words, by metrics averaged over about 100 steps; NaN says nothing."""
    found = []
    if metrics['rests'] >= most_rests:
        found.append(
            f'acts without seeing: {metrics["rests"]:.0f} steps in a row reconstructed worse than the gate allows '
            f'(gate.most_rests {most_rests})'
        )
    above = [name for name in RIVALS if metrics[f'share_{name}'] > _EQUAL]
    if above:
        names = {'constant': 'a constant picture', 'copy': 'the picture before', 'blind': 'a prediction without action'}
        found.append('predictions are no better than ' + ', '.join(names[name] for name in above))
    if metrics['action_gap'] <= 0:
        found.append('the true action predicts no better than a wrong one')
    if metrics['effective_rank'] < _LOWEST_RANK:
        found.append(f'tokens vary in {metrics["effective_rank"]:.1f} directions only: the encoder has collapsed')
    if metrics['action_variety'] < 0.01:
        found.append('nearly all actions are equal: their effect can not be learned from them')
    return found


def _share(error: float, other: float) -> float:
    return error / other if other > 0 else (0.0 if error == 0 else float('inf'))

"""World model of several senses: perceives, predicts all senses and the reward, and fills in for a missing sense."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn, Tensor

from .network import CrossModalNetwork, Predictor
from .settings import CrossModalSettings

# A sense that never changes is not divided by its spread of 0.
_SMALLEST = 1e-6
# Normalised readings are clipped to +- this.
_CLIP = 10.0
# Longer steps count as this one, in nominal steps beyond one.
_LONGEST = 9.0

Senses = Mapping[str, Tensor]


class CarriedState(NamedTuple):
    """What is carried from step to step.

    Attributes:
        state: internal state, (B, hidden).
        belief: predicted readings of the step to come, normalised, (B, sum of S).
        extra: with `network.step_duration`, by how much the last step took longer than one, (B, 1).
    """

    state: Tensor
    belief: Tensor
    extra: Tensor | None = None

    def detach(self) -> 'CarriedState':
        """Returns it without its graph."""
        return CarriedState(self.state.detach(), self.belief.detach(), self.extra)

    def named(self) -> dict[str, Tensor]:
        """Returns its tensors by name."""
        return {name: tensor for name, tensor in self._asdict().items() if tensor is not None}


class Prediction(NamedTuple):
    """What a step is predicted to bring: readings of each sense, raw (B, S), and the symlog of the reward (B,)."""

    senses: dict[str, Tensor]
    reward: Tensor


class CrossModalModel(nn.Module):
    """A cross-modal network, its predictor and the scales of its senses.

    Means and spreads are those of the first steps, and of their changes; later they stay.

    Args:
        sizes: length of the vector of each sense, by name. actions: number of channels.
    """

    mean: Tensor
    spread: Tensor
    change: Tensor
    seen: Tensor

    def __init__(self, settings: CrossModalSettings, sizes: Mapping[str, int], actions: int, seed: int) -> None:
        super().__init__()
        own = settings.network
        self.has_duration = own.step_duration > 0.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = CrossModalNetwork(
                sizes, own.hidden, actions, own.heads, own.feedback, has_duration=self.has_duration
            )
            self.predictor = Predictor(sizes, own.hidden, actions + self.has_duration)
            width = sum(sizes.values())
            self.cover = nn.Linear(width, width, bias=False) if settings.watch.is_covered else None
        if self.cover is not None:
            nn.init.zeros_(self.cover.weight)
        self.sizes, self._blend, self._scale_steps = dict(sizes), own.blend, settings.fast.scale_steps
        self.register_buffer('mean', torch.zeros(width))
        self.register_buffer('spread', torch.ones(len(sizes)))
        self.register_buffer('change', torch.ones(len(sizes)))
        self.register_buffer('seen', torch.zeros((), dtype=torch.int64))

    def initial(self, batch: int) -> CarriedState:
        """Returns what is carried before the first step: nothing sensed, the mean expected."""
        extra = torch.zeros(batch, 1) if self.has_duration else None
        return CarriedState(self.network.initial(batch), torch.zeros(batch, len(self.mean)), extra)

    def learn_scale(self, before: Senses, after: Senses) -> None:
        """Takes one step, readings (1, S), into the scales, among the first ones."""
        count = int(self.seen)
        if count >= self._scale_steps:
            return
        self.seen += 1
        old, new = self._join(before)[0], self._join(after)[0]
        share = 1.0 / (count + 1)
        self.mean += share * (old - self.mean)
        for k, (mine, theirs, mean) in enumerate(zip(self._split(old), self._split(new), self._split(self.mean))):
            self.spread[k] = _mean_square(self.spread[k], (mine - mean).square().mean(), share)
            self.change[k] = _mean_square(self.change[k], (theirs - mine).square().mean(), share)

    def perceive(self, carried: CarriedState, senses: Senses, present: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Takes in one step.

        Args:
            senses: raw, (B, S) each. present: by sense, bool (B,): whether it is heeded; else its belief is used, with
                `watch.is_covered` as the others correct it.

        Returns:
            the internal state after it, and the readings as heeded, normalised (B, sum of S).
        """
        sensed = self._normalise(self._join(senses))
        mask = torch.cat([present[name][:, None].expand(-1, size) for name, size in self.sizes.items()], dim=1)
        surprise, belief = sensed - carried.belief, carried.belief
        if self.cover is not None:
            belief = belief + self.cover(torch.where(mask, surprise, 0.0))
        heeded = torch.where(mask, sensed - self._blend * surprise, belief)
        return self.network(carried.state, self._named(heeded), present, carried.extra), heeded

    def predict(self, state: Tensor, heeded: Tensor, code: Tensor) -> tuple[CarriedState, Prediction]:
        """Predicts the step that an action brings.

        Args:
            state, heeded: of `perceive`. code: of the action, (B, A) in [-1, 1]; with `network.step_duration` that of
                `with_duration`.
        """
        changes, reward = self.predictor(state, self._named(heeded), code)
        now = dict(zip(self.sizes, self._split(heeded * self._per_value(self.spread) + self.mean)))
        raw = {name: now[name] + change * self.change[k] for k, (name, change) in enumerate(changes.items())}
        extra = code[:, -1:] if self.has_duration else None
        return CarriedState(state, self._normalise(self._join(raw)), extra), Prediction(raw, reward)

    def step(
        self, carried: CarriedState, senses: Senses, present: Mapping[str, Tensor], code: Tensor
    ) -> tuple[CarriedState, Prediction]:
        """Perceives one step and predicts the next; see both."""
        return self.predict(*self.perceive(carried, senses, present), code)

    def errors(self, predicted: Senses, actual: Senses) -> dict[str, Tensor]:
        """Returns mean squared errors by sense, (B,), in units of the spread of its changes."""
        return {
            name: ((predicted[name] - actual[name]) / self.change[k]).square().mean(dim=-1)
            for k, name in enumerate(self.sizes)
        }

    def in_units(self, senses: Senses) -> Tensor:
        """Returns raw readings (B, sum of S) in units in which a squared distance is the sum of `errors`."""
        widths = torch.tensor(list(self.sizes.values()), dtype=torch.float32)
        return self._join(senses) / self._per_value(self.change * widths.sqrt())

    def expected(self, carried: CarriedState) -> dict[str, Tensor]:
        """Returns what each sense is expected to give next, raw (B, S)."""
        return self._named(carried.belief * self._per_value(self.spread) + self.mean)

    def predicting(self) -> nn.ModuleList:
        """Returns all parts that predict; the layers of the actions are trained by themselves."""
        own = self.network
        optional = [part for part in (own.duration, self.cover) if part is not None]
        return nn.ModuleList([own.encoders, own.attention, own.memory, self.predictor, *optional])

    def _normalise(self, joined: Tensor) -> Tensor:
        return ((joined - self.mean) / self._per_value(self.spread)).clamp(-_CLIP, _CLIP)

    def _per_value(self, by_sense: Tensor) -> Tensor:
        return torch.cat([by_sense[k].expand(size) for k, size in enumerate(self.sizes.values())])

    def _join(self, senses: Senses) -> Tensor:
        return torch.cat([senses[name] for name in self.sizes], dim=-1)

    def _split(self, joined: Tensor) -> tuple[Tensor, ...]:
        return torch.split(joined, list(self.sizes.values()), dim=-1)

    def _named(self, joined: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.sizes, self._split(joined)))


def with_duration(code: Tensor, elapsed: Tensor) -> Tensor:
    """Appends to codes of actions (..., A) by how much their steps took longer than a nominal one, from -1 to 9.

    Args:
        elapsed: (...), nominal steps.
    """
    return torch.cat([code, (elapsed - 1.0).clamp(-1.0, _LONGEST)[..., None]], dim=-1)


def heeded_mean(errors: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
    """Returns the mean error of the senses that are heeded, 0-d; of all where none is."""
    heeded = [errors[name].mean() for name, is_heeded in present.items() if bool(is_heeded.all())]
    return torch.stack(heeded or [error.mean() for error in errors.values()]).mean()


def all_present(senses: Senses) -> dict[str, Tensor]:
    """Returns that every sense is heeded, bool (B,) each."""
    return {name: torch.ones(len(values), dtype=torch.bool) for name, values in senses.items()}


def _mean_square(root: Tensor, square: Tensor, share: float) -> Tensor:
    """Returns the root of the running mean of squares; the first one replaces the initial value."""
    return (root.square() + share * (square - root.square())).sqrt().clamp(min=_SMALLEST)

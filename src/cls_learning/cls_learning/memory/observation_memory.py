"""Memory of transitions with any readings, each observation stored once, within a limit of bytes; for any brain."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from cls_common.errors import UserError
from cls_common.transition import Experience, Transition

from ..config import ObservationMemorySettings
from ..randomness import stream
from ..types import SequenceBatch, StepTensors, TransitionBatch
from .chain import Chain, observations_of, owned, pack, size, size_of_motion, stack, unpack

# Name, dtype and shape of an array.
_Form = tuple[str, np.dtype[Any], tuple[int, ...]]


class ObservationMemory:
    """Keeps transitions in order and samples transitions and windows uniformly without replacement.

    At a limit it removes the oldest transition, either of all or of the episode that has the most, so that every
    episode keeps an equal number of its newest. Only the start of a chain is removed, so that chains have no gap. With
    `spread` chains are cut to segments, and a whole one of the episode that has the most is removed: within an episode
    each has had the same chance to stay (reservoir sampling by random keys, Efraimidis and Spirakis 2006).

    Images are uint8, other readings float32.
    """

    def __init__(self, settings: ObservationMemorySettings) -> None:
        self._settings = settings
        self._chains: list[Chain] = []
        self._count = self._bytes = 0

    def __len__(self) -> int:
        """Returns the number of transitions held."""
        return self._count

    @property
    def nbytes(self) -> int:
        """Size of all arrays, bytes; Python objects need about 1.5 kB more for each transition."""
        return self._bytes

    def add(self, experience: Experience) -> None:
        """Adds the transition of one experience; removes others where a limit is reached.

        Raises:
            UserError: its arrays have other shapes than those in memory, or it exceeds `max_bytes`; nothing changed.
        """
        own, episode, sequence = owned(experience.transition), experience.episode, experience.sequence
        self._check(own)
        last = self._chains[-1] if self._chains else None
        if last is not None and self._has_room(last) and last.continues_with(own, episode, sequence):
            own = replace(own, before=last.steps[-1].after)
            last.steps.append(own)
        else:
            self._chains.append(Chain(episode, sequence, [own]))
            self._bytes += size(own.before)
        self._bytes += size_of_motion(own) + size(own.after)
        self._count += 1
        self._shrink()

    def _check(self, transition: Transition) -> None:
        if self._chains:
            expected, found = _form(self._chains[-1].steps[-1]), _form(transition)
            if expected != found:
                raise UserError(
                    'transition for a memory',
                    expected=_text(expected - found) or 'no other reading',
                    found=_text(found - expected) or 'none',
                )
        alone = size_of_motion(transition) + size(transition.before) + size(transition.after)
        if alone > self._settings.max_bytes:
            raise UserError(
                'max_bytes of a memory',
                expected=f'at least {alone}, the bytes of one transition',
                found=str(self._settings.max_bytes),
                do='Raise it, or choose smaller images.',
            )

    def _shrink(self) -> None:
        while self._count > self._settings.capacity or self._bytes > self._settings.max_bytes:
            self._drop()

    def _has_room(self, chain: Chain) -> bool:
        return self._settings.keep != 'spread' or len(chain.steps) < self._settings.segment

    def _drop(self) -> None:
        """Removes a segment, or the first step of a chain, with the observation that no other step uses."""
        at = self._most_expendable()
        chain = self._chains[at]
        for step in chain.steps[: len(chain.steps) if self._settings.keep == 'spread' else 1]:
            self._bytes -= size_of_motion(step) + size(step.before)
            self._count -= 1
            chain.first += 1
            if len(chain.steps) == 1:
                self._chains.pop(at)
                self._bytes -= size(step.after)
            chain.steps.pop(0)

    def _most_expendable(self) -> int:
        if self._settings.keep == 'newest' or len(self._chains) == 1:
            return 0
        spreads = self._settings.keep == 'spread'
        # The newest segment is not complete yet.
        chains = self._chains[:-1] if spreads else self._chains
        sizes: Counter[int] = Counter()
        for chain in chains:
            sizes[chain.episode] += len(chain.steps)
        largest = max(sizes, key=sizes.__getitem__)  # the oldest of several
        of_largest = (i for i, chain in enumerate(chains) if chain.episode == largest)
        return min(of_largest, key=lambda at: _key(chains[at].first)) if spreads else next(of_largest)

    def clear(self) -> None:
        """Removes everything."""
        self._chains.clear()
        self._count = self._bytes = 0

    def experiences(self) -> Iterator[Experience]:
        """Yields all experiences, oldest first, without the extras and metrics of the online learner."""
        for chain in self._chains:
            for offset, step in enumerate(chain.steps):
                yield Experience(transition=step, sequence=chain.first + offset, episode=chain.episode)

    def transitions(self, count: int, generator: np.random.Generator) -> TransitionBatch:
        """Samples B = count different transitions uniformly, 1 <= count <= len(self)."""
        steps = [stretch[0] for stretch in self._draw(count, 1, generator)]
        return TransitionBatch(
            before=stack([t.before for t in steps], (count,)),
            after=stack([t.after for t in steps], (count,)),
            **_motion(steps, (count,)),
        )

    def window_count(self, steps: int) -> int:
        """Returns the number of windows of `steps` transitions; they don't cross an episode, a boundary or a gap."""
        return int(self._windows_by_chain(steps).sum())

    def windows(self, count: int, steps: int, generator: np.random.Generator) -> SequenceBatch:
        """Samples B = count different windows of K = steps transitions uniformly, 1 <= count <= window_count(steps).

        Raises:
            ValueError: there are fewer windows.
        """
        stretches = self._draw(count, steps, generator)
        observations = [observation for stretch in stretches for observation in observations_of(stretch)]
        durations = [t.duration for stretch in stretches for t in stretch]
        return SequenceBatch(
            observations=stack(observations, (count, steps + 1)),
            duration=torch.tensor(durations).reshape(count, steps),
            **_motion([t for stretch in stretches for t in stretch], (count, steps)),
        )

    def _draw(self, count: int, steps: int, generator: np.random.Generator) -> list[list[Transition]]:
        ends = np.cumsum(self._windows_by_chain(steps))
        held = int(ends[-1]) if len(ends) else 0
        if not 1 <= count <= held:
            raise ValueError(f'draw of {count} stretches of {steps} steps: expected 1 to {held}')
        chosen = generator.choice(held, count, replace=False)
        chains = np.searchsorted(ends, chosen, side='right')
        starts = chosen - np.where(chains > 0, ends[chains - 1], 0)
        return [self._chains[c].steps[s : s + steps] for c, s in zip(chains, starts)]

    def _windows_by_chain(self, steps: int) -> NDArray[np.int64]:
        lengths = np.fromiter((len(chain.steps) for chain in self._chains), np.int64, len(self._chains))
        return np.maximum(lengths - steps + 1, 0)

    def state(self) -> dict[str, Tensor]:
        """Returns the state as named tensors, each observation once; see `chain.pack`."""
        return pack(self._chains)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores the state, and removes transitions beyond the limits.

        Raises:
            KeyError, ValueError: it is not the state of such a memory; nothing changed.
        """
        self._chains = chains = unpack(state)
        self._count = sum(len(chain.steps) for chain in chains)
        self._bytes = sum(size_of_motion(step) for chain in chains for step in chain.steps)
        self._bytes += sum(size(observation) for chain in chains for observation in observations_of(chain.steps))
        self._shrink()


@cache
def _key(sequence: int) -> float:
    """Returns the random number, in [0, 1), by which the segment that begins at a step stays."""
    return float(stream(0, 'memory.spread', sequence).random())


def _form(transition: Transition) -> set[_Form]:
    return {(name, array.dtype, array.shape) for name, array in transition.arrays()}


def _text(forms: set[_Form]) -> str:
    return ', '.join(sorted(f'{name} {dtype.name} {shape}' for name, dtype, shape in forms))


def _motion(steps: Sequence[Transition], shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Stacks all arrays but observations to tensors by name, with the leading dimensions `shape`."""
    stacked = {each.name: np.array([getattr(step, each.name) for step in steps]) for each in fields(StepTensors)}
    return {
        name: torch.from_numpy(a.astype(a.dtype if a.dtype == np.bool_ else np.float32).reshape(*shape, *a.shape[1:]))
        for name, a in stacked.items()
    }

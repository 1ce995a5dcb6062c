"""Chains of consecutive transitions that share their observations, and their state as named tensors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from cls_common.transition import Observation, Reading, Transition

Array = NDArray[Any]
# Arrays of a step besides its observations, and their dtypes in memory.
_MOTION = {
    'action_commanded': np.float32,
    'action_applied': np.float32,
    'joints': np.float64,
    'joints_next': np.float64,
}


@dataclass
class Chain:
    """Consecutive steps of one episode: `after` of each step is the same object as `before` of the next.

    Attributes:
        first: sequence of the first step.
    """

    episode: int
    first: int
    steps: list[Transition]

    def continues_with(self, transition: Transition, episode: int, sequence: int) -> bool:
        """Whether a transition is the next step of this chain: no boundary, end or gap between them."""
        last = self.steps[-1]
        is_next = episode == self.episode and sequence == self.first + len(self.steps)
        breaks = transition.boundary or last.terminal or last.truncated
        return is_next and not breaks and _is_same(transition.before, last.after)


def observations_of(stretch: Sequence[Transition]) -> list[Observation]:
    """Returns the observations of consecutive steps, one more than steps."""
    return [stretch[0].before, *(step.after for step in stretch)]


def owned(transition: Transition) -> Transition:
    """Returns a transition with copies of views: a view would keep its whole buffer in memory."""
    own: dict[str, Any] = {name: _own(getattr(transition, name), dtype) for name, dtype in _MOTION.items()}
    for when in ('before', 'after'):
        readings = getattr(transition, when).readings
        own[when] = Observation(
            {
                name: replace(r, data=_own(r.data, np.uint8 if r.data.dtype == np.uint8 else np.float32))
                for name, r in readings.items()
            }
        )
    return replace(transition, **own)


def _own(array: Array, dtype: Any) -> Array:
    array = np.asarray(array, dtype)
    return array if array.flags.owndata else array.copy()


def _is_same(one: Observation, other: Observation) -> bool:
    a, b = one.readings, other.readings
    return a.keys() == b.keys() and all(
        _about(a[name]) == _about(b[name]) and np.array_equal(a[name].data, b[name].data) for name in a
    )


def _about(reading: Reading) -> tuple[int, str, int]:
    return reading.stamp, reading.encoder_id, reading.encoder_version


def size(observation: Observation) -> int:
    """Returns the size of the arrays of an observation, bytes."""
    return sum(reading.data.nbytes for reading in observation.readings.values())


def size_of_motion(transition: Transition) -> int:
    """Returns the size of the arrays of a transition without its observations, bytes."""
    return sum(getattr(transition, name).nbytes for name in _MOTION)


def stack(observations: Sequence[Observation], shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Stacks observations to tensors (*shape, ...) by reading."""
    stacked = {name: np.stack([o[name] for o in observations]) for name in observations[0].readings}
    return {name: torch.from_numpy(array.reshape(*shape, *array.shape[1:])) for name, array in stacked.items()}


def pack(chains: Sequence[Chain]) -> dict[str, Tensor]:
    """Returns C chains as named tensors, each observation once.

    `chains` int64 (C, 3): episode, sequence of the first step, steps. Of N steps: `action_commanded`, `action_applied`
    float32 (N, A), `joints`, `joints_next` float64 (N, J), `facts` int64 (N, 5). Of N + C observations by reading:
    `data.SENSE` uint8 (N + C, H, W, 3) or float32 (N + C, D), `about.SENSE` int64 (N + C, 3): stamp, index
    and version of the encoder. `names` uint8: JSON of readings and encoders in order, since files have no order.
    """
    table = [[chain.episode, chain.first, len(chain.steps)] for chain in chains]
    state = {'chains': torch.tensor(table, dtype=torch.int64).reshape(-1, 3)}
    if not chains:
        return state
    steps = [step for chain in chains for step in chain.steps]
    seen = [observation for chain in chains for observation in observations_of(chain.steps)]
    encoders = sorted({r.encoder_id for o in seen for r in o.readings.values()})
    names = json.dumps({'senses': list(seen[0].readings), 'encoders': encoders})
    state['names'] = torch.from_numpy(np.frombuffer(names.encode(), np.uint8).copy())
    state['facts'] = torch.tensor([_facts(step) for step in steps])
    state |= {name: torch.from_numpy(np.stack([getattr(t, name) for t in steps])) for name in _MOTION}
    for sense, data in stack(seen, (len(seen),)).items():
        about = [o.readings[sense] for o in seen]
        state[f'data.{sense}'] = data
        state[f'about.{sense}'] = torch.tensor(
            [[r.stamp, encoders.index(r.encoder_id), r.encoder_version] for r in about]
        )
    return state


def _facts(step: Transition) -> list[int]:
    # A state holds finite numbers only, and a missing reward is NaN, so that its 64 bits are stored.
    bits = int(np.float64(step.reward).view(np.int64))
    return [bits, step.boundary, step.terminal, step.truncated, step.image_delay]


def unpack(state: Mapping[str, Tensor]) -> list[Chain]:
    """Returns the chains that `pack` wrote; raises KeyError or ValueError for another state."""
    return list(_unpack({name: tensor.numpy() for name, tensor in state.items()}))


def _unpack(arrays: Mapping[str, Array]) -> Iterator[Chain]:
    # Every array is copied, since a view would keep the whole state in memory.
    table = arrays['chains'].tolist()
    if not table:
        return
    count, names = sum(length for _, _, length in table), json.loads(arrays['names'].tobytes())
    senses, encoders = names['senses'], names['encoders']
    lengths = dict.fromkeys((*_MOTION, 'facts'), count)
    lengths |= {f'{kind}.{sense}': count + len(table) for kind in ('data', 'about') for sense in senses}
    for name, length in lengths.items():
        if len(arrays[name]) != length:
            raise ValueError(f'{name} of a memory: expected {length} rows, found {len(arrays[name])}')

    def observation(at: int) -> Observation:
        about = {sense: arrays[f'about.{sense}'][at].tolist() for sense in senses}
        return Observation(
            {
                sense: Reading(arrays[f'data.{sense}'][at].copy(), stamp, encoders[encoder], version)
                for sense, (stamp, encoder, version) in about.items()
            }
        )

    step = seen = 0
    for episode, first, length in table:
        sensed = [observation(seen + i) for i in range(length + 1)]
        steps = [_transition(arrays, step + i, sensed[i], sensed[i + 1]) for i in range(length)]
        yield Chain(episode, first, steps)
        step, seen = step + length, seen + length + 1


def _transition(arrays: Mapping[str, Array], at: int, before: Observation, after: Observation) -> Transition:
    bits, boundary, terminal, truncated, image_delay = arrays['facts'][at].tolist()
    motion: dict[str, Any] = {name: arrays[name][at].copy() for name in _MOTION}
    return Transition(
        before=before,
        after=after,
        **motion,
        reward=float(np.int64(bits).view(np.float64)),
        boundary=bool(boundary),
        terminal=bool(terminal),
        truncated=bool(truncated),
        image_delay=image_delay,
    )

"""The contract of replay memories, the record that they keep, and records as tensors."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from cls_common.transition import Doubles, Experience, Floats

from ..types import Batch, History, Windows


@dataclass(frozen=True)
class Record:
    """One transition in memory: embeddings and joint angles, no images.

    Attributes:
        z, z_next: float32 (D,) raw. action, commanded: float32 (A,) robot units.
        joints: float64 (J,) rad, at z. time: ns, stamp of the image of z.
        episode, sequence: position in the stream; a window never crosses an episode or a gap of the sequence, since
            the transitions on both sides are not consecutive.
    """

    z: Floats
    z_next: Floats
    action: Floats
    commanded: Floats
    joints: Doubles
    time: int
    episode: int
    sequence: int

    @classmethod
    def of(cls, experience: Experience) -> 'Record':
        """Returns the record of an experience."""
        t = experience.transition
        return cls(
            t.z,
            t.z_next,
            t.action_applied,
            t.action_commanded,
            t.joints,
            t.stamp_z,
            experience.episode,
            experience.sequence,
        )

    def follows(self, other: 'Record') -> bool:
        """Whether this is the next step of the same episode."""
        return self.episode == other.episode and self.sequence == other.sequence + 1

    def sharing(self, last: 'Record | None') -> 'Record':
        """Returns the record with z replaced by the equal z_next of the record before, so that memory holds it once."""
        if last is None or self.z is last.z_next or not np.array_equal(self.z, last.z_next):
            return self
        return replace(self, z=last.z_next)


class ReplayMemory(ABC):
    """Stores transitions for sleep and samples them without replacement."""

    @abstractmethod
    def add(self, record: Record) -> None:
        """Adds one transition; removes others where the capacity is reached."""

    @abstractmethod
    def __len__(self) -> int:
        """Returns the number of transitions held."""

    @property
    def nbytes(self) -> int:
        """Memory in use, bytes."""
        return size_in_bytes(self.records())

    @abstractmethod
    def records(self) -> list[Record]:
        """Returns everything held, by rising sequence."""

    @abstractmethod
    def transitions(self, count: int, generator: np.random.Generator, context: int = 0) -> Batch:
        """Samples different transitions uniformly.

        Args:
            count: B, at most window_count(context + 1).
            context: C, steps before each transition that are returned as its history; 0: no history.

        Returns:
            tensors on the CPU: z, z_next (B, D), action (B, A), joints (B, J), history (B, C, ...).
        """

    @abstractmethod
    def window_count(self, steps: int) -> int:
        """Returns the number of windows of `steps` consecutive transitions held."""

    @abstractmethod
    def windows(self, count: int, steps: int, generator: np.random.Generator) -> Windows:
        """Samples different windows of consecutive transitions uniformly.

        Args:
            count: B, at most window_count(steps). steps: K.

        Returns:
            z (B, K + 1, D) and action (B, K, A), on the CPU.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Returns the state as named tensors, on the CPU."""

    @abstractmethod
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores the state; raises KeyError or ValueError for the state of another memory."""


def size_in_bytes(records: Iterable[Record]) -> int:
    """Returns the size of all arrays of records in bytes; a shared array counts once."""
    arrays = {id(a): a.nbytes for r in records for a in (r.z, r.z_next, r.action, r.commanded, r.joints)}
    return sum(arrays.values())


def to_batch(records: list[Record], before: list[list[Record]] | None = None, context: int = 0) -> Batch:
    """Stacks B records: z, z_next (B, D), action (B, A), joints (B, J), history (B, context, ...), float32.

    Args:
        before: for each record up to `context` steps before it, the newest last; required where context is above 0.
    """
    return Batch(
        z=_stack([r.z for r in records]),
        action=_stack([r.action for r in records]),
        z_next=_stack([r.z_next for r in records]),
        joints=_stack([r.joints for r in records]),
        history=_history(records, before, context) if before is not None and context else None,
    )


def _history(records: list[Record], before: list[list[Record]], context: int) -> History:
    """Stacks the steps before B records: z (B, C, D), action (B, C, A), aligned to the newest, zero where unknown."""
    count, first = len(records), records[0]
    z = torch.zeros(count, context, len(first.z))
    action = torch.zeros(count, context, len(first.action))
    known = torch.zeros(count, context, dtype=torch.bool)
    for row, steps in enumerate(before):
        if steps:
            z[row, -len(steps) :] = _stack([r.z for r in steps])
            action[row, -len(steps) :] = _stack([r.action for r in steps])
            known[row, -len(steps) :] = True
    return History(z, action, known)


def split(windows: Windows, context: int) -> tuple[History | None, Windows]:
    """Splits windows (B, C + K, ...) after C = `context` steps into a history (None where C is 0) and windows of K."""
    if not context:
        return None, windows
    known = torch.ones(len(windows.z), context, dtype=torch.bool)
    history = History(windows.z[:, :context], windows.action[:, :context], known)
    return history, Windows(windows.z[:, context:], windows.action[:, context:])


def before_last(stretches: list[list[Record]], context: int) -> Batch:
    """Stacks the last record of each stretch, with up to `context` steps before it; shapes as `to_batch`."""
    return to_batch([s[-1] for s in stretches], [s[:-1] for s in stretches], context)


def to_windows(stretches: list[list[Record]]) -> Windows:
    """Stacks B stretches of K consecutive records: z (B, K + 1, D) and action (B, K, A), float32."""
    count, steps = len(stretches), len(stretches[0])
    z = _stack([z for s in stretches for z in (s[0].z, *(r.z_next for r in s))])
    action = _stack([r.action for s in stretches for r in s])
    return Windows(z.view(count, steps + 1, -1), action.view(count, steps, -1))


def pack(records: list[Record], prefix: str) -> dict[str, Tensor]:
    """Returns N records as tensors named `prefix.*`; an embedding that neighbours share is stored once."""
    if not records:
        return {f'{prefix}.count': torch.zeros(1, dtype=torch.int64)}
    starts = [
        i == 0 or not (r.follows(records[i - 1]) and np.array_equal(r.z, records[i - 1].z_next))
        for i, r in enumerate(records)
    ]
    return {
        f'{prefix}.count': torch.tensor([len(records)]),
        f'{prefix}.starts': torch.tensor(starts),
        f'{prefix}.first_z': _stack([r.z for r, start in zip(records, starts) if start]),
        f'{prefix}.z_next': _stack([r.z_next for r in records]),
        f'{prefix}.action': _stack([r.action for r in records]),
        f'{prefix}.commanded': _stack([r.commanded for r in records]),
        f'{prefix}.joints': torch.from_numpy(np.stack([r.joints for r in records])),
        f'{prefix}.keys': torch.tensor([[r.time, r.episode, r.sequence] for r in records]),
    }


def unpack(state: Mapping[str, Tensor], prefix: str) -> list[Record]:
    """Returns the records that `pack` wrote.

    Raises:
        KeyError, ValueError: an array is missing or has another length.
    """
    if int(state[f'{prefix}.count']) == 0:
        return []
    names = ('starts', 'first_z', 'z_next', 'action', 'commanded', 'joints', 'keys')
    starts, first_z, z_next, action, commanded, joints, keys = (state[f'{prefix}.{n}'].numpy().copy() for n in names)
    lengths = {len(each) for each in (starts, z_next, action, commanded, joints, keys)}
    if len(lengths) > 1 or starts.sum() != len(first_z):
        raise ValueError(f'{prefix}: arrays of different lengths')
    records: list[Record] = []
    firsts = iter(first_z)
    for i, start in enumerate(starts):
        z = next(firsts) if start else records[-1].z_next
        time, episode, sequence = (int(v) for v in keys[i])
        records.append(Record(z, z_next[i], action[i], commanded[i], joints[i], time, episode, sequence))
    return records


def _stack(arrays: list[Floats] | list[Doubles]) -> Tensor:
    return torch.from_numpy(np.stack(arrays).astype(np.float32, copy=False))

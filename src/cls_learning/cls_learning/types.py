"""Transitions as tensors, the input of learners.

Shapes: B batch, C steps of history, D length of an embedding, A length of an action, J joints, K steps of a rollout.
z is an embedding (raw, as encoded), a an action (robot units, as applied), q joint angles (rad).
"""

from dataclasses import dataclass, fields
from typing import Any, Self

from torch import Tensor


@dataclass(frozen=True)
class History:
    """The C steps before each of B transitions, the newest last.

    Attributes:
        z: float32 (B, C, D). action: float32 (B, C, A). known: bool (B, C), False before the first step of a sequence.
    """

    z: 'Tensor'
    action: 'Tensor'
    known: 'Tensor'

    def to(self, device: str) -> 'History':
        """Returns a copy on another device."""
        return History(self.z.to(device), self.action.to(device), self.known.to(device))

    def rows(self, some: slice | Tensor) -> 'History':
        """Returns the history of some of the transitions."""
        return History(self.z[some], self.action[some], self.known[some])


@dataclass(frozen=True)
class Batch:
    """Transitions as tensors: z (B, D), a (B, A) robot units, z_next (B, D), q (B, J) rad, float32.

    Attributes:
        history: steps before, raw embeddings and robot units, for models with a state; else None.
    """

    z: Tensor
    action: Tensor
    z_next: Tensor
    joints: Tensor
    history: History | None = None

    def to(self, device: str) -> 'Batch':
        """Returns a copy on another device."""
        history = self.history.to(device) if self.history is not None else None
        return Batch(self.z.to(device), self.action.to(device), self.z_next.to(device), self.joints.to(device), history)


@dataclass(frozen=True)
class Windows:
    """Windows of K consecutive steps as tensors: z (B, K + 1, D), a (B, K, A) robot units, float32."""

    z: Tensor
    action: Tensor

    def to(self, device: str) -> 'Windows':
        """Returns a copy on another device."""
        return Windows(self.z.to(device), self.action.to(device))


@dataclass(frozen=True, kw_only=True)
class StepTensors:
    """Steps without their observations. The leading dimensions are (B,) of transitions, (B, K) of sequences.

    Attributes:
        action_applied, action_commanded: float32 (..., A) robot units.
        joints, joints_next: float32 (..., J) rad, before and after.
        reward: float32 (...), NaN where the robot gave none. terminal, truncated: bool (...).
    """

    action_applied: Tensor
    action_commanded: Tensor
    joints: Tensor
    joints_next: Tensor
    reward: Tensor
    terminal: Tensor
    truncated: Tensor

    def to(self, device: str) -> Self:
        """Returns a copy on another device."""
        return type(self)(**{each.name: _moved(getattr(self, each.name), device) for each in fields(self)})


@dataclass(frozen=True, kw_only=True)
class TransitionBatch(StepTensors):
    """Transitions with any readings.

    Attributes:
        before, after: by reading, uint8 (B, H, W, 3) of images, float32 (B, D) of vectors and embeddings.
    """

    before: dict[str, Tensor]
    after: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class SequenceBatch(StepTensors):
    """Windows of K consecutive transitions with any readings.

    Attributes:
        observations: by reading, uint8 (B, K + 1, H, W, 3) of images, float32 (B, K + 1, D) of vectors and embeddings.
        duration: float32 (B, K) s, of each step by the stamps of its observations.
    """

    observations: dict[str, Tensor]
    duration: Tensor


def _moved(value: Tensor | dict[str, Tensor], device: str) -> Any:
    return {k: t.to(device) for k, t in value.items()} if isinstance(value, dict) else value.to(device)

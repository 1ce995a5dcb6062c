"""Transitions as tensors, as learners take them.

Letters: B batch, D length of an embedding, A length of an action, J joints, K steps of a dream.
z embedding (raw, as the encoder gives it), a action (robot units, as applied), q joint angles (rad).
"""

from dataclasses import dataclass, fields
from typing import Any, Self

from torch import Tensor


@dataclass(frozen=True)
class History:
    """The C steps before each of B transitions, the newest last.

    Attributes:
        z: float32 (B, C, D). action: float32 (B, C, A). known: bool (B, C), False before the chain began.
    """

    z: 'Tensor'
    action: 'Tensor'
    known: 'Tensor'

    def to(self, device: str) -> 'History':
        """Returns it on another device."""
        return History(self.z.to(device), self.action.to(device), self.known.to(device))


@dataclass(frozen=True)
class Batch:
    """Transitions as tensors: z (B, D), a (B, A) robot units, z_next (B, D), q (B, J) rad, float32.

    Attributes:
        history: the steps before, raw embeddings and robot units, for models with a state; else None.
    """

    z: Tensor
    action: Tensor
    z_next: Tensor
    joints: Tensor
    history: History | None = None

    def to(self, device: str) -> 'Batch':
        """Returns it on another device."""
        history = self.history.to(device) if self.history is not None else None
        return Batch(self.z.to(device), self.action.to(device), self.z_next.to(device), self.joints.to(device), history)


@dataclass(frozen=True)
class Windows:
    """Unbroken stretches as tensors: z (B, K + 1, D), a (B, K, A) robot units, float32."""

    z: Tensor
    action: Tensor

    def to(self, device: str) -> 'Windows':
        """Returns it on another device."""
        return Windows(self.z.to(device), self.action.to(device))


@dataclass(frozen=True, kw_only=True)
class StepTensors:
    """What happened in steps, beside observations. The leading dimensions are (B,) of transitions, (B, K) of sequences.

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
        """Returns it on another device."""
        return type(self)(**{each.name: _moved(getattr(self, each.name), device) for each in fields(self)})


@dataclass(frozen=True, kw_only=True)
class TransitionBatch(StepTensors):
    """Transitions of any senses.

    Attributes:
        before, after: by sense, uint8 (B, H, W, 3) of images, float32 (B, D) of vectors and embeddings.
    """

    before: dict[str, Tensor]
    after: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class SequenceBatch(StepTensors):
    """Unbroken stretches of any senses.

    Attributes:
        observations: by sense, uint8 (B, K + 1, H, W, 3) of images, float32 (B, K + 1, D) of vectors and embeddings.
    """

    observations: dict[str, Tensor]


def _moved(value: Tensor | dict[str, Tensor], device: str) -> Any:
    return {k: t.to(device) for k, t in value.items()} if isinstance(value, dict) else value.to(device)

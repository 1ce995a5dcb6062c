"""Transitions as tensors, as learners take them.

Letters: B batch, D length of an embedding, A length of an action, J joints, K steps of a dream.
z embedding (raw, as the encoder gives it), a action (robot units, as applied), q joint angles (rad).
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Transitions as tensors: z (B, D), a (B, A) robot units, z_next (B, D), q (B, J) rad, float32."""

    z: Tensor
    action: Tensor
    z_next: Tensor
    joints: Tensor

    def to(self, device: str) -> 'Batch':
        """Returns it on another device."""
        return Batch(self.z.to(device), self.action.to(device), self.z_next.to(device), self.joints.to(device))


@dataclass(frozen=True)
class Windows:
    """Unbroken stretches as tensors: z (B, K + 1, D), a (B, K, A) robot units, float32."""

    z: Tensor
    action: Tensor

    def to(self, device: str) -> 'Windows':
        """Returns it on another device."""
        return Windows(self.z.to(device), self.action.to(device))

"""What flows through the learners, and the letters used for it.

Glossary: B batch, D length of an embedding, A length of an action, J joints, K steps of a dream.
z embedding (raw, as the encoder gives it), a action (robot units, as applied), q joint angles (rad).
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # journals and listings are read without PyTorch
    from torch import Tensor

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One closed wake step, as the body lived it.

    Attributes:
        z, z_next: float32 (D,), raw embeddings before and after.
        action_commanded, action_applied: float32 (A,), robot units.
        joints, joints_next: float64 (J,), rad.
        boundary: z is not the z_next of the transition before (H2).
        stamp_z, stamp_next: ns, of the images behind z and z_next.
        reward: the robot's own, NaN where none. terminal, truncated: the episode ended here.
        image_delay: steps by which its images were late, so that it has the motion of that many transitions before.
    """

    z: Floats
    z_next: Floats
    action_commanded: Floats
    action_applied: Floats
    joints: Doubles
    joints_next: Doubles
    boundary: bool
    stamp_z: int = 0
    stamp_next: int = 0
    reward: float = float('nan')
    terminal: bool = False
    truncated: bool = False
    image_delay: int = 0

    def is_finite(self) -> bool:
        """Whether everything that is learned from is finite; the border refuses it otherwise."""
        parts = (
            self.z,
            self.z_next,
            self.action_commanded,
            self.action_applied,
            self.joints,
            self.joints_next,
        )
        return all(bool(np.isfinite(part).all()) for part in parts)


@dataclass(frozen=True, kw_only=True)
class Experience:
    """A transition and what Fast thought of it: what the sleeping half learns from.

    Attributes:
        sequence: total wake steps of the model's life, this one included.
        episode: rises at every boundary.
        error_before: mean squared error of Fast's prediction before it learned this, raw units.
        copy_error: mean squared error of predicting z, raw units.
        prediction_after: float32 (D,), Fast's prediction after it learned this, raw units.
        normalizer_version: of the snapshot Fast used.
        metrics: losses of this step, by name.
    """

    transition: Transition
    sequence: int
    episode: int
    error_before: float
    copy_error: float
    prediction_after: Floats
    normalizer_version: int
    metrics: dict[str, float] = field(default_factory=dict)


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

    z: 'Tensor'
    action: 'Tensor'
    z_next: 'Tensor'
    joints: 'Tensor'
    history: History | None = None

    def to(self, device: str) -> 'Batch':
        """Returns it on another device."""
        history = self.history.to(device) if self.history is not None else None
        return Batch(self.z.to(device), self.action.to(device), self.z_next.to(device), self.joints.to(device), history)


@dataclass(frozen=True)
class Windows:
    """Unbroken stretches as tensors: z (B, K + 1, D), a (B, K, A) robot units, float32."""

    z: 'Tensor'
    action: 'Tensor'

    def to(self, device: str) -> 'Windows':
        """Returns it on another device."""
        return Windows(self.z.to(device), self.action.to(device))

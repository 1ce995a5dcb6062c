"""Puts embeddings on a common scale: one mean per dimension and ONE scale for all dimensions.

One scale for each dimension would blow up directions that a first scene happens not to use (learning probe, section 8).
Messages and memories hold raw embeddings; only networks see normalised ones.
"""

import torch
from torch import Tensor

from ..config import NormalizerSettings
from .optimisation import select, State


class Normalizer:
    """Running statistics, and the snapshot of them that is applied.

    The snapshot changes at the 1st, 2nd, 4th ... 512th step and afterwards only at waking, so that a night and most
    days see one fixed scale. Every snapshot has a version.
    """

    LAST_EARLY_STEP = 512
    # Smallest scale, as a share of the mean's own size: identical frames must not divide by nothing.
    FLOOR = 1e-3

    def __init__(self, settings: NormalizerSettings, z_size: int, device: str = 'cpu') -> None:
        self.device = device
        self._is_identity = settings.kind == 'identity'
        self._clip = settings.clip
        self._count = 0
        self._sum_mean = torch.zeros(z_size, dtype=torch.float64)
        self._sum_squares = torch.zeros(z_size, dtype=torch.float64)
        self.mean = torch.zeros(z_size, device=device)
        self.scale = torch.ones((), device=device)
        self.version = 0

    def observe(self, z: Tensor) -> None:
        """Takes one raw embedding (D,) into the running statistics (Welford 1962)."""
        self._count += 1
        delta = z.double() - self._sum_mean
        self._sum_mean += delta / self._count
        self._sum_squares += delta * (z.double() - self._sum_mean)

    def is_due(self, step: int) -> bool:
        """Whether the snapshot changes after this wake step, counted from 1 over the model's life."""
        return not self._is_identity and step <= self.LAST_EARLY_STEP and step & (step - 1) == 0

    def apply(self) -> None:
        """Makes the running statistics the applied snapshot, with the next version."""
        self.version += 1
        if self._is_identity or self._count < 2:
            return
        floor = max(self.FLOOR * float(self._sum_mean.square().mean().sqrt()), 1e-6)
        spread = float((self._sum_squares / self._count).mean().sqrt())
        self.mean = self._sum_mean.float().to(self.device)
        self.scale = torch.tensor(max(spread, floor), device=self.device)

    def normalize(self, z: Tensor) -> Tensor:
        """Returns (..., D) raw embeddings on the common scale, clipped."""
        if self._is_identity:
            return z
        return ((z - self.mean) / self.scale).clamp(-self._clip, self._clip)

    def restore(self, x: Tensor) -> Tensor:
        """Returns (..., D) normalised embeddings as raw ones."""
        return x if self._is_identity else x * self.scale + self.mean

    def state(self) -> State:
        """Returns everything by name."""
        return {
            'normalizer.count': torch.tensor(self._count),
            'normalizer.running_mean': self._sum_mean.clone(),
            'normalizer.running_squares': self._sum_squares.clone(),
            'normalizer.mean': self.mean.cpu().clone(),
            'normalizer.scale': self.scale.cpu().clone(),
            'normalizer.version': torch.tensor(self.version),
        }

    def load(self, state: State) -> None:
        """Takes everything back."""
        own = select('normalizer', state)
        self._count = int(own['count'])
        self._sum_mean = own['running_mean'].clone()
        self._sum_squares = own['running_squares'].clone()
        self.mean = own['mean'].clone().to(self.device)
        self.scale = own['scale'].clone().to(self.device)
        self.version = int(own['version'])

"""Normalises embeddings with one mean for each dimension and one scale for all dimensions.

A scale for each dimension would amplify directions in which the first scene does not vary. Messages and memories hold
raw embeddings; only networks read normalised ones.
"""

import torch
from torch import Tensor

from ..config import NormalizerSettings
from ..space_change import SpaceChange
from .optimisation import select, State


class Normalizer:
    """Running statistics, and the snapshot of them that is applied.

    The snapshot changes at step 1, 2, 4, ... 512 and afterwards only at the end of a sleep, so that a sleep and most
    wake phases have one fixed scale. Every snapshot has a version, and must be folded into all networks.

    Attributes:
        can_fold: whether all networks can; else the first snapshot of `SETTLED` embeddings is the last.
    """

    LAST_EARLY_STEP = 512
    # Embeddings after which the snapshot is kept for networks that can't fold.
    SETTLED = 64
    # Snapshots of fewer embeddings are replaced without folding. The scale of the first frames may be a twentieth of
    # the final one; folded, it makes the first layers twenty times steeper, and Fast learns worse from then on (skill
    # on held-out steps in a small environment 0.54 to 0.84 when all were folded, 0.92 to 0.97 from 16 or 64 on).
    YOUNG = 16
    # Smallest scale, as a share of the size of the mean: prevents a division by 0 for identical frames.
    FLOOR = 1e-3

    def __init__(self, settings: NormalizerSettings, z_size: int, device: str = 'cpu') -> None:
        self.device = device
        self._is_identity = settings.kind == 'identity'
        self._clip = settings.clip
        self._folds = settings.fold
        self.can_fold = True
        self._count = self._applied = 0  # embeddings observed, and behind the snapshot
        self._sum_mean = torch.zeros(z_size, dtype=torch.float64)
        self._sum_squares = torch.zeros(z_size, dtype=torch.float64)
        self.mean = torch.zeros(z_size, device=device)
        self.scale = torch.ones((), device=device)
        self.version = 0

    def observe(self, z: Tensor) -> None:
        """Adds one raw embedding, float32 (D,), to the running statistics (Welford 1962)."""
        self._count += 1
        delta = z.double() - self._sum_mean
        self._sum_mean += delta / self._count
        self._sum_squares += delta * (z.double() - self._sum_mean)

    def is_due(self, step: int) -> bool:
        """Whether the snapshot changes after this wake step of the model, counted from 1."""
        return not self._is_identity and step <= self.LAST_EARLY_STEP and step & (step - 1) == 0

    def apply(self) -> SpaceChange | None:
        """Makes the running statistics the applied snapshot, with the next version.

        Returns:
            the change that networks must fold; None where there is none.
        """
        self.version += 1
        if self._is_identity or self._count < 2 or self._is_fixed:
            return None
        floor = max(self.FLOOR * float(self._sum_mean.square().mean().sqrt()), 1e-6)
        spread = float((self._sum_squares / self._count).mean().sqrt())
        mean = self._sum_mean.float().to(self.device)
        return self._replace(mean, torch.tensor(max(spread, floor), device=self.device), self._count)

    def adopt(self, state: State) -> SpaceChange | None:
        """Takes the state of another normaliser; returns the change that networks must fold, None without one."""
        before = self.mean, self.scale, self._applied
        self.load(state)
        after = self.mean, self.scale, self._applied
        self.mean, self.scale, self._applied = before
        return self._replace(*after)

    @property
    def _is_fixed(self) -> bool:
        return self._folds and not self.can_fold and self._applied >= self.SETTLED

    def _replace(self, mean: Tensor, scale: Tensor, applied: int) -> SpaceChange | None:
        old_mean, old_scale, was_young = self.mean, self.scale, self._applied < self.YOUNG
        self.mean, self.scale, self._applied = mean, scale, applied
        is_same = torch.equal(mean, old_mean) and torch.equal(scale, old_scale)
        if is_same or was_young or not (self._folds and self.can_fold):
            return None
        ratio, shift = scale.double() / old_scale.double(), (mean.double() - old_mean.double()) / old_scale.double()
        return SpaceChange(ratio, shift)

    def normalize(self, z: Tensor) -> Tensor:
        """Returns normalised, clipped embeddings float32 (..., D) from raw ones (..., D)."""
        if self._is_identity:
            return z
        return ((z - self.mean) / self.scale).clamp(-self._clip, self._clip)

    def restore(self, x: Tensor) -> Tensor:
        """Returns raw embeddings float32 (..., D) from normalised ones (..., D)."""
        return x if self._is_identity else x * self.scale + self.mean

    def state(self) -> State:
        """Returns the state as named tensors, on the CPU."""
        return {
            'normalizer.count': torch.tensor(self._count),
            'normalizer.running_mean': self._sum_mean.clone(),
            'normalizer.running_squares': self._sum_squares.clone(),
            'normalizer.mean': self.mean.cpu().clone(),
            'normalizer.scale': self.scale.cpu().clone(),
            'normalizer.version': torch.tensor(self.version),
            'normalizer.applied': torch.tensor(self._applied),
        }

    def load(self, state: State) -> None:
        """Restores the state."""
        own = select('normalizer', state)
        self._count = int(own['count'])
        self._sum_mean = own['running_mean'].clone()
        self._sum_squares = own['running_squares'].clone()
        self.mean = own['mean'].clone().to(self.device)
        self.scale = own['scale'].clone().to(self.device)
        self.version = int(own['version'])
        self._applied = int(own.get('applied', own['count']))  # not written by older versions

"""Memories by name: `pieces` and `fifo` feed sleep, `recent` feeds Fast and the policy."""

from cls_common.errors import UserError

from ..config import MemorySettings
from .contract import ReplayMemory


def make(settings: MemorySettings, seed: int) -> ReplayMemory:
    """Makes an empty replay memory."""
    from .fifo import FifoMemory
    from .pieces import PieceMemory

    if settings.kind == 'fifo':
        return FifoMemory(settings.capacity)
    if settings.kind == 'pieces':
        return PieceMemory(settings.capacity, settings.piece_length, seed)
    raise UserError(f'unknown memory {settings.kind!r}', expected='pieces or fifo')

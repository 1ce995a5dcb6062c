"""Replay memories by name: one file each, found by `memory.kind`."""

from ..config import MemorySettings
from ..registries import MEMORIES
from .contract import ReplayMemory


def make(settings: MemorySettings, seed: int) -> ReplayMemory:
    """Makes an empty replay memory.

    Raises:
        UserError: no such kind.
    """
    memory: ReplayMemory = MEMORIES.make(settings.kind, settings, seed)
    return memory

"""`memory.kind: pieces`, the value in config.json that selects the segment buffer."""

from .segment_buffer import make

__all__ = ['make']

"""Counter-based random streams: every draw is a function of (seed, purpose, step).

So there is no random state to save: a run that stopped and went on draws what it would have drawn.
"""

import zlib

import numpy as np


def stream(seed: int, purpose: str, step: int) -> np.random.Generator:
    """Returns the generator of one purpose at one step (Philox, Salmon et al. 2011)."""
    key = np.array([seed & (2**64 - 1), zlib.crc32(purpose.encode())], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, step, 0], np.uint64)))


def derive(seed: int, purpose: str) -> int:
    """Returns a seed of its own for a purpose, 0 <= value < 2**31."""
    return int(stream(seed, purpose, 0).integers(2**31))

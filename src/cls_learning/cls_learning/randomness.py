"""Counter-based random streams: every random number is a function of (seed, purpose, step).

There is no random state to save: a resumed run draws the same numbers as one without interruption.
"""

import zlib

import numpy as np


def stream(seed: int, purpose: str, step: int) -> np.random.Generator:
    """Returns the generator for a purpose at a step (Philox, Salmon et al. 2011)."""
    key = np.array([seed & (2**64 - 1), zlib.crc32(purpose.encode())], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, step, 0], np.uint64)))


def derive(seed: int, purpose: str) -> int:
    """Returns a seed for a purpose, 0 <= value < 2**31."""
    return int(stream(seed, purpose, 0).integers(2**31))

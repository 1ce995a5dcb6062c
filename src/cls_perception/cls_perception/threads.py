"""PyTorch's thread count, which belongs to the whole process, lent for one piece of work."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def lent_threads(count: int) -> Iterator[None]:
    """Computes with `count` threads inside; 0: as many as the process has."""
    before = torch.get_num_threads()
    if count and count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)

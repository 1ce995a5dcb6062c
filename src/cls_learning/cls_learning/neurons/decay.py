"""Decay over a number of steps that need not be whole, with inputs that are held meanwhile.

The recursion x <- decay x + input, taken n times, is x <- decay^n x + (1 + decay + ... + decay^(n-1)) input. Both
factors exist for any n >= 0, so n can be the time that has passed in units of a step: decay^n = exp(-dt / tau) where
decay = exp(-1 / tau). A step of n equals two steps of n / 2, and one of n = 1 is the recursion to the last bit, since
x^0 is exactly 1.
"""

import torch
from torch import Tensor


def power(x: Tensor, n: Tensor) -> Tensor:
    """Returns x^n, exactly x for n = 1.

    Args:
        x: real or complex (H,), 0 < |x| < 1. n: >= 0, (B, 1).
    """
    return x * x ** (n - 1.0)


def power_sum(x: Tensor, n: Tensor) -> Tensor:
    """Returns (1 - x^n) / (1 - x), exactly 1 for n = 1; arguments as in `power`."""
    return 1.0 + x * (1.0 - x ** (n - 1.0)) / (1.0 - x)


def power_difference(x: Tensor, y: Tensor, n: Tensor) -> Tensor:
    """Returns (x^n - y^n) / (x - y), n x^(n-1) where x = y, and exactly 1 for n = 1; x and y real, as in `power`."""
    high, low = torch.maximum(x, y), torch.minimum(x, y)
    log = (low / high).log().clamp(max=-1e-6)  # 0 / 0 where x = y
    return high ** (n - 1.0) * (1.0 + low / high * torch.expm1((n - 1.0) * log) / torch.expm1(log))

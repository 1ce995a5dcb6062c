"""Numbers of any size on one scale (Hafner et al. 2023)."""

from torch import Tensor


def symlog(x: Tensor) -> Tensor:
    """Returns sign(x) ln(|x| + 1), elementwise."""
    return x.sign() * x.abs().log1p()


def symexp(x: Tensor) -> Tensor:
    """Returns the inverse of symlog, elementwise."""
    return x.sign() * x.abs().expm1()

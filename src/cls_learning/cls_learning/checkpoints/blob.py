"""A half of the model as bytes: safetensors and its hash. No pickles (H14)."""

from collections.abc import Mapping
import hashlib

from safetensors import SafetensorError
from safetensors.torch import load, save
import torch
from torch import Tensor

from cls_common.errors import UserError


def pack(state: Mapping[str, Tensor]) -> bytes:
    """Returns named tensors as safetensors bytes."""
    return save({name: tensor.contiguous() for name, tensor in state.items()})


def unpack(data: bytes, what: str) -> dict[str, Tensor]:
    """Reads named tensors; `what` names the thing in an error.

    Raises:
        UserError: not safetensors, or a weight that is not finite.
    """
    try:
        state: dict[str, Tensor] = load(data)
    except (SafetensorError, ValueError) as error:
        raise UserError(what, expected='whole safetensors data', found=str(error)) from error
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(what, expected='finite numbers only', found=f'NaN or infinity in {name!r}')
    return state


def sha256(data: bytes) -> str:
    """Returns the hash that travels with a blob, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()

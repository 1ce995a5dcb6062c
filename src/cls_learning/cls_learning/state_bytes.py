"""States as bytes: safetensors and their hash. No pickles, which run code when they are read."""

from collections.abc import Iterator, Mapping
import contextlib
import hashlib

from safetensors import SafetensorError
from safetensors.torch import load, save
import torch
from torch import Tensor

from cls_common.errors import UserError

# Characters of an error that are shown.
_LONGEST = 300


def pack(state: Mapping[str, Tensor]) -> bytes:
    """Returns named tensors as safetensors bytes."""
    return save({name: tensor.contiguous() for name, tensor in state.items()})


def unpack(data: bytes, what: str) -> dict[str, Tensor]:
    """Reads named tensors; `what` names the data in an error.

    Raises:
        UserError: the data are not safetensors, or a number is not finite.
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
    """Returns the hash that is sent with a state, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def refusing(what: str) -> Iterator[None]:
    """Converts the errors of loading a state of other settings to a UserError about `what`."""
    try:
        yield
    except UserError:
        raise
    except (KeyError, RuntimeError, ValueError) as error:
        # PyTorch names a tensor only in the second line, of which there may be many.
        found = ' '.join(line.strip() for line in str(error).splitlines()[:2])
        raise UserError(what, expected="weights of this model's config.json", found=found[:_LONGEST]) from error

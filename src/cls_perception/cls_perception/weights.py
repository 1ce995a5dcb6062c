"""Weights as named arrays: digest, conversion to and from safetensors, checks for damage."""

from collections.abc import Mapping
import hashlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
import safetensors.numpy

from cls_common.errors import UserError

Arrays = dict[str, NDArray[Any]]
Shapes = Mapping[str, tuple[int, ...]]
# Of 64 hexadecimal digits; 48 bits are enough to distinguish all encoders of a robot.
ID_DIGITS: Final = 12


def digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Returns the SHA-256 over names, types, shapes and bytes, as 64 hexadecimal digits.

    Not of the file: another release of safetensors may store the same weights differently.
    """
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order='C')
        total.update(f'{name} {array.dtype.str} {array.shape};'.encode())
        total.update(array.data)
    return total.hexdigest()


def to_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Returns named arrays of any shape as safetensors."""
    return safetensors.numpy.save({name: np.asarray(array, order='C') for name, array in arrays.items()})


def from_bytes(data: bytes, config: Mapping[str, Any]) -> Arrays:
    """Reads safetensors, and checks the digest of the config and that all values are finite.

    Raises:
        UserError: truncated or changed bytes, non-finite values.
    """
    name = config.get('name')
    try:
        arrays = safetensors.numpy.load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(
            f'weights of encoder {name!r}',
            expected='whole safetensors',
            found=f'{len(data)} bytes: {error}',
            do='Restore the file, or start a new model.',
        ) from error
    found = digest(arrays)
    if config.get('digest') != found:
        raise UserError(
            f'weights of encoder {name!r}',
            expected=f'digest {str(config.get("digest"))[:ID_DIGITS]}',
            found=found[:ID_DIGITS],
            do='Restore both files, or start a new model.',
        )
    check_finite(arrays, f'encoder {name!r}')
    return arrays


def check_finite(arrays: Mapping[str, NDArray[Any]], owner: str) -> None:
    """Raises UserError if a weight is NaN or infinite."""
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise UserError(f'weights of {owner}', expected='finite values', found=f'NaN or infinity in {name!r}')


def check_fits(found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], owner: str) -> None:
    """Raises UserError if names or shapes differ, with the first difference."""
    for name in sorted(set(found) | set(expected)):
        if found.get(name) != expected.get(name):
            raise UserError(
                f'weights of {owner}: {name!r}',
                expected=str(expected.get(name, 'nothing of that name')),
                found=str(found.get(name, 'nothing of that name')),
                do='Give a file of this architecture.',
            )

"""Hash of the weights of a model: equal weights have equal hashes on every machine."""

from collections.abc import Callable, Mapping
import hashlib

from safetensors.numpy import load


def weights_sha256(parts: Mapping[str, bytes], is_weight: Callable[[str, str], bool]) -> str:
    """Returns the hash over names, shapes and bytes of all weights, 64 hex digits.

    Args:
        parts: safetensors by part name.
        is_weight: whether a tensor counts, by its part and name; see `Brain.is_weight`.
    """
    digest = hashlib.sha256()
    for part, data in sorted(parts.items(), key=lambda item: item[0]):
        for name, value in sorted(load(data).items()):
            if is_weight(part, name):
                digest.update(f'{name} {value.dtype} {value.shape}\n'.encode())
                digest.update(value.tobytes())
    return digest.hexdigest()

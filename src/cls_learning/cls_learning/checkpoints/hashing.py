"""One number for what a model has become: the same weights, the same hash, on every machine."""

import hashlib
from typing import Any

from safetensors.numpy import load

# Acting and raw weights of Fast, Slow and policy, and the normaliser. Optimisers and memory are not what it says.
_HASHED = ('fast.raw.', 'fast.acting.', 'policy.', 'normalizer.', 'slow.raw.', 'slow.acting.')
_LEFT_OUT = ('policy.optimizer.',)


def weights_sha256(waking_half: bytes, sleeping_half: bytes) -> str:
    """Returns the hash over names (sorted), shapes and bytes of all weights, 64 hex digits."""
    tensors: dict[str, Any] = {f'waking/{name}': value for name, value in load(waking_half).items()}
    tensors |= {f'sleeping/{name}': value for name, value in load(sleeping_half).items()}
    digest = hashlib.sha256()
    for name in sorted(tensors):
        own = name.split('/', 1)[1]
        # Slow's copy of the normaliser follows the waking half's; only the original counts.
        if not own.startswith(_HASHED) or own.startswith(_LEFT_OUT) or name.startswith('sleeping/normalizer.'):
            continue
        value = tensors[name]
        digest.update(f'{own} {value.dtype} {value.shape}\n'.encode())
        digest.update(value.tobytes())
    return digest.hexdigest()

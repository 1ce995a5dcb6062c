"""Files of a model folder: atomic writes and hashes."""

import hashlib
from pathlib import Path

from cls_common.atomic_file import sync as sync_folder
from cls_common.atomic_file import write_bytes as write_whole

__all__ = ['sha256_file', 'sync_folder', 'write_whole']


def sha256_file(path: Path) -> str:
    """Returns the hash of a file, 64 hex digits."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()

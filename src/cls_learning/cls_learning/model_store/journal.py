"""Journal of the experiences and sleeps since the last save; an experience is written before it is learned.

A file holds an 8-byte mark and records: length (4 bytes), CRC-32 (4 bytes), safetensors payload. It is synced twice a
second, so that a crash loses the last second at most. Reading stops at an incomplete record.
"""

from collections.abc import Iterator
from dataclasses import dataclass
import errno
import os
from pathlib import Path
import struct
import zlib

import numpy as np
from safetensors.numpy import load, save

from cls_common import experience_codec
from cls_common.errors import UserError
from cls_common.transition import Experience

# Version 1 holds pairs of embeddings; its records are still read, and its files are continued in version 2.
_MARK, _MARK_1 = b'CLSJRNL2', b'CLSJRNL1'
_HEAD = struct.Struct('<II')


class JournalWriter:
    """Appends to one journal file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = _whole_length(path) if path.exists() else 0
        self._file = open(path, 'r+b' if path.exists() else 'w+b', buffering=0)  # noqa: SIM115 - held open
        self._file.truncate(whole)
        self._file.seek(whole)
        if whole == 0:
            self._file.write(_MARK)
        elif os.pread(self._file.fileno(), len(_MARK), 0) == _MARK_1:
            os.pwrite(self._file.fileno(), _MARK, 0)  # older versions must refuse the records that follow
        self._is_dirty = True

    def experience(self, experience: Experience) -> None:
        """Appends one experience."""
        self._append(experience_codec.to_arrays(experience))

    def sleep(self, record: 'SleepRecord') -> None:
        """Appends a sleep that was kept or is about to be."""
        named = {f'night.{name}': np.array([count], np.int64) for name, count in sorted(record.steps.items())}
        self._append({**named, 'night': np.array([record.is_kept])})

    def _append(self, arrays: dict[str, np.ndarray]) -> None:
        payload = save(arrays)
        record = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        start = self._file.tell()
        self._is_dirty = True
        if self._file.write(record) < len(record):
            # A full disk writes a part of the record; records after an incomplete one would not be read.
            self._file.truncate(start)
            self._file.seek(start)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)

    def sync(self) -> None:
        """Syncs the file to disk."""
        if self._is_dirty:
            self._is_dirty = False
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Syncs and closes."""
        if not self._file.closed:
            self.sync()
            self._file.close()


@dataclass(frozen=True)
class SleepRecord:
    """A sleep in the journal: requested steps by phase, and whether it was kept or only announced."""

    steps: dict[str, int]
    is_kept: bool


def read(path: Path) -> Iterator[Experience | SleepRecord]:
    """Yields experiences and sleeps in order, up to the first incomplete record."""
    for payload in _payloads(path):
        arrays = load(payload)
        if 'night' in arrays:
            steps = {k.removeprefix('night.'): int(v[0]) for k, v in arrays.items() if k.startswith('night.')}
            # Older versions write only kept sleeps, as the number 0.
            yield SleepRecord(steps, arrays['night'].dtype != np.bool_ or bool(arrays['night'][0]))
        else:
            yield experience_codec.from_arrays(arrays)


def last_sequence(path: Path) -> int:
    """Returns the sequence of the last complete experience in a journal, 0 without one."""
    for payload in reversed(list(_payloads(path))):
        arrays = load(payload)
        if 'night' not in arrays:
            return experience_codec.from_arrays(arrays).sequence
    return 0


def _payloads(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    if _MARK.startswith(data) or _MARK_1.startswith(data):
        return  # incomplete before its first record
    if not data.startswith((_MARK, _MARK_1)):
        raise UserError(f'{path}', expected='a journal of this software', found=repr(data[: len(_MARK)]))
    offset = len(_MARK)
    while offset + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, offset)
        payload = data[offset + _HEAD.size : offset + _HEAD.size + length]
        # A loss of power may leave zeros at the end, which look like an empty record.
        if not 0 < length == len(payload) or zlib.crc32(payload) != checksum:
            return
        yield payload
        offset += _HEAD.size + length


def _whole_length(path: Path) -> int:
    payloads = [len(p) + _HEAD.size for p in _payloads(path)]
    return len(_MARK) + sum(payloads) if path.stat().st_size >= len(_MARK) else 0

"""What was lived since the last save: every experience is written here before it is learned from.

A file holds an 8-byte mark and then records: length (4 bytes), CRC-32 (4 bytes), safetensors payload. Synced twice a
second, so that whatever dies loses at most the last second; a torn end is where reading stops.
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

from cls_common.errors import UserError

from ..types import Experience, Transition

_MARK = b'CLSJRNL1'
_HEAD = struct.Struct('<II')
_ARRAYS = ('z', 'z_next', 'action_commanded', 'action_applied', 'joints', 'joints_next')


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
        self._is_dirty = True

    def experience(self, experience: Experience) -> None:
        """Appends one experience."""
        t = experience.transition
        arrays = {name: np.ascontiguousarray(getattr(t, name)) for name in _ARRAYS}
        arrays['prediction_after'] = np.ascontiguousarray(experience.prediction_after)
        arrays['numbers'] = np.array([experience.error_before, experience.copy_error, t.reward])
        arrays['counts'] = np.array(
            [experience.sequence, experience.episode, experience.normalizer_version, t.boundary, t.stamp_z,
             t.stamp_next, t.terminal, t.truncated], np.int64,
        )  # fmt: skip
        if t.image_delay:
            arrays['image_delay'] = np.array([t.image_delay], np.int64)
        self._append(arrays)

    def night(self, night: 'LivedNight') -> None:
        """Appends that a night was kept, or is about to be."""
        named = {f'night.{name}': np.array([count], np.int64) for name, count in sorted(night.steps.items())}
        self._append({**named, 'night': np.array([night.is_kept])})

    def _append(self, arrays: dict[str, np.ndarray]) -> None:
        payload = save(arrays)
        record = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        start = self._file.tell()
        self._is_dirty = True
        if self._file.write(record) < len(record):
            # A full disk takes a part; what came after a torn record would never be read.
            self._file.truncate(start)
            self._file.seek(start)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)

    def sync(self) -> None:
        """Makes everything so far survive a loss of power."""
        if self._is_dirty:
            self._is_dirty = False
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Syncs and closes."""
        if not self._file.closed:
            self.sync()
            self._file.close()


@dataclass(frozen=True)
class LivedNight:
    """A night in the journal: the steps its goal asked for, by phase, and whether it was kept for sure."""

    steps: dict[str, int]
    is_kept: bool


def read(path: Path) -> Iterator[Experience | LivedNight]:
    """Yields experiences and nights in order, up to the first torn record."""
    for payload in _payloads(path):
        arrays = load(payload)
        if 'night' in arrays:
            steps = {k.removeprefix('night.'): int(v[0]) for k, v in arrays.items() if k.startswith('night.')}
            # A journal of before this was told apart holds nothing but kept ones, marked by 0.
            yield LivedNight(steps, arrays['night'].dtype != np.bool_ or bool(arrays['night'][0]))
        else:
            yield _experience(arrays)


def last_sequence(path: Path) -> int:
    """Returns the sequence of the last whole experience in a journal, 0 where it holds none."""
    for payload in reversed(list(_payloads(path))):
        arrays = load(payload)
        if 'night' not in arrays:
            return int(arrays['counts'][0])
    return 0


def _experience(arrays: dict[str, np.ndarray]) -> Experience:
    sequence, episode, version, boundary, stamp_z, stamp_next, terminal, truncated = (int(v) for v in arrays['counts'])
    error_before, copy_error, reward = (float(v) for v in arrays['numbers'])
    transition = Transition(
        **{name: arrays[name].copy() for name in _ARRAYS}, boundary=bool(boundary), stamp_z=stamp_z,
        stamp_next=stamp_next, reward=reward, terminal=bool(terminal), truncated=bool(truncated),
        image_delay=int(arrays['image_delay'][0]) if 'image_delay' in arrays else 0,
    )  # fmt: skip
    return Experience(
        transition=transition, sequence=sequence, episode=episode, error_before=error_before, copy_error=copy_error,
        prediction_after=arrays['prediction_after'].copy(), normalizer_version=version,
    )  # fmt: skip


def _payloads(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    if _MARK.startswith(data):
        return  # torn before its first record
    if not data.startswith(_MARK):
        raise UserError(f'{path}', expected='a journal of this software', found=repr(data[: len(_MARK)]))
    offset = len(_MARK)
    while offset + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, offset)
        payload = data[offset + _HEAD.size : offset + _HEAD.size + length]
        # A loss of power may leave zeros at the end, which would pass for an empty record.
        if not 0 < length == len(payload) or zlib.crc32(payload) != checksum:
            return
        yield payload
        offset += _HEAD.size + length


def _whole_length(path: Path) -> int:
    payloads = [len(p) + _HEAD.size for p in _payloads(path)]
    return len(_MARK) + sum(payloads) if path.stat().st_size >= len(_MARK) else 0

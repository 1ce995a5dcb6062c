"""The journal: whole records before a tear or damage are read, nothing after it; versions 1 and 2."""

from collections.abc import Callable
import dataclasses
import os
from pathlib import Path
import resource
import signal
import struct
from types import SimpleNamespace
from typing import Any
import zlib

import numpy as np
import pytest
from safetensors.numpy import save

from cls_common.errors import UserError
from cls_common.transition import Experience, Observation
from cls_learning.model_store.journal import JournalWriter, last_sequence, read, SleepRecord


@pytest.fixture
def experiences(tools: SimpleNamespace) -> list[Experience]:
    learner = tools.online_learner()
    learned = [learner.learn(transition) for transition in tools.PanTiltWorld().walk(4)]
    t = learned[-1].transition
    before, after = Observation.of_embedding(t.z, 2**62, 'e', 3), Observation.of_embedding(t.z_next, 2**62 + 1, 'e', 3)
    last = dataclasses.replace(t, before=before, after=after, terminal=True, reward=-1.5, image_delay=2)
    return [*learned[:-1], dataclasses.replace(learned[-1], transition=last)]


@pytest.fixture
def whole(tmp_path: Path, experiences: list[Experience]) -> Path:
    """A journal of two experiences, a sleep, and two more."""
    path = tmp_path / 'whole.journal'
    writer = JournalWriter(path)
    for item in experiences[:2]:
        writer.experience(item)
    writer.sleep(SleepRecord({'sws': 5, 'rem': -1, 'tether': 0}, is_kept=True))
    for item in experiences[2:]:
        writer.experience(item)
    writer.close()
    return path


def sequences(path: Path) -> list[int]:
    """Returns the sequences of what can be read; 0 for a sleep."""
    return [0 if isinstance(entry, SleepRecord) else entry.sequence for entry in read(path)]


def ends(path: Path) -> list[int]:
    """Returns the offsets at which records end."""
    data, offset, found = path.read_bytes(), 8, []
    while offset < len(data):
        offset += 8 + int.from_bytes(data[offset : offset + 4], 'little')
        found.append(offset)
    return found


def tears(path: Path, stride: int) -> list[int]:
    """Returns sizes to which a file is cut: every `stride` bytes, and each around where a record begins or ends."""
    size = path.stat().st_size
    near = {offset + d for offset in (0, 8, *ends(path)) for d in range(-2, 10)}
    return sorted({at for at in near if 0 <= at < size} | set(range(0, size, stride)))


def test_everything_is_read_back(whole: Path, experiences: list[Experience]) -> None:
    entries = list(read(whole))
    assert entries.pop(2) == SleepRecord({'sws': 5, 'rem': -1, 'tether': 0}, is_kept=True)
    for entry, original in zip(entries, experiences, strict=True):
        assert isinstance(entry, Experience)
        assert_same(entry, original)


def assert_same(entry: Experience, original: Experience) -> None:
    """Everything equals, with its type and dtype; NaN equals NaN; arrays can be written."""
    found, expected = flat(entry), flat(original)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert type(value) is type(expected[name]), name
        np.testing.assert_array_equal(value, expected[name], name)
        if isinstance(value, np.ndarray):
            assert value.dtype == expected[name].dtype and value.flags.writeable, name


def flat(experience: Experience) -> dict[str, Any]:
    """Returns all that an experience holds, by name."""
    t = experience.transition
    found: dict[str, Any] = {'sequence': experience.sequence, 'episode': experience.episode, **vars(t)}
    for when in ('before', 'after'):
        for name, reading in found.pop(when).readings.items():
            found |= {f'{when}.{name}.{field}': value for field, value in vars(reading).items()}
    for kind, values in (('extra', experience.extras), ('metric', experience.metrics)):
        found |= {f'{kind}.{name}': value for name, value in values.items()}
    return found


def test_a_sleep_as_configured_is_read_back(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / 'j')
    writer.sleep(SleepRecord({}, is_kept=False))
    writer.close()
    assert list(read(tmp_path / 'j')) == [SleepRecord({}, is_kept=False)]


def test_a_journal_torn_at_any_byte_is_read_up_to_there(whole: Path, tmp_path: Path) -> None:
    data, cuts, torn = whole.read_bytes(), ends(whole), tmp_path / 'torn.journal'
    order = sequences(whole)
    assert order == [1, 2, 0, 3, 4]
    for size in tears(whole, 7):
        torn.write_bytes(data[:size])
        assert sequences(torn) == order[: sum(cut <= size for cut in cuts)], f'cut at {size}'


def test_writing_continues_after_the_last_whole_record(
    whole: Path, tmp_path: Path, experiences: list[Experience]
) -> None:
    data, cuts, torn = whole.read_bytes(), ends(whole), tmp_path / 'torn.journal'
    order = sequences(whole)
    for size in tears(whole, 199):
        torn.write_bytes(data[:size])
        writer = JournalWriter(torn)
        writer.experience(experiences[0])
        writer.close()
        assert sequences(torn) == order[: sum(cut <= size for cut in cuts)] + [1], f'cut at {size}'


def test_a_changed_byte_ends_reading_there(whole: Path, tmp_path: Path) -> None:
    data, cuts, bad = whole.read_bytes(), ends(whole), tmp_path / 'bad.journal'
    order = sequences(whole)
    for place in range(8, len(data), 13):
        bad.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        assert sequences(bad) == order[: sum(cut <= place for cut in cuts)], f'changed at {place}'


def record_1(sequence: int) -> bytes:
    """Returns an experience as version 1 wrote it: one embedding before the action, one after it."""
    counts = [sequence, 1, 5, 0, 7, 8, 0, 1]  # episode, normaliser, boundary, stamps, terminal, truncated
    arrays = {name: np.full(4, sequence, np.float32) for name in ('z', 'z_next', 'prediction_after')}
    arrays |= {name: np.zeros(2, np.float32) for name in ('action_commanded', 'action_applied')}
    arrays |= {name: np.zeros(2) for name in ('joints', 'joints_next')}
    payload = save(arrays | {'counts': np.array(counts, np.int64), 'numbers': np.array([0.5, 0.25, 2.0])})
    return struct.pack('<II', len(payload), zlib.crc32(payload)) + payload


def test_a_journal_of_version_1_is_read_and_continued(tmp_path: Path, experiences: list[Experience]) -> None:
    path = tmp_path / 'old.journal'
    path.write_bytes(b'CLSJRNL1' + record_1(1) + record_1(2) + record_1(3)[:-1])
    assert last_sequence(path) == 2 and sequences(path) == [1, 2]
    first = next(iter(read(path)))
    assert isinstance(first, Experience)
    assert (first.transition.stamp_z, first.transition.reward, first.transition.truncated) == (7, 2.0, True)
    assert first.metrics == {'error_before': 0.5, 'copy_error': 0.25} and first.extras['normalizer_version'] == [5]
    writer = JournalWriter(path)
    writer.experience(experiences[2])
    writer.close()
    assert sequences(path) == [1, 2, 3] and last_sequence(path) == 3
    assert path.read_bytes().startswith(b'CLSJRNL2'), 'older software must refuse it'


@pytest.mark.parametrize('zeros', [1, 8, 64, 4096])
def test_zeros_at_the_end_are_ignored(whole: Path, experiences: list[Experience], zeros: int) -> None:
    """A file system may leave them in a file that grew just before a loss of power."""
    with open(whole, 'ab') as file:
        file.write(bytes(zeros))
    assert sequences(whole) == [1, 2, 0, 3, 4]
    writer = JournalWriter(whole)
    writer.experience(experiences[0])
    writer.close()
    assert sequences(whole) == [1, 2, 0, 3, 4, 1]


@pytest.mark.parametrize('content', [b'\x80\x04]\x94.', b'CLSJRNL3' + bytes(40), b'timestamp,event\n'])
def test_other_files_are_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'foreign.journal'
    path.write_bytes(content)
    for use in (lambda: list(read(path)), lambda: JournalWriter(path)):
        with pytest.raises(UserError, match='journal of this software'):
            use()
    assert path.read_bytes() == content


def test_a_full_disk_leaves_whole_records(tmp_path: Path, experiences: list[Experience]) -> None:
    """A record of which only a part fits is removed, and what fits later can be read."""
    path = tmp_path / 'full.journal'

    def fill() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        writer = JournalWriter(path)
        writer.experience(experiences[0])
        size = path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
        for _ in range(2):
            with pytest.raises(OSError):
                writer.experience(experiences[1])
        assert path.stat().st_size == size
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        writer.experience(experiences[2])
        writer.close()

    assert in_child(fill) == 0
    assert sequences(path) == [1, 3]


def in_child(work: Callable[[], None]) -> int:
    """Runs something in a child process, so that resource limits end with it; returns its exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

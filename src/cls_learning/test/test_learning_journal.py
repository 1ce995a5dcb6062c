"""What was lived since the last save, whatever cut it off: whole records before the tear, nothing invented after it."""

from collections.abc import Callable
import dataclasses
import os
from pathlib import Path
import resource
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from cls_common.errors import UserError
from cls_common.transition import Experience
from cls_learning.model_store.journal import JournalWriter, read, SleepRecord

Entry = Experience | dict[str, int]


@pytest.fixture
def experiences(tools: SimpleNamespace) -> list[Experience]:
    half = tools.waking()
    lived = [half.learn(transition) for transition in tools.Body().walk(4)]
    last = dataclasses.replace(lived[-1].transition, terminal=True, reward=-1.5, stamp_z=2**62, stamp_next=2**62 + 1)
    return [*lived[:-1], dataclasses.replace(lived[-1], transition=last)]


@pytest.fixture
def whole(tmp_path: Path, experiences: list[Experience]) -> Path:
    """A journal of two experiences, a night, and two more."""
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
    """Sequences of what can be read; 0 for a night."""
    return [0 if isinstance(entry, SleepRecord) else entry.sequence for entry in read(path)]


def ends(path: Path) -> list[int]:
    """Offsets at which records end."""
    data, offset, found = path.read_bytes(), 8, []
    while offset < len(data):
        offset += 8 + int.from_bytes(data[offset : offset + 4], 'little')
        found.append(offset)
    return found


def tears(path: Path, stride: int) -> list[int]:
    """Sizes to which the file is cut: every `stride` bytes, and each around where something begins or ends."""
    size = path.stat().st_size
    near = {offset + d for offset in (0, 8, *ends(path)) for d in range(-2, 10)}
    return sorted({at for at in near if 0 <= at < size} | set(range(0, size, stride)))


def test_everything_comes_back(whole: Path, experiences: list[Experience]) -> None:
    entries = list(read(whole))
    assert entries.pop(2) == SleepRecord({'sws': 5, 'rem': -1, 'tether': 0}, is_kept=True)
    for entry, original in zip(entries, experiences, strict=True):
        assert isinstance(entry, Experience)
        for owner, other in ((entry, original), (entry.transition, original.transition)):
            for field in dataclasses.fields(owner):
                if field.name in ('transition', 'metrics'):
                    continue
                a, b = getattr(owner, field.name), getattr(other, field.name)
                assert type(a) is type(b), field.name
                np.testing.assert_array_equal(a, b, field.name)  # NaN equals NaN
                assert not isinstance(a, np.ndarray) or (a.dtype == b.dtype and a.flags.writeable)


def test_a_night_of_no_wishes(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / 'j')
    writer.sleep(SleepRecord({}, is_kept=False))
    writer.close()
    assert list(read(tmp_path / 'j')) == [SleepRecord({}, is_kept=False)]


def test_torn_at_any_byte(whole: Path, tmp_path: Path) -> None:
    data, cuts, torn = whole.read_bytes(), ends(whole), tmp_path / 'torn.journal'
    order = sequences(whole)
    assert order == [1, 2, 0, 3, 4]
    for size in tears(whole, 7):
        torn.write_bytes(data[:size])
        assert sequences(torn) == order[: sum(cut <= size for cut in cuts)], f'cut at {size}'


def test_writing_goes_on_behind_the_last_whole_record(
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


@pytest.mark.parametrize('zeros', [1, 8, 64, 4096])
def test_zeros_at_the_end_are_no_record(whole: Path, experiences: list[Experience], zeros: int) -> None:
    """What a file system may leave of a file that grew just before the power went."""
    with open(whole, 'ab') as file:
        file.write(bytes(zeros))
    assert sequences(whole) == [1, 2, 0, 3, 4]
    writer = JournalWriter(whole)
    writer.experience(experiences[0])
    writer.close()
    assert sequences(whole) == [1, 2, 0, 3, 4, 1]


@pytest.mark.parametrize('content', [b'\x80\x04]\x94.', b'CLSJRNL2' + bytes(40), b'timestamp,event\n'])
def test_other_files_are_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'foreign.journal'
    path.write_bytes(content)
    for use in (lambda: list(read(path)), lambda: JournalWriter(path)):
        with pytest.raises(UserError, match='journal of this software'):
            use()
    assert path.read_bytes() == content


def test_a_full_disk_leaves_whole_records(tmp_path: Path, experiences: list[Experience]) -> None:
    """The system takes a part of a record: it is taken back, and what fits later can be read."""
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
    """Runs something in a process of its own, whose limits die with it; returns its exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

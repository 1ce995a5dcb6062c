"""The budget removes the oldest finished sessions of this recorder, and nothing else."""

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from cls_recording import bag
from cls_recording.budget import Budget, size_of
from cls_recording.metadata import TopicEntry
from cls_recording.schemas import Schema
from cls_recording.session import SessionInfo
from cls_recording.writer import BagWriter

MB = 1 << 20


def begin(folder, name, hour, size):
    info = SessionInfo(name=name, start_time=f'2026-01-01T{hour:02d}:00:00+00:00')
    writer = BagWriter(folder / name, info, 100 * MB)
    writer.write(TopicEntry('/a', Schema('std_msgs/msg/String')), 1, 1, bytes(size))
    writer.sync(0.0, 1)
    return writer


def finish(folder, name, hour, size):
    begin(folder, name, hour, size).close()
    return folder / name


def test_the_oldest_are_removed_first_by_start_time(tmp_path):
    old, new = finish(tmp_path, 'z_old', 1, 300_000), finish(tmp_path, 'a_new', 2, 300_000)
    current = begin(tmp_path, 'current', 0, 300_000)
    budget = Budget(tmp_path, 700_000)
    assert budget.used() == sum(size_of(path) for path in (old, new, current.folder)) > 900_000
    removed = budget.make_room(current.folder)
    assert [session.path for session in removed] == [old]
    assert not old.exists() and new.exists() and current.folder.exists()
    assert budget.make_room(current.folder) == []
    current.close()


def test_other_folders_and_running_recordings_are_never_removed(bags, tmp_path):
    foreign = bags.write(tmp_path / 'foreign', bags.session_messages())
    with_notes = finish(tmp_path, 'notes', 1, 300_000)
    (with_notes / 'notes.txt').write_text('mine')
    other = begin(tmp_path, 'other_recorder', 2, 300_000)
    done = finish(tmp_path, 'done', 3, 300_000)
    elsewhere = finish(tmp_path / 'elsewhere', 'linked', 1, 300_000)
    (tmp_path / 'link').symlink_to(elsewhere)
    (tmp_path / 'file').write_text('x')
    removed = Budget(tmp_path, 1).make_room(None)
    assert [session.path for session in removed] == [done]
    for path in (foreign, with_notes / 'notes.txt', other.folder, elsewhere, tmp_path / 'link', tmp_path / 'file'):
        assert path.exists(), path
    other.close()


@pytest.mark.parametrize('rest', bag.METADATA_RESTS)
def test_an_interrupted_session_can_be_removed_with_what_it_left(tmp_path, rest):
    writer = begin(tmp_path, 'cut', 1, 300_000)
    (writer.folder / rest).write_text('half of the metada')
    writer._lock.close()  # as the end of its process does
    assert [session.path.name for session in Budget(tmp_path, 1).make_room(None)] == ['cut']


@settings(max_examples=10)
@given(sizes=st.lists(st.integers(0, 50_000), min_size=1, max_size=5), limit=st.integers(1, 600_000))
def test_the_rest_fits_and_no_more_than_needed_is_removed(tmp_path_factory, sizes, limit):
    folder = tmp_path_factory.mktemp('robot')
    paths = [finish(folder, f's{number}', number, size) for number, size in enumerate(sizes)]
    before = {path: size_of(path) for path in paths}
    removed = Budget(folder, limit).make_room(None)
    left = [path for path in paths if path.exists()]
    assert [session.path for session in removed] + left == paths
    assert sum(before[path] for path in left) <= limit
    if removed:
        assert sum(before[path] for path in left) + removed[-1].bytes > limit


@pytest.mark.parametrize(('size', 'expected'), [(500_000, False), (500_001, True)])
def test_a_session_of_half_the_budget_is_split(tmp_path, size, expected):
    assert Budget(tmp_path, 1_000_000).is_time_to_rotate(size) is expected


def test_a_missing_folder_uses_nothing(tmp_path):
    assert Budget(tmp_path / 'robot', 1).used() == 0

"""A recording truncated at any byte is whole after a repair, up to its last valid record."""

from pathlib import Path
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from cls_common.errors import UserError
from cls_recording.reader import SessionReader
from cls_recording.repair import repair


def contents(path):
    with SessionReader(path) as session:
        return [(event.topic, event.time_ns, event.data) for event in session.raw()]


@pytest.fixture(scope='module')
def synced(bags, tmp_path_factory):
    """A file's bytes, its sizes at each sync, and its messages, for each way of writing it."""
    said = bags.session_messages(12)
    made = {}
    for name, options in {
        'chunks': {},
        'zstd': {'compression': 'ZSTD'},
        'lz4': {'compression': 'LZ4'},
        'no chunks': {'chunking': False},
    }.items():
        folder = tmp_path_factory.mktemp('whole')
        sizes = bags.write_chunks(folder / 'session_0.mcap', said, **options)
        repair(folder)
        made[name] = ((folder / 'session_0.mcap').read_bytes(), sizes, contents(folder))
    return made


def cut(folder, content, size):
    (folder / 'session_0.mcap').write_bytes(content[:size])
    return folder


@pytest.mark.parametrize('kind', ['chunks', 'zstd', 'lz4', 'no chunks'])
@settings(max_examples=12)
@given(where=st.floats(0, 1))
def test_a_bag_cut_at_any_byte_gives_a_prefix_of_its_messages(synced, kind, where):
    content, sizes, messages = synced[kind]
    size = int(where * len(content))
    with tempfile.TemporaryDirectory() as name:
        folder = cut(Path(name), content, size)
        result = repair(folder)
        if not sum(result.messages.values()):
            assert size < sizes[0]
            with pytest.raises(UserError, match='is empty'):
                SessionReader(folder)
            return
        found = contents(folder)
    assert found == messages[: len(found)]
    assert len(found) >= 6 * sum(1 for synced_size in sizes if synced_size <= size)


@settings(max_examples=30)
@given(data=st.data())
def test_overwritten_bytes_never_change_a_message(synced, data):
    content, _, messages = synced['chunks']
    begin = data.draw(st.integers(0, len(content) - 1))
    garbage = data.draw(st.binary(min_size=1, max_size=400) | st.just(bytes(400)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / 'session_0.mcap').write_bytes(content[:begin] + garbage + content[begin + len(garbage) :])
        try:
            repair(folder)
            found = contents(folder)
        except UserError:
            return
    assert set(found) <= set(messages)

"""Acknowledged messages survive a loss of power: recorder, repair and reader together."""

import shutil

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from cls_recording.definitions import installed
from cls_recording.metadata import TopicEntry
from cls_recording.reader import SessionReader
from cls_recording.repair import repair
from cls_recording.schemas import find_schema
from cls_recording.session import SessionInfo
from cls_recording.writer import BagWriter


@pytest.fixture(scope='module')
def moments(bags, tmp_path_factory):
    """A recording at many moments: a copy of its folder, acknowledged sizes and messages; and all messages."""
    folder = tmp_path_factory.mktemp('recorded')
    writer = BagWriter(folder / 'session', SessionInfo(name='session', start_time='2023-11-14T22:13:20+00:00'), 8000)
    said, copies = [], []
    for number, (time_ns, topic, message) in enumerate(bags.session_messages(16)):
        data = bytes(installed().serialize_cdr(message, message.__msgtype__))
        writer.write(TopicEntry(topic, find_schema(message.__msgtype__)), time_ns, time_ns, data)
        said.append((topic.strip('/'), time_ns, data))
        if number % 5 == 4:
            writer.sync(float(number), time_ns)
        if number % 4 == 3:
            shutil.copytree(folder / 'session', folder / f'{number}')
            copies.append((folder / f'{number}', writer.synced_sizes, writer.synced))
    writer.close()
    return folder / 'session', copies, said


@settings(max_examples=12)
@given(data=st.data())
def test_acknowledged_messages_survive_a_loss_of_power(moments, tmp_path_factory, data):
    _, copies, said = moments
    copy, sizes, synced = data.draw(st.sampled_from(copies))
    session = tmp_path_factory.mktemp('after') / 'session'
    shutil.copytree(copy, session)
    for name, size in sizes.items():
        file = session / name
        left = data.draw(st.integers(size, file.stat().st_size))
        file.write_bytes(file.read_bytes()[:left])
    repair(session)
    assert not {'lock', '.reserve'} & {file.name for file in session.iterdir()}
    if synced:
        with SessionReader(session) as reader:
            found = [(event.topic, event.time_ns, event.data) for event in reader.raw()]
            steps = reader.topics['robot/applied_action'].count if 'robot/applied_action' in reader.topics else 0
            assert (reader.info.start_time, reader.info.total_steps) == ('2023-11-14T22:13:20+00:00', steps)
        assert found == said[: len(found)] and len(found) >= synced


def test_a_complete_recording_is_read_as_recorded(moments):
    session, _, said = moments
    assert len(list(session.glob('*.mcap'))) > 2
    assert repair(session).found == ()
    with SessionReader(session) as reader:
        assert [(event.topic, event.time_ns, event.data) for event in reader.raw()] == said


def test_a_recording_that_ended_on_a_full_disk_gets_its_index(bags, tmp_path):
    writer = BagWriter(tmp_path / 'session', SessionInfo(name='session'), 1 << 20)
    for time_ns, topic, message in bags.session_messages(8):
        data = bytes(installed().serialize_cdr(message, message.__msgtype__))
        writer.write(TopicEntry(topic, find_schema(message.__msgtype__)), time_ns, time_ns, data)
    writer.sync(0.0, 0)
    writer.abandon()
    with SessionReader(tmp_path / 'session') as reader:
        before = list(reader.raw())
    assert repair(tmp_path / 'session').found == ('session_0.mcap has no index',)
    with SessionReader(tmp_path / 'session') as reader:
        assert list(reader.raw()) == before and len(before) == 34

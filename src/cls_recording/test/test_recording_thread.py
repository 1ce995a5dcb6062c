"""A recording from start to stop: folder, metadata, rotation and disk budget."""

import contextlib
from pathlib import Path
import time

import pytest

from cls_common.errors import UserError
from cls_common.robot import from_message
from cls_recording.bag import read_metadata
from cls_recording.definitions import installed
from cls_recording.message_queue import MessageQueue, ReceivedMessage
from cls_recording.metadata import TopicEntry
from cls_recording.reader import SessionReader
from cls_recording.recording import Recording
from cls_recording.schemas import find_schema
from cls_recording.settings import RecorderSettings

MB = 1 << 20
DEADLINE = 60.0


def until(condition, what):
    end = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < end, f'{what} did not happen in {DEADLINE} s'
        time.sleep(0.01)
    return found


def received(topic, message, log_time):
    entry = TopicEntry(topic, find_schema(message.__msgtype__))
    data = bytes(installed().serialize_cdr(message, message.__msgtype__))
    return ReceivedMessage(entry, log_time, data, latched=topic == '/robot/info', steady='camera' in topic)


@pytest.fixture
def begin(tmp_path):
    """Starts recordings into tmp_path/s; stops them at the end."""
    started, said = [], []

    def make(name='', robot=None, **values) -> Recording:
        settings = RecorderSettings(**{'sessions_dir': str(tmp_path / 's'), 'sync_period': 0.05, **values})
        recording = Recording(settings, name, lambda text, wrong: said.append(text))
        if robot is not None:
            recording.identify(robot)
        started.append(recording)
        recording.start()
        recording.said = said
        return recording

    yield make
    for recording in started:
        with contextlib.suppress(RuntimeError):
            recording.stop()


def put_messages(recording, bags, steps=20):
    said = bags.session_messages(steps)
    for time_ns, topic, message in said:
        recording.put(received(topic, message, time_ns))
    return len(said)


def test_a_recording_has_metadata_and_progress(bags, begin, tmp_path):
    recording = begin('mine', from_message(bags.robot('gym:Twin-v0')))
    recording.describe(encoder={'id': 'e'}, model='m', run_id='r', config_sha256='c')
    count = put_messages(recording, bags)
    until(lambda: recording.progress.synced == count, 'a sync')
    progress = recording.stop()
    assert progress.session == str(tmp_path / 's' / 'gym_Twin-v0' / 'mine')
    assert (progress.recording, progress.messages, progress.dropped, progress.lost) == (False, count, 0, 0)
    assert progress.synced == count and progress.fault == '' and progress.waiting == 0
    with SessionReader(Path(progress.session)) as session:
        info = session.info
        assert (info.total_steps, info.model, info.run_id, info.config_sha256) == (20, 'm', 'r', 'c')
        assert info.encoder == {'id': 'e'} and info.robot.name == 'gym:Twin-v0'
        assert info.start_time < info.end_time
        assert sum(topic.count for topic in session.topics.values()) == count


def test_nothing_is_lost_before_the_robot_is_known(bags, begin, tmp_path):
    recording = begin(robot_timeout=600.0)
    count = put_messages(recording, bags)
    assert not (tmp_path / 's').exists() and recording.progress.waiting == count
    recording.identify(from_message(bags.robot()))
    until(lambda: recording.progress.synced == count, 'a sync')
    assert Path(recording.stop().session).parent.name == 'twin'


def test_a_graph_without_robot_info_is_recorded_as_unknown(bags, begin):
    recording = begin(robot_timeout=0.1)
    count = put_messages(recording, bags)
    until(lambda: recording.progress.synced == count, 'a sync')
    assert Path(recording.stop().session).parent.name == 'unknown'


def test_messages_before_the_robot_is_known_are_kept_and_an_empty_recording_writes_nothing(bags, begin, tmp_path):
    assert begin(robot_timeout=600.0).stop().session == '' and not (tmp_path / 's').exists()
    recording = begin(robot_timeout=600.0)
    count = put_messages(recording, bags)
    progress = recording.stop()
    assert progress.synced == count
    with SessionReader(Path(progress.session)) as session:
        assert session.info.robot.name == 'twin'  # from its own robot/info


def test_successive_sessions_have_different_names(bags, begin):
    robot = from_message(bags.robot())
    folders = []
    for _ in range(3):
        recording = begin(robot=robot)
        put_messages(recording, bags, 2)
        folders.append(recording.stop().session)
    assert len(set(folders)) == 3 and sorted(folders) == folders
    begin('taken', robot).stop()
    with pytest.raises(UserError, match='new name'):
        begin('taken', robot)


def test_another_robot_gets_a_session_of_its_own(bags, begin, tmp_path):
    recording = begin('day', from_message(bags.robot('first')))
    until(lambda: put_messages(recording, bags, 3) and recording.progress.synced, 'a sync')
    recording.identify(from_message(bags.robot('second')))
    until(lambda: put_messages(recording, bags, 3) and 'second' in recording.progress.session, 'a second session')
    recording.stop()
    for robot, name in (('first', 'day'), ('second', 'day_002')):
        assert read_metadata(tmp_path / 's' / robot / name).info.robot.name == robot


def test_the_budget_holds_during_a_recording_and_removals_are_logged(bags, begin, tmp_path):
    budget = 3 * MB
    recording = begin('long', from_message(bags.robot()), budget_bytes=budget)
    recording.put(received('/robot/info', bags.robot(), 1))
    frame = received('/camera/image_raw/compressed', bags.image(5, 100_000), 5)
    used = []

    def feed():
        recording.put(frame)
        used.append(recording.progress.used_bytes)
        return recording.progress.removed >= 2

    until(feed, 'two removals')
    progress = recording.stop()
    assert max(used) <= 2 * budget and progress.used_bytes <= 1.2 * budget
    left = sorted(path.name for path in (tmp_path / 's' / 'twin').iterdir())
    assert left[-1] == Path(progress.session).name and 'long' not in left
    assert next(text for text in recording.said if text.startswith('removed')).split()[1].endswith('/long')
    assert any('uses half of the budget' in text for text in recording.said)
    for name in left:  # each part tells of its robot by itself
        with SessionReader(tmp_path / 's' / 'twin' / name) as session:
            assert session.topics['robot/info'].count >= 1 and session.info.robot.name == 'twin'


@pytest.mark.parametrize('where', ['/proc/none', '/dev/null/sessions'])
def test_an_unwritable_folder_is_one_clear_line(bags, begin, where):
    with pytest.raises(UserError, match=r'session /.* can not be written; found'):
        begin(robot=from_message(bags.robot()), sessions_dir=where)
    recording = begin(sessions_dir=where)
    recording.identify(from_message(bags.robot()))
    until(lambda: not recording.progress.recording and recording.progress.fault, 'the fault')
    assert recording.progress.fault.count('\n') == 0 and 'can not be written' in recording.progress.fault
    put_messages(recording, bags)
    assert recording.stop().messages == 0


def test_the_queue_is_bounded_by_messages_and_by_bytes_and_counts_what_it_drops(bags):
    entry = TopicEntry('/a', find_schema('std_msgs/msg/String'))
    by_count, by_bytes = MessageQueue(100, MB), MessageQueue(10_000, MB)
    for number in range(150):
        by_count.put(ReceivedMessage(entry, number, b'x'))
        by_bytes.put(ReceivedMessage(entry, number, bytes(10_000)))
    assert (len(by_count), by_count.dropped) == (100, 50)
    assert (len(by_bytes), by_bytes.dropped) == (104, 46)
    assert [message.log_time for message in by_count.take(0.0)] == list(range(100))
    assert by_count.put(ReceivedMessage(entry, 0, b'x')) and by_count.accepted == 101
    by_count.close()
    assert not by_count.put(ReceivedMessage(entry, 0, b'x')) and len(by_count.take(1000.0)) == 1


def test_dropped_and_lost_messages_are_counted_in_the_metadata(bags, begin):
    recording = begin(robot_timeout=600.0, queue_messages=100)
    put_messages(recording, bags, 50)  # 202 messages
    recording.report_lost('/embedding', 3)
    recording.identify(from_message(bags.robot()))
    until(lambda: recording.progress.synced == 100, 'a sync')
    progress = recording.stop()
    assert (progress.dropped, progress.lost, progress.messages) == (102, 3, 100)
    info = read_metadata(Path(progress.session)).info
    assert (info.dropped, info.lost) == (102, 3)

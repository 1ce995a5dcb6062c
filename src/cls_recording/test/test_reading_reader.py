"""Every valid bag is read, of this recorder or another; each invalid one gives one clear line."""

import shutil
import sqlite3

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from cls_common.errors import UserError
from cls_common.robot import Channel, Kind
from cls_recording.bag import DamagedError
from cls_recording.definitions import installed
from cls_recording.reader import SessionReader, TopicSummary
from cls_recording.session import SessionInfo

STORAGES = ('MCAP', 'SQLITE3')


@pytest.fixture(params=STORAGES)
def storage(request):
    return request.param


@pytest.mark.parametrize('namespace', ['', '/ns', '/fleet/robot_1'])
def test_every_message_comes_back_under_its_relative_name(bags, tmp_path, storage, namespace):
    said = bags.session_messages(10, namespace) + [
        (bags.begin + 9 * bags.second, '/clock', bags.make('rosgraph_msgs/msg/Clock'))
    ]
    with SessionReader(bags.write(tmp_path / 'one', said, storage)) as session:
        assert session.topics == {
            '/clock': TopicSummary('rosgraph_msgs/msg/Clock', 1),
            'camera/image_raw/compressed': TopicSummary('sensor_msgs/msg/CompressedImage', 20),
            'experience': TopicSummary('cls_interfaces/msg/Experience', 10),
            'robot/applied_action': TopicSummary('cls_interfaces/msg/AppliedAction', 10),
            'robot/info': TopicSummary('cls_interfaces/msg/RobotInfo', 1),
            'robot/state': TopicSummary('cls_interfaces/msg/RobotState', 1),
        }
        assert (session.start, session.end) == (said[0][0], said[-1][0])
        events = list(session.events())
        assert [(e.time_ns, e.topic) for e in events] == [
            (time_ns, topic.removeprefix(namespace + '/') if topic != '/clock' else topic) for time_ns, topic, _ in said
        ]
        for event, (_, _, message) in zip(events, said):
            data = installed().serialize_cdr(message, event.type)
            assert installed().serialize_cdr(event.message, event.type) == data
        raw = list(session.raw(['experience'], start=said[20][0]))
        assert raw and all(r.topic == 'experience' and r.time_ns >= said[20][0] for r in raw)
        assert list(session.events(['embedding'])) == []


def test_custom_data_has_priority_and_the_robot_is_found_on_its_topic(bags, tmp_path, storage):
    with SessionReader(bags.write(tmp_path / 'plain', bags.session_messages(), storage)) as session:
        robot = session.info.robot
        assert (session.info.name, session.info.start_time, robot.name) == ('plain', '', 'twin')
        assert robot.channels[2] == Channel('grip', Kind.DISCRETE, '', 0.0, 2.0)
    said = SessionInfo(name='plain', robot=robot, total_steps=7, encoder={'id': 'e'}, model='m')
    path = bags.write(tmp_path / 'copied' / 'renamed', bags.session_messages(), storage, said.to_custom_data())
    with SessionReader(path) as session:
        assert session.info == said.with_changes(name='renamed')
    without = [entry for entry in bags.session_messages() if entry[1] != '/robot/info']
    with SessionReader(bags.write(tmp_path / 'without', without, storage)) as session:
        assert session.info.robot is None


def test_a_bag_without_definitions_is_read_by_the_installed_ones(bags, tmp_path):
    path = bags.write(tmp_path / 'old', bags.session_messages(3), 'SQLITE3')
    with sqlite3.connect(path / 'old.db3') as database:
        database.execute('DELETE FROM message_definitions')
    with SessionReader(path) as session:
        values = [event.message.commanded for event in session.events(['robot/applied_action'])]
    np.testing.assert_array_equal(values, np.array([[0, -2, 1], [1, -2, 1], [2, -2, 1]], np.float32))


def test_an_unknown_type_does_not_affect_other_topics(bags, tmp_path):
    path = bags.write(tmp_path / 'old', [*bags.session_messages(3), (bags.begin, '/strange', bags.stamp(5))], 'SQLITE3')
    with sqlite3.connect(path / 'old.db3') as database:
        database.execute('UPDATE topics SET type = "strange_msgs/msg/Strange" WHERE name = "/strange"')
        database.execute('DELETE FROM message_definitions WHERE topic_type = "builtin_interfaces/msg/Time"')
    text = (path / 'metadata.yaml').read_text()
    (path / 'metadata.yaml').write_text(text.replace('builtin_interfaces/msg/Time', 'strange_msgs/msg/Strange'))
    with SessionReader(path) as session:
        assert len(list(session.events(['experience']))) == 3
        assert len(list(session.raw(['strange']))) == 1
        with pytest.raises(UserError, match=r"topic 'strange'; expected messages of type strange_msgs/msg/Strange"):
            list(session.events(['strange']))


def test_several_files_are_read_in_order(bags, tmp_path):
    from cls_recording.repair import repair

    said = bags.session_messages(12)
    for number in range(12):  # more than ten: 10 comes after 9, not after 1
        bags.write_chunks(tmp_path / 'one' / f'one_{number}.mcap', said[number * 4 : number * 4 + 4])
    repair(tmp_path / 'one')
    with SessionReader(tmp_path / 'one') as session:
        assert [event.time_ns for event in session.raw()] == [time_ns for time_ns, _, _ in said[:48]]


def refusal(path):
    with pytest.raises(UserError) as caught:
        SessionReader(path)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_a_folder_without_a_bag_is_refused(tmp_path):
    assert 'expected a rosbag2 folder; found nothing there' in refusal(tmp_path / 'nowhere')
    assert 'expected a rosbag2 folder with metadata.yaml; found none' in refusal(tmp_path)
    (tmp_path / 'one.mcap').write_bytes(b'')
    assert f'found a file. Give its folder: {tmp_path}' in refusal(tmp_path / 'one.mcap')


def test_bags_of_other_robots_are_refused(bags, tmp_path, storage):
    other = bags.write(tmp_path / 'other', [(bags.begin, '/chatter', bags.header(1))], storage)
    assert 'expected some of a robot, such as robot/applied_action or camera/image_raw; found /chatter' in refusal(
        other
    )
    typed = bags.write(tmp_path / 'typed', [(bags.begin, '/embedding', bags.header(1))], storage)
    assert 'expected type cls_interfaces/msg/Embedding; found std_msgs/msg/Header' in refusal(typed)
    two = bags.write(tmp_path / 'two', bags.session_messages(1, '/a') + bags.session_messages(1, '/b'), storage)
    assert 'expected one robot; found several, in /a, /b' in refusal(two)


def test_an_empty_bag_is_refused(bags, tmp_path, storage):
    assert 'is empty; expected at least one message' in refusal(bags.write(tmp_path / 'empty', [], storage))
    with Writer(tmp_path / 'silent', version=9, storage_plugin=StoragePlugin[storage]) as writer:
        writer.add_connection('/robot/info', 'cls_interfaces/msg/RobotInfo', typestore=installed())
    assert 'is empty' in refusal(tmp_path / 'silent')


def test_bags_of_newer_versions_are_refused(bags, tmp_path, storage):
    path = bags.write(tmp_path / 'one', bags.session_messages(1), storage, {'cls.format': '99'})
    assert 'expected format 2 or older; found format 99. It was recorded by a newer version' in refusal(path)
    bags.edit_metadata(path, version=99)
    assert 'version 9 or older; found version 99. It was recorded by a newer version' in refusal(path)


@pytest.mark.parametrize(
    'harm', ['cut', 'empty', 'missing file', 'extra file', 'no metadata', 'torn metadata', 'wrong count', 'no custom']
)
def test_a_damaged_bag_is_refused_and_its_repair_named(bags, tmp_path, harm):
    path = bags.write(tmp_path / 'one', bags.session_messages(5), custom=SessionInfo(name='one').to_custom_data())
    file, metadata = path / 'one.mcap', path / 'metadata.yaml'
    match harm:
        case 'cut':
            file.write_bytes(file.read_bytes()[:-1])
        case 'empty':
            file.write_bytes(b'')
        case 'missing file':
            file.unlink()
        case 'extra file':
            shutil.copy(file, path / 'one_1.mcap')
        case 'no metadata':
            metadata.unlink()
        case 'torn metadata':
            metadata.write_text(metadata.read_text()[:200])
        case 'wrong count':
            bags.edit_metadata(path, message_count=3)
        case 'no custom':
            bags.edit_metadata(path, custom_data={'cls.format': 'x'})
            assert 'custom data of session' in refusal(path)
            return
    assert f'Try ./cls sessions repair {path}' in refusal(path)


def test_damage_in_the_middle_is_reported_while_reading(bags, tmp_path, storage):
    path = bags.write(tmp_path / 'one', bags.session_messages(300), storage)
    file = next(path.glob('one.*'))
    content = bytearray(file.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 9000] = bytes(9000)
    file.write_bytes(content)
    # What is to be done is said at once: sqlite's files are not ours to repair.
    do = r'Try \./cls sessions repair' if storage == 'MCAP' else r"sqlite's own recovery: sqlite3 .*one.db3 \.recover"
    with pytest.raises(DamagedError, match=do), SessionReader(path) as session:
        list(session.raw())


def test_invalid_custom_data_of_a_robot_is_refused(bags, tmp_path):
    wrong = bags.robot()
    wrong.channels[0].kind = 77
    path = bags.write(tmp_path / 'one', [(bags.begin, '/robot/info', wrong)])
    assert "topic 'robot/info'; expected messages of type cls_interfaces/msg/RobotInfo" in refusal(path)

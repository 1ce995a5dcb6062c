"""Acknowledged messages are on disk, in bags that other tools read, however the writer ends."""

import contextlib
import errno
import json
import os
from pathlib import Path
import shutil
import struct
import subprocess
import sys

from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Message
from mcap.stream_reader import StreamReader
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
import yaml

from cls_recording import bag
from cls_recording.definitions import installed
from cls_recording.metadata import TopicEntry
from cls_recording.reader import SessionReader
from cls_recording.repair import repair
from cls_recording.schemas import find_schema
from cls_recording.session import SessionInfo
from cls_recording.writer import BagWriter

MB = 1 << 20
CHILD = Path(__file__).with_name('recording_child.py')
QOS = {
    'history': 'keep_last',
    'depth': 5,
    'reliability': 'reliable',
    'durability': 'volatile',
    'deadline': {'sec': 1, 'nsec': 2},
    'lifespan': {'sec': 3, 'nsec': 4},
    'liveliness': 'automatic',
    'liveliness_lease_duration': {'sec': 5, 'nsec': 6},
    'avoid_ros_namespace_conventions': False,
}


def write_messages(writer, said):
    for time_ns, topic, message in said:
        entry = TopicEntry(topic, find_schema(message.__msgtype__), (QOS,))
        data = bytes(installed().serialize_cdr(message, message.__msgtype__))
        writer.write(entry, time_ns, time_ns - 7, data, latched=topic == '/robot/info')


def numbers(path: Path) -> list[int]:
    """Returns the contents of a truncated file, as any MCAP tool could read them."""
    found = []
    with path.open('rb') as stream, contextlib.suppress(McapError):
        for record in StreamReader(stream).records:
            if isinstance(record, Message):
                found.append(struct.unpack_from('<Q', record.data, 4)[0])
    return found


def sequence_numbers(folder: Path) -> list[int]:
    """Returns the contents of a bag, read by another library."""
    with AnyReader([folder]) as reader:
        return sorted(struct.unpack_from('<Q', data, 4)[0] for _, _, data in reader.messages())


@pytest.mark.parametrize(
    'type_name',
    [
        'sensor_msgs/msg/CompressedImage',
        'sensor_msgs/msg/JointState',
        'diagnostic_msgs/msg/DiagnosticArray',
        'cls_interfaces/msg/RobotInfo',
        'cls_interfaces/msg/Experience',
        'cls_interfaces/msg/AppliedAction',
    ],
)
def test_hashes_are_those_of_ros_itself(type_name):
    prefixes = os.environ['AMENT_PREFIX_PATH'].split(os.pathsep)
    files = [file for prefix in prefixes if (file := Path(prefix, 'share', f'{type_name}.json')).is_file()]
    said = {entry['type_name']: entry['hash_string'] for entry in json.loads(files[0].read_text())['type_hashes']}
    assert find_schema(type_name).hash == said[type_name]


def test_a_type_that_is_not_installed_is_recorded_without_definition(tmp_path):
    writer = BagWriter(tmp_path / 's', SessionInfo(name='s'), MB)
    writer.write(TopicEntry('/strange', find_schema('strange_msgs/msg/Thing')), 5, 5, b'\0\1\0\0abc')
    writer.close()
    with (tmp_path / 's' / 's_0.mcap').open('rb') as stream:
        schema, channel, message = next(make_reader(stream).iter_messages())
    assert (schema.encoding, channel.topic, message.data) == ('', '/strange', b'\0\1\0\0abc')


def test_bytes_times_and_counts_are_read_by_other_tools(bags, tmp_path):
    said = bags.session_messages(30)
    writer = BagWriter(tmp_path / 'twin' / 'one', SessionInfo(name='one', model='m'), MB)
    write_messages(writer, said)
    writer.sync(0.0, 0)
    writer.close()
    store = installed()
    expected = sorted((t, topic, bytes(store.serialize_cdr(m, m.__msgtype__))) for t, topic, m in said)
    with AnyReader([tmp_path / 'twin' / 'one']) as reader:
        assert sorted((t, c.topic, data) for c, t, data in reader.messages()) == expected
        assert {c.topic: c.msgcount for c in reader.connections}['/camera/image_raw/compressed'] == 60
        assert all(c.ext.offered_qos_profiles[0].depth == 5 for c in reader.connections)
    with (tmp_path / 'twin' / 'one' / 'one_0.mcap').open('rb') as stream:
        library = make_reader(stream, validate_crcs=True)
        times = {message.log_time - message.publish_time for _, _, message in library.iter_messages()}
        assert times == {7}
        assert library.get_header().profile == 'ros2'
        assert library.get_summary().statistics.message_count == len(said)
    with SessionReader(tmp_path / 'twin' / 'one') as session:
        assert session.info.model == 'm'
    assert sorted(p.name for p in (tmp_path / 'twin' / 'one').iterdir()) == ['metadata.yaml', 'one_0.mcap']


def test_metadata_equal_those_of_jazzy(bags, tmp_path):
    said = bags.session_messages(3)
    writer = BagWriter(tmp_path / 'one', SessionInfo(name='one'), MB)
    write_messages(writer, said)
    writer.close()
    body = yaml.safe_load((tmp_path / 'one' / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert list(body) == [
        'version',
        'storage_identifier',
        'duration',
        'starting_time',
        'message_count',
        'topics_with_message_count',
        'compression_format',
        'compression_mode',
        'relative_file_paths',
        'files',
        'custom_data',
        'ros_distro',
    ]
    begin, span = said[0][0], said[-1][0] - said[0][0]
    assert (body['version'], body['storage_identifier'], body['message_count']) == (9, 'mcap', 14)
    assert (body['starting_time'], body['duration']) == ({'nanoseconds_since_epoch': begin}, {'nanoseconds': span})
    assert body['files'] == [
        {
            'path': 'one_0.mcap',
            'starting_time': {'nanoseconds_since_epoch': begin},
            'duration': {'nanoseconds': span},
            'message_count': 14,
        }
    ]
    topics = {entry['topic_metadata']['name']: entry for entry in body['topics_with_message_count']}
    assert topics['/experience'] == {
        'message_count': 3,
        'topic_metadata': {
            'name': '/experience',
            'type': 'cls_interfaces/msg/Experience',
            'serialization_format': 'cdr',
            'offered_qos_profiles': [QOS],
            'type_description_hash': find_schema('cls_interfaces/msg/Experience').hash,
        },
    }
    assert all(type(value) is str for value in body['custom_data'].values())


def test_files_split_by_size_and_time_and_each_begins_with_the_latched_messages(bags, tmp_path):
    writer = BagWriter(tmp_path / 'split', SessionInfo(name='split'), split_bytes=30_000)
    for step in range(5):
        write_messages(writer, bags.session_messages(40)[0 if step == 0 else 2 :])
        writer.sync(0.0, bags.begin)
    assert writer.synced == writer.messages
    writer.sync(4000.0, bags.begin)  # an hour later
    writer.close()
    names = [f'split_{n}.mcap' for n in range(len(list(tmp_path.glob('split/*.mcap'))))]
    assert len(names) > 3
    with SessionReader(tmp_path / 'split') as session:
        assert session.topics['robot/info'].count == len(names)
        assert session.topics['experience'].count == 200
    for name in names:
        with (tmp_path / 'split' / name).open('rb') as stream:
            assert [m for _, c, m in make_reader(stream).iter_messages() if c.topic == '/robot/info'], name


def test_an_empty_session_is_a_bag_too_and_a_folder_in_use_is_refused(tmp_path):
    writer = BagWriter(tmp_path / 'e', SessionInfo(name='e'), MB)
    assert bag.is_being_recorded(tmp_path / 'e')
    with pytest.raises(FileExistsError):
        BagWriter(tmp_path / 'e', SessionInfo(name='e'), MB)
    writer.close()
    bag.check_whole(tmp_path / 'e', bag.read_metadata(tmp_path / 'e'))


def kill_after(child, lines):
    said = [json.loads(child.stdout.readline()) for _ in range(lines)]
    child.kill()
    rest = child.stdout.read().splitlines()
    child.wait()
    # The last line may be torn as well.
    return said + [json.loads(line) for line in rest if line.endswith('}')]


@pytest.mark.parametrize('seed', range(3))
def test_acknowledged_messages_survive_sigkill_and_a_loss_of_power(tmp_path, seed):
    generator = np.random.default_rng(seed)
    command = [sys.executable, str(CHILD), str(tmp_path), str(40_000), '0']
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        said = kill_after(child, int(generator.integers(1, 60)))
    for acknowledged in {0: said[0], 1: said[len(said) // 2], 2: said[-1]}.values():
        torn = tmp_path / f'torn_{acknowledged["synced"]}'
        shutil.copytree(tmp_path / 'cut', torn)
        for file in torn.glob('*.mcap'):
            if file.name in acknowledged['sizes']:
                os.truncate(file, acknowledged['sizes'][file.name])
            else:
                file.unlink()  # its name came later
        found = [number for name in bag.storage_files(torn) for number in numbers(torn / name)]
        assert found == list(range(acknowledged['synced']))
        repair(torn)
        assert sequence_numbers(torn) == found


def test_a_full_disk_loses_only_messages_that_were_not_acknowledged(tmp_path):
    command = [sys.executable, str(CHILD), str(tmp_path), str(200_000), str(150_000)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60)
    last = json.loads(done.stdout.splitlines()[-1])
    assert last['error'] == errno.EFBIG
    assert sequence_numbers(tmp_path / 'cut') == list(range(last['synced'])) != []
    bag.check_whole(tmp_path / 'cut', bag.read_metadata(tmp_path / 'cut'))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB, where this user may mount one."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'none', disk], capture_output=True).returncode:
        pytest.skip('mounting is not allowed here')
    yield disk
    subprocess.run(['umount', '-l', disk], check=True)


def test_on_a_file_system_without_room_the_bag_is_whole_up_to_the_last_sync(small_disk):
    command = [sys.executable, str(CHILD), str(small_disk), str(1_000_000), '0']
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60)
    last = json.loads(done.stdout.splitlines()[-1])
    assert last['error'] == errno.ENOSPC
    assert sequence_numbers(small_disk / 'cut') == list(range(last['synced'])) != []
    bag.check_whole(small_disk / 'cut', bag.read_metadata(small_disk / 'cut'))

"""Every form that the format allows is read alike and not changed; only damaged bytes count as damage."""

import hashlib
from pathlib import Path
import random
import sys
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
from rosbags.rosbag2 import Reader

from cls_common.errors import UserError
from cls_recording.bag import DamagedError
from cls_recording.quality.verdict import examine
from cls_recording.reader import SessionReader
from cls_recording.repair import repair
from cls_recording.summary import summarize

sys.path.insert(0, str(Path(__file__).parent))
import mcap_variants as variants

BY_HAND = {
    'padded records': {'padding': 7},
    'private records': {'private': True},
    'by hand without checksum': {'checksum': False, 'padding': 3},
}
OTHERS = {
    'profile empty': {'profile': ''},
    'other quality of service than metadata': {'qos': '- history: 1\n  depth: 3\n'},
    'two channels of one topic': {'twice': True},
    'schema id 0': {'schemas': False},
}
LEGAL = [*variants.OPTIONS, *BY_HAND, *OTHERS]


def contents(path, **order):
    with SessionReader(path) as session:
        return [(event.topic, event.time_ns, event.data) for event in session.raw(**order)]


def digests(folder):
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob('*')
        if file.is_file()
    }


def make(file, messages, kind):
    if kind in BY_HAND:
        variants.write_by_hand(file, messages, **BY_HAND[kind])
    else:
        variants.write(file, messages, **(variants.OPTIONS | OTHERS)[kind])


@pytest.fixture(scope='module')
def recorded(bags, tmp_path_factory):
    """A faultless session, its messages, and its contents as read."""
    folder = bags.write(tmp_path_factory.mktemp('recorded') / 'one', bags.session_messages(12))
    return folder, variants.entries(bags.session_messages(12)), contents(folder)


def session(folder, recorded, kind, messages=None):
    """Returns a session with the metadata of rosbags and a file of another form."""
    path = Path(folder, 'one')
    path.mkdir(parents=True)
    (path / 'metadata.yaml').write_bytes((recorded[0] / 'metadata.yaml').read_bytes())
    make(path / 'one.mcap', messages or recorded[1], kind)
    return path


@pytest.mark.parametrize('kind', LEGAL)
def test_every_legal_form_is_read_and_not_changed(recorded, tmp_path, kind):
    path = session(tmp_path, recorded, kind)
    before = digests(tmp_path)
    assert contents(path) == recorded[2]
    health = examine(path)
    assert (health.verdict, health.reasons, health.actions.accepted) == ('good', (), 12)
    assert summarize(path).state == 'whole'
    assert repair(path).found == ()
    assert digests(tmp_path) == before


@pytest.mark.parametrize('kind', ['without chunks', 'small chunks', 'padded records', 'without chunk index'])
def test_messages_in_order_of_arrival_are_sorted_by_log_time(recorded, tmp_path, kind):
    shuffled = list(recorded[1])
    for begin in range(0, len(shuffled), 8):
        part = shuffled[begin : begin + 8]
        random.Random(begin).shuffle(part)
        shuffled[begin : begin + 8] = part
    path = session(tmp_path, recorded, kind, shuffled)
    assert contents(path) == recorded[2]
    assert [time for _, time, _ in contents(path, by_time=False)] == [message.time for message in shuffled]
    with SessionReader(path) as reader:
        late = list(reader.raw(['experience'], start=recorded[2][30][1]))
    assert late and all(event.time_ns >= recorded[2][30][1] for event in late)
    assert repair(path).found == ()


@pytest.mark.parametrize('encoding', ['protobuf', 'json', 'ros1'])
def test_an_unreadable_topic_is_named_and_left_out(recorded, bags, tmp_path, encoding):
    foreign = variants.Entry(recorded[1][5].time, '/foreign', 'std_msgs/msg/Header', b'\x0a\x03abc')
    messages = sorted([*recorded[1], foreign], key=lambda message: message.time)
    path = bags.write(tmp_path / 'one', [*bags.session_messages(12), (foreign.time, '/foreign', bags.header(1))])
    text = (path / 'metadata.yaml').read_text()
    place = text.index('serialization_format: cdr', text.index('name: /foreign'))
    text = text[:place] + text[place:].replace('cdr', encoding, 1)
    (path / 'metadata.yaml').write_text(text)
    variants.write(path / 'one.mcap', messages, encoding=encoding)
    with SessionReader(path) as reader:
        assert list(reader.left_out) == ['/foreign'] and encoding in reader.left_out['/foreign']
    assert contents(path) == recorded[2]
    assert examine(path).left_out and examine(path).verdict == 'good'
    assert repair(path).found == ()


def test_a_known_topic_with_another_type_is_left_out(recorded, bags, tmp_path):
    path = bags.write(tmp_path / 'one', [*bags.session_messages(3), (bags.begin, '/joint_states', bags.header(1))])
    with SessionReader(path) as reader:
        assert reader.left_out == {
            'joint_states': 'expected type sensor_msgs/msg/JointState; found std_msgs/msg/Header'
        }
        assert 'joint_states' not in reader.topics and reader.topics['robot/applied_action'].count == 3


def test_a_type_with_an_incomplete_definition_is_read_by_the_installed_one(recorded, tmp_path, monkeypatch):
    store = variants.installed()
    whole = type(store).generate_msgdef

    def torn(self, name, **options):
        text, digest = whole(self, name, **options)
        return text.partition('=' * 80)[0], digest

    monkeypatch.setattr(type(store), 'generate_msgdef', torn)
    path = session(tmp_path, recorded, 'plain')
    monkeypatch.undo()
    with SessionReader(path) as reader:
        events = list(reader.events(['robot/applied_action']))
        assert [event.message.sequence for event in events] == list(range(1, 13))


def test_a_chunk_of_an_unknown_compression_is_no_damage_and_kept(recorded, tmp_path):
    path = session(tmp_path, recorded, 'plain')
    variants.write_by_hand(path / 'one.mcap', recorded[1], compression='brotli')
    before = digests(tmp_path)
    for use in (contents, examine):
        with pytest.raises(UserError, match="uncompressed or compressed by zstd or lz4; found 'brotli'") as caught:
            use(path)
        assert not isinstance(caught.value, DamagedError)
    assert repair(path).found == ()
    content = (path / 'one.mcap').read_bytes()
    (path / 'one.mcap').write_bytes(content[:-5])  # now it is cut off, and can't be rewritten without loss
    with pytest.raises(UserError, match='brotli'):
        repair(path)
    (path / 'one.mcap').write_bytes(content)
    assert digests(tmp_path) == before


def test_originals_of_repaired_files_are_kept(recorded, tmp_path):
    path = session(tmp_path, recorded, 'small chunks')
    content = (path / 'one.mcap').read_bytes()
    metadata = (path / 'metadata.yaml').read_bytes()
    for cut in (len(content) // 2, 900):
        (path / 'one.mcap').write_bytes(content[:cut])
        found = repair(path).found
        assert found[0].startswith('one.mcap has no end (bytes ')
    assert (path / 'one.mcap.replaced').read_bytes() == content[: len(content) // 2]
    assert (path / 'one.mcap.replaced.2').read_bytes() == content[:900]
    assert (path / 'metadata.yaml.replaced').read_bytes() == metadata


@settings(max_examples=60)
@given(kind=st.sampled_from(LEGAL), data=st.data())
def test_after_any_damage_reading_and_repair_agree_and_lose_no_whole_message(recorded, kind, data):
    with tempfile.TemporaryDirectory() as folder:
        path = session(folder, recorded, kind)
        file = path / 'one.mcap'
        content = file.read_bytes()
        begin = data.draw(st.integers(8, len(content)))
        if data.draw(st.booleans()):
            harmed = content[:begin]
        else:
            garbage = data.draw(st.binary(min_size=1, max_size=60) | st.just(bytes(60)))
            harmed = (content[:begin] + garbage + content[begin + len(garbage) :])[: len(content)]
        file.write_bytes(harmed)
        read = problem = None
        try:
            read = contents(path)
        except UserError as error:
            problem = error
        assert file.read_bytes() == harmed and sorted(f.name for f in path.iterdir()) == ['metadata.yaml', 'one.mcap']
        try:
            done = repair(path)
        except UserError:
            assert file.read_bytes() == harmed
            return
        if file.read_bytes() != harmed:
            assert done.found and (path / 'one.mcap.replaced').read_bytes() == harmed
        if isinstance(problem, DamagedError):
            assert done.found
        assert repair(path).found == ()
        assert sorted(Path(folder).iterdir()) == [path]
        try:
            after = contents(path)
        except UserError as error:
            assert not isinstance(error, DamagedError) or 'metadata' not in str(error)
            return
        if read is not None:
            assert len(after) == len(read)


def test_a_chunk_whose_type_was_overwritten_is_damage(recorded, tmp_path):
    path = session(tmp_path, recorded, 'small chunks')
    content = bytearray((path / 'one.mcap').read_bytes())
    whole = len(contents(path))
    first = 8 + 9 + content[9]  # magic, and the head and content of the header
    assert content[first] == 6, 'the first chunk follows the header'
    content[first] = 2
    (path / 'one.mcap').write_bytes(bytes(content))
    with pytest.raises(DamagedError, match='no chunk'):
        contents(path)
    assert 'another record where the index names a chunk' in repair(path).found[0]
    assert repair(path).found == () and 0 < len(contents(path)) < whole


@pytest.mark.parametrize('kind', ['without chunks', 'padded records', 'small chunks'])
def test_a_rewritten_file_is_read_by_other_tools(recorded, tmp_path, kind):
    path = session(tmp_path, recorded, kind)
    content = (path / 'one.mcap').read_bytes()
    (path / 'one.mcap').write_bytes(content[:-60])
    assert repair(path).found
    with Reader(path) as reader:
        assert len(list(reader.messages(reader.connections))) == len(contents(path))

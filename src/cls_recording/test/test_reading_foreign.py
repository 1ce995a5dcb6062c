"""Compressed bags, unusual folders and invalid metadata are read or refused in one line; nothing on disk changes."""

import copy
from pathlib import Path
import re
import shutil
import sqlite3
import sys
import tempfile

from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
from rosbags.rosbag2 import Reader
import yaml

from cls_common.errors import UserError
from cls_recording.reader import SessionReader
from cls_recording.repair import repair
from cls_recording.summary import summarize

sys.path.insert(0, str(Path(__file__).parent))

import mcap_variants as variants


def contents(path):
    with SessionReader(path) as session:
        return [(event.topic, event.time_ns, event.data) for event in session.raw()]


def body(path):
    return yaml.safe_load((path / 'metadata.yaml').read_text())['rosbag2_bagfile_information']


@pytest.fixture(scope='module')
def expected(bags, tmp_path_factory):
    return contents(bags.write(tmp_path_factory.mktemp('whole') / 'one', bags.session_messages(12)))


@pytest.fixture
def packed(bags, tmp_path):
    """A bag with compressed files."""
    path = bags.write(tmp_path / 'one', bags.session_messages(12))
    plain = path / 'one.mcap'
    (path / 'one.mcap.zstd').write_bytes(zstd.compress(plain.read_bytes()))
    plain.unlink()
    bags.edit_metadata(
        path,
        compression_format='zstd',
        compression_mode='FILE',
        relative_file_paths=['one.mcap.zstd'],
        files=[{**file, 'path': 'one.mcap.zstd'} for file in body(path)['files']],
    )
    return path


def test_a_bag_of_compressed_files_is_read_as_it_is(packed, expected):
    before = {file.name: file.read_bytes() for file in packed.iterdir()}
    assert contents(packed) == expected
    assert summarize(packed).state == 'whole' and repair(packed).found == ()
    assert {file.name: file.read_bytes() for file in packed.iterdir()} == before


@pytest.mark.parametrize('rest', [True, False])
def test_a_bag_with_manually_uncompressed_files_is_repaired(packed, expected, rest):
    file = packed / 'one.mcap.zstd'
    (packed / 'one.mcap').write_bytes(zstd.decompress(file.read_bytes()))
    if rest:  # `unzstd` without --rm: the metadata still name the compressed one
        assert contents(packed) == expected and repair(packed).found == ()
        return
    file.unlink()
    assert repair(packed).found == ('metadata.yaml was out of date',)
    assert body(packed)['compression_mode'] == '' and body(packed)['relative_file_paths'] == ['one.mcap']
    assert contents(packed) == expected
    with Reader(packed) as reader:
        assert len(list(reader.messages(reader.connections))) == len(expected)


def test_a_truncated_compressed_file_is_repaired_as_far_as_possible(bags, tmp_path):
    path = tmp_path / 'one'
    path.mkdir()
    messages = variants.entries(bags.session_messages(400))  # more than a block of zstd
    variants.write(path / 'one.mcap', messages, chunk_size=1000)
    content = zstd.compress((path / 'one.mcap').read_bytes())
    (path / 'one.mcap').unlink()
    (path / 'one.mcap.zstd').write_bytes(content[: len(content) - 100])
    assert 'one.mcap.zstd has no end' in repair(path).found[0]
    assert (path / 'one.mcap.zstd.replaced').read_bytes() == content[: len(content) - 100]
    found = [data for _, _, data in contents(path)]
    assert found and found == [message.data for message in messages][: len(found)]


@pytest.mark.parametrize('metadata', [True, False])
def test_compressed_messages_are_recognised_without_metadata(bags, tmp_path, expected, metadata):
    path = bags.write(tmp_path / 'one', bags.session_messages(12))
    messages = [m._replace(data=zstd.compress(m.data)) for m in variants.entries(bags.session_messages(12))]
    variants.write(path / 'one.mcap', messages)
    if metadata:
        bags.edit_metadata(path, compression_format='zstd', compression_mode='MESSAGE')
    else:
        (path / 'metadata.yaml').unlink()
        assert repair(path).found == ('no metadata.yaml to read',)
    assert contents(path) == expected
    assert (body(path)['compression_mode'], body(path)['compression_format']) == ('MESSAGE', 'zstd')
    with Reader(path) as reader:
        assert [bytes(data) for _, _, data in reader.messages(reader.connections)] == [data for _, _, data in expected]


def test_messages_of_an_unknown_compression_are_refused_by_name(bags, tmp_path):
    path = bags.write(tmp_path / 'one', bags.session_messages(2))
    bags.edit_metadata(path, compression_format='brotli', compression_mode='MESSAGE')
    with pytest.raises(UserError, match="expected compression by zstd; found 'brotli'"):
        SessionReader(path)


@pytest.mark.parametrize('name', ['a#b', 'a?b', 'a%41b', "it's", 'a b', 'file:x?mode=rwc', 'ä'])
@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_a_folder_may_have_any_name(bags, tmp_path, expected, name, storage):
    made = bags.write(tmp_path / 'made', bags.session_messages(12), storage)
    path = tmp_path / 'sessions' / name
    path.parent.mkdir()
    made.rename(path)
    before = sorted(tmp_path.rglob('*'))
    assert [data for _, _, data in contents(path)] == [data for _, _, data in expected]
    assert sorted(tmp_path.rglob('*')) == before
    (path / 'metadata.yaml').unlink()
    assert repair(path).found == ('no metadata.yaml to read',)
    assert sorted(tmp_path.rglob('*')) == before
    assert len(contents(path)) == len(expected)


ODD_QOS = [
    '- history: 3',
    '- depth: 1\n  history: keep_last',
    'x',
    '[1]',
    '{}',
    '- {history: [1]}',
    ': :',
    '-',
    '\x00',
    '- 1',
    '- deadline: {sec: 1}',
    '[[]]',
    '- !!python/object:os.system {}',
    '2001-99-99',
    '&a [*a]',
]


@pytest.mark.parametrize('qos', ODD_QOS)
def test_an_invalid_quality_of_service_counts_as_unknown(bags, tmp_path, qos):
    path = tmp_path / 'one'
    path.mkdir()
    variants.write(path / 'one.mcap', variants.entries(bags.session_messages(2)), qos=qos)
    assert repair(path).found == ('no metadata.yaml to read',)
    assert all(t['topic_metadata']['offered_qos_profiles'] == [] for t in body(path)['topics_with_message_count'])
    assert len(contents(path)) == len(bags.session_messages(2))


def test_an_invalid_quality_of_service_of_sqlite_counts_as_unknown(bags, tmp_path):
    path = bags.write(tmp_path / 'one', bags.session_messages(2), 'SQLITE3')
    with sqlite3.connect(path / 'one.db3') as database:
        database.execute("UPDATE topics SET offered_qos_profiles = '- history: 3'")
    database.close()
    (path / 'metadata.yaml').unlink()
    assert repair(path).found and len(contents(path)) == len(bags.session_messages(2))


odd = st.sampled_from([None, '', 'x', -1, 2**63, 10**40, 1.5, float('nan'), [], {}, [None], '9999-99-99', True, '\n'])


@pytest.fixture(scope='module')
def small(bags, tmp_path_factory):
    return bags.write(tmp_path_factory.mktemp('small') / 'one', bags.session_messages(2))


@settings(max_examples=60)
@given(data=st.data())
def test_any_content_of_metadata_gives_at_most_one_line(data, small):
    """Any value of metadata.yaml may be invalid; summaries still work."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copytree(small, Path(folder, 'one')))
        content = yaml.safe_load((path / 'metadata.yaml').read_text())
        for _ in range(data.draw(st.integers(1, 3))):
            place = content
            while True:
                keys = list(place) if isinstance(place, dict) else list(range(len(place)))
                if not keys:
                    break
                key = data.draw(st.sampled_from(keys))
                if isinstance(place[key], dict | list) and place[key] and data.draw(st.integers(0, 4)):
                    place = place[key]
                    continue
                # A copy: a later draw may change it, and the samples are shared.
                place[key] = copy.deepcopy(data.draw(odd))
                break
        (path / 'metadata.yaml').write_text(yaml.safe_dump(content))
        summary = summarize(path)
        assert isinstance(summary.problem, str)
        for use in (contents, repair, contents):
            try:
                use(path)
            except UserError as error:
                assert '\n' not in str(error)


def test_messages_that_are_not_cdr_give_one_line(bags, tmp_path):
    path = tmp_path / 'one'
    path.mkdir()
    messages = [
        m._replace(data=b'') if m.topic == '/robot/info' else m for m in variants.entries(bags.session_messages(2))
    ]
    variants.write(path / 'one.mcap', messages)
    repair(path)
    with pytest.raises(UserError, match=re.escape("topic 'robot/info'; expected messages of type")):
        SessionReader(path)

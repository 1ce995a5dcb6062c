"""Deletion of models and sessions: what is in use stays, a person is asked, and nothing is left by half."""

import fcntl
import os
from pathlib import Path
import pty
import shutil
import subprocess
import sys
import tarfile

import pytest

from cls_cli import entry
from cls_cli.deletion import remove_folder
from cls_common.errors import UserError
from cls_learning.model_store import ownership
from cls_learning.model_store.listing import list_models
from cls_recording.discovery import find_sessions


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of two models, by their files alone."""
    for name in ('first', 'second'):
        folder = tmp_path / 'models' / name
        (folder / 'generations' / '000001').mkdir(parents=True)
        (folder / 'config.json').write_text('{}')
        (folder / 'generations' / '000001' / 'waking.safetensors').write_bytes(bytes(1000))
    return tmp_path / 'models'


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """A folder of a robot with three sessions, by their files alone."""
    for name in ('one', 'three', 'two'):
        folder = tmp_path / 'sessions' / 'sim' / name
        folder.mkdir(parents=True)
        (folder / 'metadata.yaml').touch()
        (folder / f'{name}.mcap').write_bytes(bytes(100))
    return tmp_path / 'sessions' / 'sim'


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run(capsys, *args):
    status = entry.main([str(arg) for arg in args])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_model_is_deleted_with_yes_and_others_stay(capsys, models):
    status, out, err = run(capsys, 'models', 'delete', 'first', '--models-dir', models, '--yes')
    assert (status, out, err) == (0, f'deleted {models}/first\n', '')
    assert names(models) == ['second']
    assert run(capsys, 'models', 'delete', 'first', '--models-dir', models, '--yes')[2].startswith(
        "error: no model 'first'"
    )


def test_sessions_of_a_folder_are_deleted_with_yes(capsys, sessions):
    status, out, err = run(capsys, 'sessions', 'delete', sessions / 'one', sessions / 'two', sessions / 'one', '--yes')
    assert (status, out, err) == (0, f'deleted {sessions}/one\ndeleted {sessions}/two\n', '')
    assert names(sessions) == ['three']
    assert run(capsys, 'sessions', 'delete', sessions.parent, '--yes')[0] == 0
    assert names(sessions) == []


@pytest.mark.parametrize('kind', ['models', 'sessions'])
def test_without_a_terminal_a_deletion_has_to_be_confirmed(capsys, models, sessions, kind):
    wanted = ['first', '--models-dir', models] if kind == 'models' else [sessions]
    status, _, err = run(capsys, kind, 'delete', *wanted)
    assert status == 2 and 'Confirm it with --yes.' in err and err.count('\n') == 1
    assert names(models) == ['first', 'second'] and names(sessions) == ['one', 'three', 'two']


@pytest.mark.parametrize(('answer', 'left'), [('n', ['first', 'second']), ('', ['first', 'second']), ('y', ['second'])])
def test_on_a_terminal_a_person_is_asked(models, answer, left):
    ours, theirs = pty.openpty()
    command = [sys.executable, '-m', 'cls_cli', 'models', 'delete', 'first', '--models-dir', str(models)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b''
    while b'[y/N]' not in said:
        said += os.read(ours, 4096)
    os.write(ours, f'{answer}\n'.encode())
    status = process.wait(30)
    os.close(ours)
    assert f'{models}/first'.encode() in said and b'Delete this model?' in said
    assert status == (0 if answer == 'y' else 1) and [name for name in names(models) if name != 'lock'] == left


def test_a_model_in_use_is_refused_and_none_is_deleted(capsys, models):
    """Another process holds the lock, as a graph or `train` does."""
    program = (
        'import sys; from pathlib import Path; from cls_learning.model_store import ownership\n'
        'lock = ownership.take(Path(sys.argv[1])); print("taken", flush=True); sys.stdin.read()'
    )
    command = [sys.executable, '-c', program, str(models / 'second')]
    owner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout.readline() == 'taken\n'
        status, out, err = run(capsys, 'models', 'delete', 'first', 'second', '--models-dir', models, '--yes')
        assert (status, out) == (2, '') and f'it is in use by process {owner.pid}' in err and err.count('\n') == 1
        assert names(models) == ['first', 'second']
        output = models / 'second.tar'
        status, _, err = run(capsys, 'models', 'export', 'second', '--models-dir', models, '--output', output)
        assert status == 2 and 'in use' in err and names(models) == ['first', 'second']
    finally:
        owner.communicate('')
    assert run(capsys, 'models', 'delete', 'first', 'second', '--models-dir', models, '--yes')[0] == 0
    assert names(models) == []


def test_a_folder_that_is_no_model_is_refused(capsys, models):
    (models / 'notes').mkdir()
    (models / 'notes' / 'text').touch()
    status, _, err = run(capsys, 'models', 'delete', 'notes', '--models-dir', models, '--yes')
    assert status == 2 and 'expected a model' in err and names(models / 'notes') == ['text']


def test_a_session_that_is_recorded_is_refused_and_none_is_deleted(capsys, sessions):
    with (sessions / 'two' / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, out, err = run(capsys, 'sessions', 'delete', sessions, '--yes')
    assert (status, out) == (2, '') and 'two is being recorded' in err and err.count('\n') == 1
    assert names(sessions) == ['one', 'three', 'two']


def test_a_session_that_is_read_is_refused_and_none_is_deleted(capsys, sessions):
    program = 'import sys; file = open(sys.argv[1]); print("open", flush=True); sys.stdin.read()'
    command = [sys.executable, '-c', program, str(sessions / 'two' / 'two.mcap')]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert reader.stdout.readline() == 'open\n'
        status, out, err = run(capsys, 'sessions', 'delete', sessions, '--yes')
        assert (status, out) == (2, '') and f'two is in use; found process {reader.pid}' in err
        assert names(sessions) == ['one', 'three', 'two']
    finally:
        reader.communicate('')


@pytest.mark.parametrize('kind', ['models', 'sessions'])
def test_a_link_is_refused_and_what_it_leads_to_stays(capsys, models, sessions, kind):
    if kind == 'models':
        (models / 'link').symlink_to(models / 'first')
        status, _, err = run(capsys, 'models', 'delete', 'link', '--models-dir', models, '--yes')
    else:
        (sessions / 'link').symlink_to(sessions / 'one')
        status, _, err = run(capsys, 'sessions', 'delete', f'{sessions}/link/', '--yes')
    assert status == 2 and 'found a link' in err
    assert (models / 'first' / 'config.json').exists() and (sessions / 'one' / 'metadata.yaml').exists()


def test_a_session_is_deleted_from_within_its_folder(capsys, sessions, monkeypatch):
    monkeypatch.chdir(sessions / 'one')
    assert run(capsys, 'sessions', 'delete', '.', '--yes')[0] == 0
    assert names(sessions) == ['three', 'two']


@pytest.mark.parametrize('kind', ['models', 'sessions'])
def test_an_interrupted_deletion_leaves_no_model_or_session_and_the_next_one_ends_it(
    models, sessions, kind, monkeypatch
):
    folder = models / 'first' if kind == 'models' else sessions / 'one'

    def fail(*_args, **_options):
        raise OSError('disk failed')

    with monkeypatch.context() as patch:
        patch.setattr(shutil, 'rmtree', fail)
        with pytest.raises(UserError, match='disk failed'):
            remove_folder(folder)
    assert not folder.exists() and names(folder.parent)[0] == '.deleting'
    assert [one.name for one in list_models(models)] == (['second'] if kind == 'models' else ['first', 'second'])
    assert [path.name for path in find_sessions([sessions])] == ['one', 'three', 'two'][kind == 'sessions' :]
    remove_folder(models / 'second' if kind == 'models' else sessions / 'two')
    assert names(folder.parent) == ([] if kind == 'models' else ['three'])


def test_an_exported_model_is_the_same_when_it_is_unpacked(capsys, models, tmp_path):
    ownership.take(models / 'first').release()
    output = tmp_path / 'first.tar'
    asked = ('models', 'export', 'first', '--models-dir', models, '--output', output)
    assert run(capsys, *asked)[0] == 0
    with tarfile.open(output) as archive:
        archive.extractall(tmp_path / 'copy', filter='data')
    files = {file.relative_to(models): file.read_bytes() for file in (models / 'first').rglob('*') if file.is_file()}
    copied = {
        file.relative_to(tmp_path / 'copy'): file.read_bytes()
        for file in (tmp_path / 'copy').rglob('*')
        if file.is_file()
    }
    assert copied == {path: content for path, content in files.items() if path.name not in ('lock', 'owner.json')}
    assert len(copied) == 2
    before = output.read_bytes()
    status, _, err = run(capsys, *asked)
    assert status == 2 and 'found an existing one' in err and output.read_bytes() == before
    status, _, err = run(capsys, *asked[:-1], tmp_path / 'nowhere' / 'x.tar')
    assert status == 2 and err.count('\n') == 1 and not (tmp_path / 'nowhere').exists()
    assert names(tmp_path) == ['copy', 'first.tar', 'models']

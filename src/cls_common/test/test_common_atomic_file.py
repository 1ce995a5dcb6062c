"""Files that are there whole or not at all: real processes are killed, a real limit is met."""

import os
from pathlib import Path
import subprocess
import sys

import pytest

from cls_common import atomic_file

# Writes a file of equal bytes again and again, and says so after the first time.
WRITER = """
import sys
from pathlib import Path
from cls_common import atomic_file
for number in range(10**9):
    atomic_file.write_bytes(Path(sys.argv[1]), bytes([number % 256]) * 3_000_000, durable=number % 2 == 0)
    if number == 0:
        print('written', flush=True)
"""
# Writes more than the process may, which is refused as on a full disk.
TOO_LARGE = """
import resource, signal, sys
from pathlib import Path
from cls_common import atomic_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    atomic_file.write_bytes(Path(sys.argv[1]), bytes(5000))
except OSError as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize('bytes_written', [0, 1, 200_000, 1_500_000, 2_999_999])
def test_a_writer_killed_at_any_moment_leaves_a_whole_file(bytes_written: int, tmp_path: Path) -> None:
    path = tmp_path / 'file'
    with subprocess.Popen([sys.executable, '-c', WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b'written\n'
        while _size(atomic_file.temporary_of(path)) < bytes_written:
            assert writer.poll() is None
        writer.kill()
    content = path.read_bytes()
    assert len(content) == 3_000_000 and len(set(content)) == 1
    atomic_file.write_text(path, 'after')
    assert path.read_text() == 'after' and list(tmp_path.iterdir()) == [path], 'nothing half-written is left'


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / 'file'
    path.write_text('old')
    done = subprocess.run([sys.executable, '-c', TOO_LARGE, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == 'OSError\n'
    assert path.read_text() == 'old' and list(tmp_path.iterdir()) == [path]


def test_content_is_synced_before_the_rename_and_the_name_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, done = tmp_path / 'file', []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        done.append(('fsync', os.stat(descriptor).st_ino))
        fsync(descriptor)

    def noted_replace(old: Path, new: Path) -> None:
        done.append(('replace', os.stat(old).st_ino))
        replace(old, new)

    monkeypatch.setattr(os, 'fsync', noted_fsync)
    monkeypatch.setattr(os, 'replace', noted_replace)
    atomic_file.write_bytes(path, b'content')
    file, folder = path.stat().st_ino, tmp_path.stat().st_ino
    assert done == [('fsync', file), ('replace', file), ('fsync', folder)]


def test_a_folder_is_published_with_all_in_it(tmp_path: Path) -> None:
    temporary, path = tmp_path / '.folder.new', tmp_path / 'folder'
    (temporary / 'inner').mkdir(parents=True)
    (temporary / 'inner' / 'file').write_text('content')
    (temporary / 'dangling').symlink_to('nowhere')
    atomic_file.publish(temporary, path)
    assert (path / 'inner' / 'file').read_text() == 'content' and not temporary.exists()


def test_json_without_nan_unless_it_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / 'file.json'
    with pytest.raises(ValueError, match='not JSON compliant'):
        atomic_file.write_json(path, {'loss': float('nan')})
    assert not list(tmp_path.iterdir())
    atomic_file.write_json(path, {'loss': float('nan')}, allow_nan=True)
    assert 'NaN' in path.read_text()

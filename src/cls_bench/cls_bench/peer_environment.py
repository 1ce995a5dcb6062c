"""Environments of their own for libraries that a benchmark compares with: made with uv from pinned packages."""

from collections.abc import Iterator, Sequence
import hashlib
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from filelock import FileLock

import cls_bench
from cls_common.errors import UserError

# Of our environment; a child that runs another environment's Python must not inherit them.
_OWN_VARIABLES = ('PYTHONPATH', 'PYTHONHOME', 'LD_LIBRARY_PATH', 'VIRTUAL_ENV', '_ROS_WHEELS_BOOTSTRAP_COMPLETE')


def lock_file(name: str) -> Path:
    """Returns the file of pinned packages, with hashes, of an environment by name."""
    return Path(os.environ.get('CLS_ROOT', '.')) / 'requirements' / f'{name}.txt'


def provide_python(name: str, folder: Path) -> Path:
    """Makes an environment below a folder unless it is there, and returns its Python.

    Raises:
        UserError: it can not be made on this machine, such as without a network.
    """
    lock = lock_file(name)
    if not lock.exists():
        raise UserError(f'environment {name}', expected=f'its pinned packages, {lock}', found='no such file')
    key = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = folder.absolute() / f'{name}-{key}'
    python = place / 'bin' / 'python'
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f'{name}.lock'):
        if not (place / '.complete').exists():
            shutil.rmtree(place, ignore_errors=True)
            uv = Path(sys.prefix) / 'bin' / 'uv'
            for command in (
                [uv, 'venv', '--quiet', '--python', sys.executable, place],
                [uv, 'pip', 'install', '--quiet', '--python', python, '--no-deps', '--require-hashes', '-r', lock],
            ):
                list(lines_of(command))
            (place / '.complete').touch()
    return python


def lines_of(command: Sequence[Any], given: str = '') -> Iterator[str]:
    """Runs a program in its own environment and yields the lines that it prints; ends it where the caller stops.

    Args:
        given: its standard input.

    Raises:
        UserError: it can not be started, or fails.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OWN_VARIABLES}
    environment['PYTHONPATH'] = str(Path(cls_bench.__file__).parents[1])
    with tempfile.TemporaryFile('w+') as source, tempfile.TemporaryFile('w+', errors='replace') as errors:
        source.write(given)
        source.seek(0)
        try:
            process = subprocess.Popen(
                [str(word) for word in command], env=environment, stdin=source, stdout=subprocess.PIPE, stderr=errors,
                text=True,
            )  # fmt: skip
        except OSError as error:
            raise UserError(f'{Path(str(command[0])).name} for a benchmark', found=str(error)) from error
        assert process.stdout is not None
        try:
            with process.stdout as printed:
                yield from printed
            status = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if status:
            errors.seek(0)
            last = (errors.read().strip().splitlines() or ['no message'])[-1]
            raise UserError(f'{Path(str(command[0])).name} for a benchmark', expected='exit status 0', found=last)

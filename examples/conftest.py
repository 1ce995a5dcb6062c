"""The examples as an installed package, in a folder of their own, as a stranger's package would be."""

from collections.abc import Iterator
from pathlib import Path
import subprocess
import sys

import pytest
import torch

EXAMPLES = Path(__file__).parent


@pytest.fixture(scope='session')
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Installs the package once; returns the folder that holds its modules and entry points."""
    source, folder = tmp_path_factory.mktemp('source'), tmp_path_factory.mktemp('installed')
    for file in (*EXAMPLES.glob('*.py'), EXAMPLES / 'pyproject.toml'):
        (source / file.name).write_bytes(file.read_bytes())
    command = ['uv', 'pip', 'install', '--quiet', '--python', sys.executable, '--offline', '--no-deps']
    subprocess.run([*command, '--no-build-isolation', '--target', str(folder), str(source)], check=True)
    return folder


@pytest.fixture(autouse=True, scope='session')
def _one_thread() -> None:
    torch.set_num_threads(1)  # small networks: more threads only wait for each other


@pytest.fixture(autouse=True)
def installed(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes the package found in this process and in those it starts."""
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setenv('PYTHONPATH', str(package), prepend=':')
    yield
    # Other test modules of this process must not find what is no longer on their path.
    for name in {file.stem for file in package.glob('*.py')} & set(sys.modules):
        del sys.modules[name]

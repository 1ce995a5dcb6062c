"""The set-up scripts, on small environments of their own: layers, interrupted installs, refused machines."""

import base64
import hashlib
import os
from pathlib import Path
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYTHON = Path('lib', f'python{sys.version_info[0]}.{sys.version_info[1]}', 'site-packages')


def make_wheel(folder: Path, name: str, version: str) -> str:
    """Writes a wheel with one module of this name, and returns its line in a lock."""
    path, info = folder / f'{name}-{version}-py3-none-any.whl', f'{name}-{version}.dist-info'
    files = {
        f'{name}.py': f'VERSION = {version!r}\n',
        f'{info}/METADATA': f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n',
        f'{info}/WHEEL': 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    }
    record = ''.join(f'{file},sha256={_digest(text)},{len(text)}\n' for file, text in files.items())
    with zipfile.ZipFile(path, 'w') as archive:
        for file, text in {**files, f'{info}/RECORD': f'{record}{info}/RECORD,,\n'}.items():
            archive.writestr(file, text)
    return f'{name} @ {path.as_uri()} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n'


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()


class Checkout:
    """A repository with the real set-up scripts, an empty environment, and locks of small wheels."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules = root / '.venv' / PYTHON
        self.wheels = root / 'wheels'
        self.wheels.mkdir(parents=True)
        (root / 'cache').mkdir()
        shutil.copytree(ROOT / 'setup', root / 'setup')
        (root / 'requirements').mkdir()
        subprocess.run([sys.executable, '-m', 'venv', '--without-pip', root / '.venv'], check=True)
        uv = shutil.which('uv')
        assert uv
        (root / '.venv' / 'bin' / 'uv').symlink_to(uv)

    def lock(self, layer: str, **versions: str) -> None:
        requirements = self.root / 'requirements'
        (requirements / f'{layer}.in').write_text(f'# tests of {layer}: 1 MB\n')
        lines = [make_wheel(self.wheels, name, version) for name, version in versions.items()]
        (requirements / f'{layer}.txt').write_text(''.join(lines))

    def add(self, *layers: str) -> subprocess.CompletedProcess[str]:
        return self.run('add.sh', *layers)

    def run(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, 'UV_CACHE_DIR': str(self.root / 'cache'), **environment}
        command = [self.root / 'setup' / script, self.root, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def version(self, name: str) -> str:
        path = self.modules / f'{name}.py'
        return path.read_text().split("'")[1] if path.exists() else ''


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / 'checkout')
    made.lock('export', clstestone='1.0', clstesttwo='1.0')
    made.lock('bench', clstestthree='1.0')
    return made


def test_a_layer_is_added_with_one_line_and_once(checkout: Checkout) -> None:
    done = checkout.add('export')
    assert (done.returncode, done.stdout) == (0, "setup: adding 'export' for tests of export: 1 MB\n"), done.stderr
    assert [checkout.version(name) for name in ('clstestone', 'clstesttwo', 'clstestthree')] == ['1.0', '1.0', '']
    again = checkout.add('export')
    assert (again.returncode, again.stdout, again.stderr) == (0, '', '')


def test_a_layer_is_updated_with_its_lock_only(checkout: Checkout) -> None:
    assert checkout.add('export', 'bench').returncode == 0
    checkout.lock('export', clstestone='2.0', clstesttwo='1.0')
    done = checkout.run('add.sh', 'bench', 'export')
    assert done.stdout.splitlines() == ["setup: adding 'export' for tests of export: 1 MB"]
    assert [checkout.version(name) for name in ('clstestone', 'clstesttwo', 'clstestthree')] == ['2.0', '1.0', '1.0']


def test_a_killed_install_is_completed(checkout: Checkout) -> None:
    assert checkout.add('export').returncode == 0
    # So it looks after a kill: the package is listed, files are missing, the layer is not noted as done.
    (checkout.modules / 'clstestone.py').unlink()
    (checkout.root / '.venv' / '.layer-export').write_text('unfinished\n')
    assert checkout.add('export').returncode == 0
    assert checkout.version('clstestone') == '1.0'


def test_a_failed_layer_is_reported_and_retried(checkout: Checkout) -> None:
    wheel = checkout.wheels / 'clstestone-1.0-py3-none-any.whl'
    kept = wheel.read_bytes()
    wheel.write_bytes(kept + b'tampered')
    failed = checkout.add('export')
    assert failed.returncode == 1 and "'export' could not be added" in failed.stderr.splitlines()[-1]
    wheel.write_bytes(kept)
    assert checkout.add('export').returncode == 0
    assert checkout.version('clstestone') == '1.0'


def test_layers_are_installed_again_in_a_new_environment(checkout: Checkout) -> None:
    assert checkout.add('export').returncode == 0
    script = 'source setup/install.sh; make_environment --without-pip && layers_here'
    environment = {**os.environ, 'root': str(checkout.root), 'python': sys.executable}
    done = subprocess.run(['bash', '-c', script], cwd=checkout.root, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, 'export\n') and checkout.version('clstestone') == ''
    (checkout.root / '.venv' / 'bin' / 'uv').symlink_to(shutil.which('uv') or '')
    assert checkout.add('export').returncode == 0
    assert checkout.version('clstestone') == '1.0'


def test_an_unknown_layer_is_refused(checkout: Checkout) -> None:
    refused = checkout.add('wheels')
    assert refused.returncode == 1
    assert refused.stderr == "setup: there is no layer 'wheels': export, bench, examples and dev are there.\n"


def test_layers_are_installed_without_a_writable_home(checkout: Checkout) -> None:
    environment = {**os.environ, 'HOME': '/dev/null', 'XDG_CACHE_HOME': ''}
    environment.pop('UV_CACHE_DIR', None)
    environment.pop('XDG_CACHE_HOME')
    command = [checkout.root / 'setup' / 'add.sh', checkout.root, 'export']
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert checkout.version('clstestone') == '1.0' and (checkout.root / '.uv-cache').is_dir()


def test_a_machine_without_wheels_is_refused_before_any_change(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / 'bin').mkdir()
    uname = tmp_path / 'bin' / 'uname'
    uname.write_text('#!/bin/sh\n[ "$1" = -m ] && echo aarch64 || echo Linux\n')
    uname.chmod(0o755)
    before = sorted(checkout.root.rglob('*'))
    environment = {'PATH': f'{tmp_path / "bin"}:{os.environ["PATH"]}', 'ROS_DISTRO': 'wheels'}
    refused = checkout.run('setup.sh', **environment)
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert 'x86_64' in line and 'aarch64' in line and 'Jazzy by apt' in line
    assert sorted(checkout.root.rglob('*')) == before


def test_an_unknown_pytorch_is_refused(checkout: Checkout) -> None:
    refused = checkout.run('setup.sh', CLS_TORCH='tpu', ROS_DISTRO='wheels')
    assert refused.returncode == 1
    assert refused.stderr == "setup: CLS_TORCH is 'tpu', expected cpu or cuda.\n"


def test_an_environment_with_another_pytorch_than_requested_is_not_ready(checkout: Checkout) -> None:
    (checkout.root / 'build').mkdir()
    for folder in ('src', 'launch', 'config'):
        (checkout.root / folder).mkdir()
    (checkout.root / 'build' / 'environment.sh').touch()
    (checkout.root / '.venv' / '.complete').write_text(f'wheels 3.11 {checkout.root} cuda 0123\n')
    (checkout.root / 'build' / '.ready').write_text(f'{os.environ.get("ROS_DISTRO", "wheels")} {checkout.root}\n')
    for torch, status in (('', 0), ('cuda', 0), ('cpu', 1)):
        assert checkout.run('is_ready.sh', CLS_TORCH=torch).returncode == status

"""The locks: one version of each package in all of them, nothing of a host, nothing that apt's cv_bridge can't bear."""

from pathlib import Path
import re
import subprocess

import pytest

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'
LAYERS = ('export', 'bench', 'examples', 'dev')
ENVIRONMENTS = ('peers', 'avalanche', 'torch_world')
LOCKS = ('wheels', 'jazzy', *LAYERS, *ENVIRONMENTS)


def pins(lock: str) -> dict[str, set[str]]:
    """Returns the versions (by markers there may be several) of each package in a lock."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r'^([a-z0-9-]+)==(\S+)', (REQUIREMENTS / f'{lock}.txt').read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize('lock', LOCKS)
def test_nothing_in_the_environment_is_triton(lock: str) -> None:
    assert 'triton' not in pins(lock)


@pytest.mark.parametrize('lock', (*LOCKS, 'uv'))
def test_locks_name_no_host_and_have_hashes(lock: str) -> None:
    text = (REQUIREMENTS / f'{lock}.txt').read_text()
    assert '://' not in text and '--index-url' not in text
    blocks = re.findall(r'^[a-z0-9].*\n(?: +--hash=sha256:[0-9a-f]{64}.*\n?)+', text, re.MULTILINE)
    assert len(blocks) == len(re.findall(r'^[a-z0-9]', text, re.MULTILINE)) > 0


@pytest.mark.parametrize('lock', ('jazzy', *LAYERS, *ENVIRONMENTS))
def test_all_locks_agree(lock: str) -> None:
    base = pins('wheels')
    assert {name: versions for name, versions in pins(lock).items() if versions != base.get(name, versions)} == {}


def test_the_base_has_no_requirement_of_a_single_command() -> None:
    for road in ('wheels', 'jazzy'):
        assert not {'av', 'pyarrow', 'scipy', 'matplotlib', 'timm', 'mypy', 'ruff', 'hypothesis'} & set(pins(road))
    assert set(pins('export')) | set(pins('bench')) | set(pins('examples')) <= set(pins('dev'))


@pytest.mark.parametrize('lock', ('jazzy', *LAYERS))
def test_numpy_and_opencv_stay_those_of_apt_beside_an_installed_jazzy(lock: str) -> None:
    assert not {name for name in pins(lock) if name == 'numpy' or name.startswith('opencv')}


@pytest.mark.parametrize('lock', ('wheels', 'jazzy'))
def test_setuptools_can_build_with_links(lock: str) -> None:
    (version,) = pins(lock)['setuptools']
    assert int(version.partition('.')[0]) < 80


def test_the_lock_without_cuda_lacks_torch_and_its_cuda_requirements() -> None:
    command = 'source setup/install.sh; without_cuda requirements/wheels.txt'
    text = subprocess.run(
        ['bash', '-c', command],
        cwd=ROOT,
        env={'root': str(ROOT), 'HOME': '/', 'PATH': '/usr/bin:/bin'},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    left = set(re.findall(r'^([a-z0-9-]+)==', text, re.MULTILINE))
    gone = set(pins('wheels')) - left
    assert {'torch', 'torchvision', 'nvidia-cudnn-cu13', 'cuda-toolkit', 'cuda-bindings'} <= gone
    assert all(name in ('torch', 'torchvision') or name.startswith(('nvidia-', 'cuda-')) for name in gone)
    # Hashes go with their package.
    assert text.count('\n') < len((REQUIREMENTS / 'wheels.txt').read_text().splitlines())
    assert re.match(r'[a-z]', text) and not re.search(r'[^\\]\n +--hash', text)

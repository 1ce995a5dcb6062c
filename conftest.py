"""Every test process talks on loopback and in a ROS domain of its own."""

from collections.abc import Generator
import fcntl
import gc
import os
from pathlib import Path
import sys
import tempfile

import pytest

_locks = []


def _claim_domain() -> int:
    # A lock, not a random number: test processes of several runs must never hear each other.
    folder = Path(tempfile.gettempdir(), f'cls-domains-{os.getuid()}')
    folder.mkdir(exist_ok=True)
    for domain in range(50, 100):
        handle = open(folder / str(domain), 'w')  # noqa: SIM115 - held until the process ends
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            continue
        _locks.append(handle)
        return domain
    raise RuntimeError('all test domains 50 to 99 are taken')


os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ['ROS_DOMAIN_ID'] = str(_claim_domain())
os.environ['FASTRTPS_DEFAULT_PROFILES_FILE'] = str(Path(__file__).parent / 'config' / 'fastdds.xml')
# The workers share the cores: more threads of PyTorch would only wait for each other, in the nodes of a test too.
os.environ.setdefault('OMP_NUM_THREADS', '1')
# Hints name ./cls, however the tests were started.
os.environ.pop('CLS_COMMAND', None)
# Also where PYTHONDONTWRITEBYTECODE is set: else each worker of each run compiles all test modules again.
sys.dont_write_bytecode = False


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Looks for garbage neither while modules are imported nor, later, among these and the tests: all stay."""
    gc.disable()
    found = yield
    gc.freeze()
    gc.enable()
    return found


@pytest.fixture
def fresh_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moves a test to a ROS domain without earlier nodes: killed ones stay visible there for some time."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(_claim_domain()))

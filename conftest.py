"""Every test process talks on loopback and in a ROS domain of its own."""

import fcntl
import os
from pathlib import Path
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
# Hints name ./cls, however the tests were started.
os.environ.pop('CLS_COMMAND', None)


@pytest.fixture
def fresh_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moves a test to a ROS domain without earlier nodes: killed ones stay visible there for some time."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(_claim_domain()))

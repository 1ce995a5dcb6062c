"""Which graph a process joins: what the shell has set holds, and ./cls and launch have the same defaults."""

import os
from pathlib import Path
import subprocess

import pytest

from cls_bringup import discovery

ROOT = Path(__file__).resolve().parents[3]
NAMES = (discovery.DOMAIN, discovery.RANGE, discovery.PROFILE)


@pytest.mark.parametrize(
    'shell',
    [{}, {discovery.DOMAIN: '7'}, {discovery.RANGE: 'SUBNET'}, {discovery.PROFILE: '/mine.xml'}, {discovery.RANGE: ''}],
    ids=str,
)
def test_the_command_line_and_launch_join_the_same_graph(shell: dict[str, str]) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run(
        [ROOT / 'cls', 'exec', 'env'], env={**clean, **shell}, capture_output=True, text=True, check=True
    )
    set_by_cls = dict(line.split('=', 1) for line in done.stdout.splitlines() if line.startswith(NAMES))
    set_by_launch = {**shell, **discovery.environment(shell, ROOT / 'config')}
    assert set_by_cls == set_by_launch
    assert discovery.exports(set_by_cls) == discovery.exports(set_by_launch)


def test_exports_name_all_that_decides_and_nothing_that_is_empty() -> None:
    assert discovery.exports({discovery.RANGE: 'LOCALHOST', discovery.PROFILE: '/p.xml', 'HOME': '/h'}) == [
        'ROS_DOMAIN_ID=0',
        'ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST',
        'FASTRTPS_DEFAULT_PROFILES_FILE=/p.xml',
    ]
    assert discovery.exports({discovery.DOMAIN: '7', discovery.PROFILE: ''}) == ['ROS_DOMAIN_ID=7']

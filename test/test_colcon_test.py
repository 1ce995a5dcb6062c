"""`colcon test` runs the tests of each package, under the repository's own pytest settings and in a private domain."""

import json
import os
from pathlib import Path
import subprocess
import sys
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted(path.parent.name for path in ROOT.glob('src/*/setup.py'))

# colcon reads each setup.py in a process of its own, and looks there for a test dependency on pytest.
ASKED = """
import json, sys
from pathlib import Path
from colcon_core.task.python.test import has_test_dependency
from colcon_python_setup_py.package_identification.python_setup_py import get_setup_information
print(json.dumps({path: has_test_dependency(get_setup_information(Path(path)), 'pytest') for path in sys.argv[1:]}))
"""


@pytest.mark.slow
def test_colcon_runs_pytest_in_every_package() -> None:
    files = [str(ROOT / 'src' / package / 'setup.py') for package in PACKAGES]
    answer = subprocess.run([sys.executable, '-c', ASKED, *files], capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout.splitlines()[-1]) == dict.fromkeys(files, True)


def test_colcon_test_runs_tests_in_a_private_domain(tmp_path: Path) -> None:
    result = subprocess.run(
        [
            sys.executable,
            '-m',
            'colcon',
            '--log-base',
            tmp_path / 'log',
            'test',
            '--packages-select',
            'cls_common',
            '--test-result-base',
            tmp_path / 'results',
            '--return-code-on-test-failure',
            '--pytest-args',
            '-n',
            '0',
            '-k',
            'test_tests_run_in_a_private_domain',
        ],
        cwd=ROOT,
        env={**os.environ, 'ROS_DOMAIN_ID': '7'},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (suite,) = ElementTree.parse(tmp_path / 'results' / 'cls_common' / 'pytest.xml').getroot().iter('testsuite')
    assert (suite.get('tests'), suite.get('failures')) == ('1', '0')

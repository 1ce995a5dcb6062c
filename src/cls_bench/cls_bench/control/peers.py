"""PPO and DQN of stable-baselines3: their environment, their runs, and the figures of an earlier run."""

from collections.abc import Sequence
from datetime import date
import hashlib
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
from typing import Any, Final

from filelock import FileLock

import cls_bench
from cls_common import atomic_file
from cls_common.errors import UserError

from .agents import Agent, PEERS
from .environments import ControlEnvironment

FIGURES: Final = Path(__file__).with_name('peer_figures.json')
# Of our environment; a child that runs another environment's Python must not inherit them.
_OWN_VARIABLES = ('PYTHONPATH', 'PYTHONHOME', 'LD_LIBRARY_PATH', 'VIRTUAL_ENV', '_ROS_WHEELS_BOOTSTRAP_COMPLETE')


def lock_file() -> Path:
    """Returns the file of pinned packages, with hashes, of the peers' environment."""
    return Path(os.environ.get('CLS_ROOT', '.')) / 'requirements' / 'peers.txt'


def provide_python(folder: Path) -> Path:
    """Makes the peers' environment below a folder unless it is there, and returns its Python.

    Raises:
        UserError: it can not be made on this machine, such as without a network.
    """
    lock = lock_file()
    if not lock.exists():
        raise UserError('environment of the peers', expected=f'their pinned packages, {lock}', found='no such file')
    name = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = folder.absolute() / f'peers-{name}'
    python = place / 'bin' / 'python'
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / 'peers.lock'):
        if not (place / '.complete').exists():
            shutil.rmtree(place, ignore_errors=True)
            uv = Path(sys.prefix) / 'bin' / 'uv'
            _call([uv, 'venv', '--quiet', '--python', sys.executable, place])
            _call([uv, 'pip', 'install', '--quiet', '--python', python, '--no-deps', '--require-hashes', '-r', lock])
            (place / '.complete').touch()
    return python


def _call(command: list[Any]) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in _OWN_VARIABLES}
    environment['PYTHONPATH'] = str(Path(cls_bench.__file__).parents[1])
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UserError('environment of the peers', found=str(error)) from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ['no message'])[-1]
        raise UserError(f'{Path(str(command[0])).name} for the peers', expected='exit status 0', found=last)
    return done.stdout


def run(python: Path, agent: Agent, environment: ControlEnvironment, seed: int) -> dict[str, Any]:
    """Runs one seed of a peer in its environment; returns its metrics.

    Raises:
        UserError: it failed.
    """
    bounds = environment.bounds
    options: dict[str, Any] = {
        'algorithm': agent.algorithm, 'env': environment.robot.removeprefix('gym:'), 'solved': bounds.solved,
        'kept': bounds.kept, 'budget': environment.peer_budget, 'seed': seed,
    }  # fmt: skip
    words = [f'--{name}={value}' for name, value in options.items()] + ['--tuned'] * agent.tuned
    printed = _call([python, '-m', 'cls_bench.control.sb3_run', *words])
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return {**found, 'spike_rate': None, 'ops_act': None, 'ops_learn': None}


def read_figures() -> dict[str, Any]:
    """Returns the figures of an earlier run: `date`, and `runs`, one for each agent, environment and seed."""
    found: dict[str, Any] = json.loads(FIGURES.read_text(encoding='utf-8'))
    return found


def write_figures(runs: Sequence[dict[str, Any]]) -> None:
    """Replaces the figures of peers by those of a run of today; other agents in `runs` are left out."""
    own = [run for run in runs if run['agent'] in PEERS]
    atomic_file.write_json(FIGURES, {'date': date.today().isoformat(), 'runs': own})

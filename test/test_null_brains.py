"""Brains of an installed package run in the whole graph, though no package of ours knows them."""

from collections.abc import Callable, Iterator
import contextlib
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file

from cls_bringup.run_directory import find_status
from cls_cli import entry
from cls_common.images import from_jpeg
from cls_learning.model_store.listing import list_models, weights_hash

BRAINS = Path(__file__).with_name('null_brains')
PATIENCE = 120.0  # importing PyTorch is slow on a busy machine
pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures('fresh_domain')]


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs the package of the null brains as an installer does: modules, and entry points in its metadata."""
    site = tmp_path / 'site'
    project = tomllib.loads((BRAINS / 'pyproject.toml').read_text())['project']
    shutil.copytree(BRAINS, site, ignore=shutil.ignore_patterns('__pycache__'))
    metadata = site / f'null_brains-{project["version"]}.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {project["name"]}\nVersion: 1.0\n')
    lines = [
        f'[{group}]\n' + '\n'.join(f'{k} = {v}' for k, v in e.items()) for group, e in project['entry-points'].items()
    ]
    (metadata / 'entry_points.txt').write_text('\n'.join(lines))
    monkeypatch.setenv('PYTHONPATH', f'{site}{os.pathsep}{os.environ.get("PYTHONPATH", "")}')
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv('XDG_RUNTIME_DIR', str(tmp_path))


@contextlib.contextmanager
def up(folder: Path, *options: str) -> Iterator['subprocess.Popen[bytes]']:
    """Yields a running `up` of the model `m`; its output goes to `up.log`."""
    command = [
        sys.executable,
        '-m',
        'cls_cli',
        'up',
        '--no-view',
        '--model',
        'm',
        '--models-dir',
        str(folder),
        *options,
    ]
    with open(folder / 'up.log', 'ab') as log:
        process = subprocess.Popen([*command, *options], stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()


def status() -> dict[str, Any]:
    """Returns what `status --json` prints, without a process for each look; nothing before the graph runs."""
    return find_status('') or {}


def until(condition: Callable[[], Any], what: str) -> None:
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, what
        pause.wait(0.2)


def run(*options: str) -> None:
    assert entry.main([*map(str, options)]) == 0


def images_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob('*.jpg')}


SPIKING = (
    '--set', 'sleep.wake_steps_per_cycle=25', '--set', 'sleep.sws_steps=9', '--set', 'sleep.rem_steps=9',
    '--set', 'world.batch_size=16', '--set', 'warmup=25', '--seed', '1',
)  # fmt: skip


# The smaller brain takes the same way: `-m slow` runs it too.
@pytest.mark.parametrize(
    ('brain', 'settings'),
    [
        pytest.param('null', (), id='null', marks=pytest.mark.slow),
        pytest.param('two_senses', ('--set', 'memory.capacity=40'), id='two_senses'),
        pytest.param('spiking', SPIKING, id='spiking', marks=pytest.mark.slow),
    ],
)
def test_graph_training_and_replay_end_in_the_same_state(brain: str, settings: tuple[str, ...], tmp_path: Path) -> None:
    recipe = ('--brain', brain, *settings)
    choice = (*recipe, '--robot', 'gym:CartPole-v1', '--steps', '55', '--seed', '1')
    sessions = ('--record', '--sessions-dir', str(tmp_path / 'sessions'))
    with up(tmp_path, *choice, *sessions, '--lock-step', '--save-frames') as process:
        assert process.wait(PATIENCE) == 0, (tmp_path / 'up.log').read_text()
    (session,) = (tmp_path / 'sessions').glob('*/session_*')
    run('sessions', 'export', session, '--format', 'frames', '--output', tmp_path / 'frames')
    images = images_of(tmp_path / 'm' / 'frames')
    assert images_of(tmp_path / 'frames') == images and len(images) == 2 * 55
    assert from_jpeg(images['step_000054_after.jpg']).shape == (224, 224, 3)  # the camera's size, not the brain's
    run('train', *choice, '--model', 'trained', '--models-dir', tmp_path)
    run('replay', session, *recipe, '--model', 'replayed', '--models-dir', tmp_path)
    hashes = {weights_hash(tmp_path / name) for name in ('m', 'trained', 'replayed')}
    assert len(hashes) == 1
    assert {(m.total_steps, m.cycles, m.encoder) for m in list_models(tmp_path)} == {(55, 2, '-')}
    if brain == 'two_senses':
        graph, *others = (memory_images(tmp_path / name) for name in ('m', 'trained', 'replayed'))
        assert graph.dtype == np.uint8 and 40 < len(graph) < 80, 'each observation once'
        assert all(np.array_equal(graph, other) for other in others)


def memory_images(model: Path) -> np.ndarray:
    """Returns the images in the memory of a model's last save, (N, 64, 64, 3)."""
    newest = max((model / 'generations').glob('*/memory.safetensors'))
    return load_file(newest)['data.camera']


@pytest.mark.slow
def test_the_status_shows_what_a_memory_of_images_holds_within_its_limit(tmp_path: Path) -> None:
    image, limit = 64 * 64 * 3, 400_000
    choice = ('--brain', 'two_senses', '--robot', 'gym:CartPole-v1', '--set', f'memory.max_bytes={limit}')
    with up(tmp_path, *choice) as process:
        until(lambda: taken_by_memory(status()) > limit - 2 * image, 'a full memory')
        found = status()
        size, taken = found['memory_size']['slow'], taken_by_memory(found)
        assert 0.6 * taken < size * image < taken <= limit, 'an observation held twice would take twice as much'
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0, (tmp_path / 'up.log').read_text()


def taken_by_memory(found: dict[str, Any]) -> int:
    return (found.get('memory_bytes') or {}).get('slow', 0)


def test_a_null_brain_sleeps_by_goal_is_cancelled_killed_and_resumed(tmp_path: Path) -> None:
    from cls_bringup.nodes.graph_client import connect
    from cls_cli.view import render, Screen

    with up(tmp_path, '--brain', 'null', '--set', 'cycle=100000') as process:
        until(lambda: status().get('total_steps'), 'steps')
        with connect() as client:
            done = client.sleep({'rest': 7}).wait(PATIENCE)
            assert (done.error_code, list(done.phases), list(done.steps)) == (0, ['rest'], [7]) and not done.judged
            assert client.sleep({'dream': 7}).wait(PATIENCE).error_code == done.BAD_GOAL
            asleep = threading.Event()
            goal = client.sleep({'rest': 10**9}, lambda _: asleep.set())
            assert asleep.wait(PATIENCE)
            until(lambda: client.statuses().phase == 'rest', 'the phase in the status')
            goal.cancel()
            assert goal.wait(PATIENCE).error_code == done.CANCELLED
            console = Console(record=True, width=120, file=open(os.devnull, 'w'))  # noqa: SIM115
            console.print(render(Screen(robot='sim', elapsed=1.0, statuses=client.statuses())))
            assert 'counted' in console.export_text()
        before = status()
        assert (before['brain'], before['cycles']) == ('null', 1)
        for name in ('fast_learner', 'slow_learner'):
            pattern = f'__node:={name}'
            pids = subprocess.run(['pgrep', '-P', str(process.pid), '-f', pattern], capture_output=True, text=True)
            os.kill(int(pids.stdout.split()[0]), signal.SIGKILL)
        until(lambda: status().get('total_steps', 0) > before['total_steps'] + 30, 'steps after the kill')
        assert status()['cycles'] == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0, (tmp_path / 'up.log').read_text()
    (saved,) = list_models(tmp_path)
    run('train', '--model', 'm', '--models-dir', tmp_path, '--steps', '5')
    (resumed,) = list_models(tmp_path)
    assert resumed.total_steps == saved.total_steps + 5 and resumed.cycles == 1


def test_the_reference_of_fault_trials_is_a_run_of_any_brain(tmp_path: Path) -> None:
    from cls_bench.faults.reference import ReferenceRun
    from cls_bench.faults.subject import Subject

    subject = Subject(folder=tmp_path, seed=1, brain='two_senses', robot='gym:CartPole-v1')
    with ReferenceRun(subject) as reference:
        before, after = reference.get(25, 0), reference.get(25, 1)
        assert before and after and before != after, 'a sleep changes the weights'
        assert reference.get(26, 0) is None, 'a sleep comes before that step'
        boundaries = [step for step in range(1, 101) if reference.has_boundary(step)]
    assert boundaries[0] == 1 and 2 <= len(boundaries) < 20, 'episodes of CartPole'
    assert not (tmp_path / 'reference' / 'encoder').exists()


def test_fault_trials_refuse_a_brain_that_never_sleeps_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(['faults', '--brain', 'null', '--set', 'cycle=0']) == 2
    error = capsys.readouterr().err
    assert 'sleeps by itself' in error and error.count('\n') == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(('brain', 'robot'), [('null', 'sim'), ('two_senses', 'gym:CartPole-v1')])
def test_fault_trials_of_a_null_brain_lose_nothing(brain: str, robot: str, tmp_path: Path) -> None:
    report = tmp_path / 'faults.json'
    run('faults', '--brain', brain, '--robot', robot, '--trials', '4', '--report', report)
    counts = json.loads(report.read_text())['summary']
    assert (counts['failed'], counts['weights_equal']) == (0, 4)

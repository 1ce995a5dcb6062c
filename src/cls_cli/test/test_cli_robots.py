"""Environments of other packages at the command line: modules are found, mistakes are one line and status 2."""

import json
import os
from pathlib import Path
import subprocess
import sys

import pytest

from cls_bringup.graph import describe, GraphOptions
from cls_cli.entry import main
from cls_cli.set_options import checked
from cls_common.errors import UserError
from cls_learning.model_store.listing import list_models, read_config

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENTS = ROOT / 'src' / 'cls_sim' / 'test'
SMALL = ('--set', 'network.slow_hidden=16', '--set', 'network.fast_hidden=16')


@pytest.fixture(autouse=True)
def aside(tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own, with the environments' folder on the user's path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ENVIRONMENTS))


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(args) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_setup_keeps_the_paths_of_the_caller(tmp_path: Path) -> None:
    own = {'HOME': str(tmp_path), 'PATH': '/usr/bin:/bin:/mine', 'PYTHONPATH': f'{ENVIRONMENTS}:/mine'}
    own |= {name: os.environ[name] for name in ('ROS_DISTRO',) if name in os.environ}
    show = 'import json, os; print(json.dumps([os.environ[n] for n in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")]))'
    command = [ROOT / 'cls', 'exec', 'python', '-c', show]
    done = subprocess.run(command, env=own | {'LD_LIBRARY_PATH': '/mine'}, capture_output=True, text=True, check=True)
    paths = [text.split(':') for text in json.loads(done.stdout)]
    assert all(path[-1] == '/mine' and str(ROOT) in path[0] for path in paths)
    learn = ['train', '--robot', 'gym:little_envs:Blind-v0', '--encoder', 'identity', '--steps', '3', *SMALL]
    subprocess.run([ROOT / 'cls', 'exec', ROOT / 'cls', *learn], env=own, cwd=tmp_path, check=True)
    (model,) = list_models(tmp_path / 'models')
    assert (model.robot, model.total_steps) == ('gym:little_envs:Blind-v0', 3)


@pytest.mark.parametrize('command', ['up', 'run', 'train'])
@pytest.mark.parametrize(
    'robot, found',
    [
        ('gym:no_such_envs:Plain-v0', "a Python module 'no_such_envs'"),
        ('gym:little_envs:Nope-v0', 'unknown robot'),
        ('gym:little_envs:FailsInMaking-v0', 'maze.json'),
        ('gym:little_envs:NotAnEnvironment-v0', 'gymnasium.Env'),
    ],
)
def test_a_robot_that_can_not_be_made_is_refused_before_any_process_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, runtime: Path, command: str, robot: str, found: str
) -> None:
    line = refused(capsys, command, '--robot', robot)
    assert found in line and robot in line
    assert not list(tmp_path.iterdir()) and not list(runtime.glob('cls/run-*'))


@pytest.mark.parametrize('command', ['up', 'train'])
def test_a_robot_without_pictures_needs_an_encoder_of_its_state(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    line = refused(capsys, command, '--robot', 'gym:little_envs:Blind-v0')
    assert "'gym:little_envs:Blind-v0', which senses state" in line and 'Choose --encoder identity.' in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('command', ['up', 'train'])
@pytest.mark.parametrize(
    'chosen, found',
    [
        (('--brain', 'spiking', '--robot', 'sim'), "brain 'spiking'; expected a robot that "),
        (('--mode', 'greedy'), "mode of brain 'cls'; expected random or curiosity; found 'greedy'"),
    ],
)
def test_a_brain_that_does_not_fit_robot_or_mode_is_refused_before_any_process_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, chosen: tuple[str, ...], found: str
) -> None:
    assert found in refused(capsys, command, *chosen)
    assert not list(tmp_path.iterdir())


def test_up_refuses_the_model_of_another_robot(capsys: pytest.CaptureFixture[str]) -> None:
    learn = ('train', '--encoder', 'identity', '--steps', '2', *SMALL)
    assert main((*learn, '--robot', 'gym:little_envs:Blind-v0')) == 0
    capsys.readouterr()
    for robot in ('gym:little_envs:OldForms-v0', 'square'):
        line = refused(capsys, 'up', '--robot', robot)
        assert f"expected 'gym:little_envs:Blind-v0'; found '{robot}'" in line and '--accept-robot' in line
    assert 'Choose another model name' in refused(capsys, 'up', '--robot', 'gym:CartPole-v1', '--accept-robot')
    assert main((*learn, '--robot', 'gym:little_envs:OldForms-v0', '--accept-robot')) == 0
    assert read_config(Path('models', 'default'))['accepted_robots'] == ['gym:little_envs:OldForms-v0']


@pytest.mark.timeout(300)
def test_an_environment_that_fails_in_the_graph_ends_it_with_its_own_line(tmp_path: Path) -> None:
    """The simulator is another process: the module is found there too, and nothing is left of the model."""
    command = [sys.executable, '-m', 'cls_cli', 'up', '--robot', 'gym:little_envs:FailsInStep-v0', '--no-view']
    command += ['--encoder', 'identity', '--lock-step', *SMALL]
    paths = f'{os.environ["PYTHONPATH"]}:{ENVIRONMENTS}'
    done = subprocess.run(
        command, env={**os.environ, 'PYTHONPATH': paths}, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 2, done.stdout + done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert "simulator: robot 'gym:little_envs:FailsInStep-v0': step() of its environment failed" in line
    assert 'little_envs.py' in line and 'Traceback' not in done.stderr
    assert not (tmp_path / 'models').exists()


@pytest.mark.parametrize(
    'text, said',
    [
        ('sim.noise_sigma=3', 'sim.noise_sigma=3.0'),
        ('sim.faults.late = 0.5', 'sim.faults.late=0.5'),
        ('fast.ring=7', 'fast.ring=7'),
        ('policy.action=123', 'policy.action="123"'),
        ('sim.panorama=', 'sim.panorama=""'),
        ('encoder.weights=random', 'encoder.weights="random"'),
        ('encoder.backend=torch-bf16', 'encoder.backend="torch-bf16"'),
    ],
)
def test_settings_are_read_in_their_own_type(text: str, said: str) -> None:
    assert checked([text]) == (said,)


def test_a_path_among_the_settings_is_found_from_everywhere() -> None:
    assert checked(['encoder.weights=a.pth']) == (f'encoder.weights="{Path("a.pth").absolute()}"',)
    assert checked(['sim.panorama=a.jpg']) == (f'sim.panorama="{Path("a.jpg").absolute()}"',)


@pytest.mark.parametrize(
    'text, said',
    [
        ('sim.noise', 'NAME=VALUE'),
        ('sim.noises=3', "unknown setting 'sim.noises'; expected one of sim."),
        ('sim.noises=3', 'sim.noise_sigma'),
        ('fast.speed=3', 'fast.ring'),
        ('fast.speed=3', 'sim.NAME'),
        ('sim.noise_sigma=31', '0.0 to 30.0'),
        ('sim.noise_sigma=loud', 'a number'),
        ('sim.lock_step=true', '--lock-step'),
        ('encoder.name=retina', '--encoder'),
        ('encoder.backend=abacus', 'one of torch, torch-bf16'),
    ],
)
def test_an_unknown_setting_is_refused_with_the_known_ones(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        checked([text])
    assert said in str(caught.value)


def test_settings_reach_the_simulation(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = GraphOptions(settings=checked(['sim.noise_sigma=3', 'sim.faults.late=0.5', 'fast.ring=7']), scene=2)
    parameters = {process.name: process.parameters for process in describe(options)}
    assert parameters['simulator'] == {'robot': 'sim', 'scene': 2, 'noise_sigma': 3.0, 'faults.late': 0.5}
    assert parameters['slow_learner']['fast.ring'] == 7
    learn = ('train', '--robot', 'square', '--seed', '1', '--steps', '3', *SMALL)
    hashes = set()
    for model, chosen in (('a', ()), ('b', ('--set', 'sim.start_pan=30')), ('c', ('--set', 'sim.start_pan=0'))):
        assert main((*learn, '--model', model, *chosen)) == 0
        hashes.add(capsys.readouterr().out.split()[-1])
    assert len(hashes) == 2


def test_only_a_simulated_robot_has_settings_of_the_simulation(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ('up', 'run'):
        line = refused(capsys, command, '--robot', 'pan_tilt', '--set', 'sim.noise_sigma=3')
        assert 'expected a simulated robot; found pan_tilt' in line
    for setting in ('fast.ring=3', 'encoder.weights=random'):
        assert 'nothing is learned' in refused(capsys, 'run', '--set', setting)

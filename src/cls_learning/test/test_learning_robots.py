"""Models and robots: another robot is refused unless it is accepted, and a run without a step leaves no files."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import Any

import gymnasium
import pytest

from cls_common.errors import UserError
from cls_common.robot import Channel, difference, Kind, RobotInfo
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.model_store.folder import ModelFolder
from cls_learning.model_store.listing import list_models, read_config, weights_hash
from cls_learning.model_store.ownership import check_free
from cls_training.training import train, TrainOptions

ENVIRONMENTS = Path(__file__).resolve().parents[2] / 'cls_sim' / 'test'
SMALL = {'network.slow_hidden': 16, 'network.fast_hidden': 16}
NO_LOCKS = """
#include <errno.h>
int flock(int descriptor, int operation) {
  static int calls = 0;
  (void)descriptor; (void)operation;
  errno = calls++ % 2 ? EOPNOTSUPP : ENOLCK;
  return -1;
}
"""


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known = dict(gymnasium.registry)
    monkeypatch.syspath_prepend(str(ENVIRONMENTS))
    yield
    gymnasium.registry.clear()
    gymnasium.registry.update(known)
    sys.modules.pop('little_envs', None)


def options(folder: Path, environment: str, **changes: Any) -> TrainOptions:
    values = {
        'robot': f'gym:little_envs:{environment}',
        'model': 'm',
        'models_dir': folder / 'models',
        'steps': 5,
        'seed': 5,
        'encoder': 'identity',
        'overrides': SMALL,
    } | changes
    return TrainOptions(**values)


def refusal(work: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as caught:
        work()
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_a_model_continues_with_another_robot_only_when_that_is_accepted(tmp_path: Path) -> None:
    train(options(tmp_path, 'Blind-v0'))
    folder = tmp_path / 'models' / 'm'
    before, learned = (folder / 'config.json').read_bytes(), weights_hash(folder)
    line = refusal(lambda: train(options(tmp_path, 'OldForms-v0')))
    assert "expected 'gym:little_envs:Blind-v0'; found 'gym:little_envs:OldForms-v0'" in line
    assert '--accept-robot' in line
    assert ((folder / 'config.json').read_bytes(), weights_hash(folder)) == (before, learned)
    train(options(tmp_path, 'OldForms-v0', accept_robot=True))
    assert read_config(folder)['accepted_robots'] == ['gym:little_envs:OldForms-v0']
    for robot in ('Blind-v0', 'OldForms-v0'):  # accepted once
        train(options(tmp_path, robot))
    assert list_models(tmp_path / 'models')[0].total_steps == 20
    assert 'Choose another model name' in refusal(
        lambda: train(options(tmp_path, '', robot='gym:CartPole-v1', accept_robot=True))
    )
    assert read_config(folder)['accepted_robots'] == ['gym:little_envs:OldForms-v0']


def test_accepting_a_robot_does_not_change_the_hash_of_the_recipe(tools: Any) -> None:
    config = tools.config()
    text = json.loads(config.to_json())
    assert 'accepted_robots' not in text  # as in every config.json before
    accepted = ModelConfig.from_json(json.dumps({**text, 'accepted_robots': ['twin']}), 'here')
    assert accepted.accepted_robots == ('twin',) and accepted.sha256 == config.sha256
    assert ModelConfig.from_json(accepted.to_json(), 'here') == accepted


def test_robots_differ_by_actions_joints_senses_and_name_in_that_order() -> None:
    turn, lift = Channel('turn', Kind.RELATIVE, 'deg', -10.0, 10.0), Channel('lift', Kind.RELATIVE, 'deg', -0.1, 0.1)

    def robot(name: str = 'a', senses: tuple[str, ...] = ('camera',), *channels: Channel) -> RobotInfo:
        return RobotInfo(name, senses, channels or (turn, lift))

    travelled = Channel('lift', Kind.RELATIVE, 'deg', -0.10000000149, 0.10000000149)
    assert difference(robot(), robot('a', ('camera',), turn, travelled)) is None  # float32, as in messages
    assert difference(robot(), robot('b')).aspect == 'name'
    assert difference(robot(), robot('b', ('state',))).aspect == 'senses'
    assert difference(robot(), robot('b'), ('actions', 'joints')) is None
    other = difference(robot(), robot('b', ('state',), turn, Channel('lift', Kind.ABSOLUTE, 'deg', -0.1, 0.1)))
    assert (other.aspect, other.found) == ('actions', 'lift (absolute) -0.1 to 0.1 deg')
    many = robot('a', ('camera',), *[Channel(f'j{i}', Kind.VELOCITY, '', -1, 1) for i in range(30)])
    assert difference(robot(), many).found.endswith('and 27 more')


@pytest.mark.parametrize(
    'robot, changes, found',
    [
        ('Blind-v0', {'encoder': ''}, 'Choose --encoder identity.'),
        ('Nope-v0', {}, 'unknown robot'),
        ('FailsInMaking-v0', {}, 'maze.json'),
        ('FailsInReset-v0', {}, 'the map of the maze'),
        ('FailsInStep-v0', {}, 'little_envs.py'),
        ('Exits-v0', {}, 'SystemExit'),
        ('Blind-v0', {'preset': 'best'}, 'unknown preset'),
        ('Blind-v0', {'overrides': {'policy.kind': 'psychic'}}, 'psychic'),
    ],
)
def test_a_run_without_a_step_leaves_no_files(tmp_path: Path, robot: str, changes: dict[str, Any], found: str) -> None:
    assert found in refusal(lambda: train(options(tmp_path, robot, **changes)))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / 'models' / 'm').mkdir(parents=True)
    (tmp_path / 'models' / 'm' / 'notes.txt').write_text('mine')
    refusal(lambda: train(options(tmp_path, robot, **changes)))
    assert (tmp_path / 'models' / 'm' / 'notes.txt').read_text() == 'mine'
    assert list_models(tmp_path / 'models') == []


def test_steps_before_a_failure_of_the_environment_are_kept(tmp_path: Path) -> None:
    import little_envs

    class FailsLater(little_envs.Blind):
        def step(self, action: Any) -> Any:
            if self.steps == 3:
                raise RuntimeError('the battery is flat')
            return super().step(action)

    gymnasium.register('FailsLater-v0', FailsLater)
    assert 'the battery is flat' in refusal(lambda: train(options(tmp_path, 'FailsLater-v0')))
    with closing(ModelFolder(tmp_path / 'models', 'm')) as folder:
        assert [entry.sequence for entry in folder.entries_since(0)] == [1, 2, 3]


def test_an_untrained_model_that_was_created_on_purpose_is_kept(tmp_path: Path, tools: Any) -> None:
    folder = ModelFolder(tmp_path, 'm')
    folder.create(tools.config(), b'weights')
    folder.close()
    assert (tmp_path / 'm' / 'config.json').exists()
    ModelFolder(tmp_path, 'm').close(keep_unlearned=False)  # not made by this owner
    assert (tmp_path / 'm' / 'config.json').exists()


def test_an_encoder_of_a_sense_that_the_robot_lacks_is_refused(tmp_path: Path, tools: Any) -> None:
    folder = ModelFolder(tmp_path, 'm')
    encoder = {'name': 'early_resnet18', 'id': 'e', 'size': tools.Z_SIZE, 'version': 1}
    config = tools.config(robot=tools.pan_tilt(modalities=('state',)), encoder=encoder)
    assert '--encoder identity' in refusal(lambda: folder.create(config, b'weights'))
    folder.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_one_line_of_error(tmp_path: Path) -> None:
    """A preloaded library makes flock fail as such a file system does, with one of two errors in turn."""
    source, library = tmp_path / 'no_locks.c', tmp_path / 'no_locks.so'
    source.write_text(NO_LOCKS)
    subprocess.run(['cc', '-shared', '-fPIC', '-o', library, source], check=True)
    train = f"main(['train', '--steps', '5', '--models-dir', {str(tmp_path / 'models')!r}])"
    program = f'from cls_cli.entry import main\nprint([{train}, {train}])'
    environment = {**os.environ, 'LD_PRELOAD': str(library)}
    done = subprocess.run(
        [sys.executable, '-c', program], env=environment, capture_output=True, text=True, timeout=100, check=True
    )
    lines = done.stderr.strip().splitlines()
    assert done.stdout.splitlines()[-1] == '[2, 2]' and len(lines) == 2
    assert all('can not be locked' in line and 'a disk of this machine' in line for line in lines)
    assert not (tmp_path / 'models').exists()


@pytest.fixture
def public() -> Iterator[Path]:
    """Makes a folder that every user may enter and change."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@contextmanager
def as_another_user(path: Path) -> Iterator[None]:
    """Makes a file unreadable for this process; root becomes another user meanwhile."""
    path.chmod(0o600 if os.getuid() == 0 else 0)
    if os.getuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        path.chmod(0o600)


def make_public_model(models: Path, tools: Any) -> Path:
    folder = ModelFolder(models, 'm')
    folder.create(tools.config(), b'weights')
    folder.log.flush()  # the file is made with its first use
    folder.close()
    for path in (folder.path, *folder.path.rglob('*')):
        path.chmod(0o777 if path.is_dir() else 0o666)
    return folder.path


@pytest.mark.parametrize('name', ['lock', 'config.json', 'owner.json', 'training.log', 'encoder/config.json'])
def test_a_model_of_another_user_is_one_line_of_error(public: Path, tools: Any, name: str) -> None:
    path = make_public_model(public, tools) / name
    with as_another_user(path):
        line = refusal(lambda: ModelFolder(public, 'm'))
        assert refusal(lambda: check_free(public / 'm')) == line  # also before any process is started
    assert str(path) in line and "model 'm'" in line


def test_models_of_another_user_are_listed_with_their_problem(public: Path, tools: Any) -> None:
    with as_another_user(make_public_model(public, tools) / 'config.json'):
        (model,) = list_models(public)
    assert 'Permission denied' in model.problem

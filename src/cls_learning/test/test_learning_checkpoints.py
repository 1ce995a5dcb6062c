"""The model folder: whole generations or none, one owner, nothing foreign, one older generation as a reserve."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
import csv
import dataclasses
from datetime import datetime
import json
import os
from pathlib import Path
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save
import torch

from cls_common.errors import UserError
from cls_common.robot import Channel, Kind
from cls_common.transition import Experience
from cls_learning import state_bytes
from cls_learning.brain import ONLINE
from cls_learning.brains.cls.consolidator import CONSOLIDATOR, MEMORY
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.model_store.files import sha256_file
from cls_learning.model_store.folder import ModelFolder
from cls_learning.model_store.hashing import weights_sha256
from cls_learning.model_store.listing import list_models, weights_hash
from cls_learning.model_store.training_log import TrainingLog
from cls_learning.runtime.config_resolution import check_against
from cls_learning.runtime.learner_session import LearnerSession

NOW = datetime(2025, 1, 2, 3, 4, 5)
PARTS = (ONLINE, CONSOLIDATOR, MEMORY)


def parts_of(number: int, size: int = 30_000) -> dict[str, bytes]:
    """Makes three parts of which every number names the save that they belong to."""
    return {name: save({'fast.raw.x': np.full(size, number, np.float32)}) for name in PARTS}


def number_of(parts: dict[str, bytes]) -> int:
    found = {float(value) for data in parts.values() for value in np.unique(load(data)['fast.raw.x'])}
    assert len(found) == 1, 'parts of different saves'
    return int(found.pop())


@pytest.fixture
def trained(open_run: Callable[..., Any]) -> Any:
    """A model of two generations, with ten steps since the last one."""
    return open_run().train(70)


@dataclasses.dataclass(frozen=True)
class Saved:
    """Such a model, closed, of which every test may have a copy.

    Attributes:
        hash: of its weights after its last step.
    """

    path: Path
    hash: str


@pytest.fixture(scope='module')
def saved(tmp_path_factory: pytest.TempPathFactory, tools: SimpleNamespace) -> Saved:
    models = tmp_path_factory.mktemp('models')
    folder = ModelFolder(models, 'm')
    folder.create(tools.config(), b'weights of the encoder')
    run = tools.TrainingRun(folder, tools.PanTiltWorld()).train(70)
    folder.close()
    return Saved(models / 'm', run.hash())


@pytest.fixture
def path(saved: Saved, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved.path, tmp_path / 'm'))


# --- Whole or not at all


def save_until_killed(models: Path, config: ModelConfig, experience: Experience, pipe: int) -> None:
    """Writes experiences and saves in a loop; writes the sequence of each to a pipe after it is in the journal."""
    folder = ModelFolder(models, 'm')
    if folder.config is None:
        folder.create(config)
    found = folder.load()
    start = 0 if found is None else found[0].number
    sequence = max([0 if found is None else found[0].sequence, *(e.sequence for e in folder.entries_since(start))])
    while True:
        sequence += 1
        folder.write_down(dataclasses.replace(experience, sequence=sequence))
        if sequence % 3 == 0:
            folder.save(parts_of(sequence), run_id='r', sequence=sequence, cycles=0, now=NOW)
        os.write(pipe, sequence.to_bytes(4, 'little'))


def test_a_folder_opens_after_sigkill_at_any_moment(tmp_path: Path, tools: SimpleNamespace) -> None:
    """20 SIGKILLs into a loop of saves: what was reported as written is there, and the parts belong together."""
    experience = tools.online_learner().learn(next(tools.PanTiltWorld().walk(1)))
    moments = random.Random(1)
    for trial in range(20):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                save_until_killed(tmp_path, tools.config(), experience, writing)
            finally:
                os._exit(1)
        os.close(writing)
        with open(reading, 'rb') as pipe:
            first = pipe.read(4)
            assert first, 'the child died by itself'
            time.sleep(moments.uniform(0.0, 0.06))  # the moment is what is tried out
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            promised = int.from_bytes((first + pipe.read())[-4:], 'little')
        folder = ModelFolder(tmp_path, 'm')  # a dead owner's lock holds nothing
        found = folder.load()
        begun = 0
        if found is not None:
            manifest, parts, problems = found
            assert problems == [] and manifest.sequence == number_of(parts), f'trial {trial}'
            begun = manifest.sequence
        journal = [e.sequence for e in folder.entries_since(0 if found is None else found[0].number)]
        rest = [s for s in journal if s > begun]
        assert rest == list(range(begun + 1, begun + 1 + len(rest)))
        assert begun + len(rest) >= promised, f'trial {trial}: {promised} was promised'
        folder.close()
    # A process killed between a save and its cleanup leaves old generations; the next save removes them.
    with closing(ModelFolder(tmp_path, 'm')) as folder:
        folder.save(parts_of(1), run_id='r', sequence=promised + 1, cycles=0, now=NOW)
    assert len(list((tmp_path / 'm' / 'generations').glob('[0-9]*'))) == 2


def test_a_save_on_a_full_disk_leaves_everything_as_it_was(trained: Any, full_disk: Callable[..., Any]) -> None:
    before = (trained.folder.generation, trained.folder.load()[0])
    with full_disk(), pytest.raises(OSError):
        trained.save()
    assert (trained.folder.generation, trained.folder.load()[0]) == before
    assert trained.save() == 3
    assert not list((trained.folder.path / 'generations').glob('.*'))


@pytest.fixture
def full_disk() -> Callable[[], AbstractContextManager[None]]:
    """Gives a context in which no file of this process grows beyond 10 kB, as on a disk that becomes full."""

    @contextmanager
    def limited() -> Iterator[None]:
        handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)

    return limited


def test_two_generations_are_kept_and_the_journals_they_need(trained: Any) -> None:
    folder = trained.folder.path
    for number in (3, 4, 5):
        assert trained.train(1) and trained.save() == number
        assert sorted(p.name for p in (folder / 'generations').iterdir()) == [f'{number - 1:06d}', f'{number:06d}']
    assert sorted(p.name for p in (folder / 'journal').iterdir()) == ['000003.journal', '000004.journal']
    trained.train(1)
    assert sorted(p.name for p in (folder / 'journal').iterdir()) == [f'00000{n}.journal' for n in (3, 4, 5)]


# --- Damage


def flip(file: Path, place: float = 0.5) -> None:
    data = bytearray(file.read_bytes())
    data[int(place * (len(data) - 1))] ^= 0x20
    file.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], Any]] = {
    'online learner changed': lambda g: flip(g / 'online.safetensors'),
    'consolidator changed': lambda g: flip(g / 'consolidator.safetensors', 1.0),
    'memory changed': lambda g: flip(g / 'memory.safetensors', 0.0),
    'a part cut off': lambda g: os.truncate(g / 'memory.safetensors', 1000),
    'a part gone': lambda g: (g / 'consolidator.safetensors').unlink(),
    'no manifest': lambda g: (g / 'manifest.json').unlink(),
    'empty manifest': lambda g: (g / 'manifest.json').write_bytes(b''),
    'half a manifest': lambda g: os.truncate(g / 'manifest.json', 100),
    'manifest of bytes that are no text': lambda g: (g / 'manifest.json').write_bytes(b'{"schema": 1, "x": "\xff"}'),
    'manifest of another shape': lambda g: (g / 'manifest.json').write_bytes(b'[1, 2]'),
    'schema that is no number': lambda g: (g / 'manifest.json').write_bytes(b'{"schema": "one"}'),
    'manifest of another generation': lambda g: edit(g / 'manifest.json', number=1),
    'files that are none': lambda g: edit(g / 'manifest.json', files='none'),
}


def edit(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_damaged_generation_is_learned_again_from_the_one_before(
    damage: str, saved: Saved, path: Path, open_run: Callable[..., Any]
) -> None:
    """The generation before and two journals, with a sleep between them, give the same weights."""
    DAMAGES[damage](path / 'generations' / '000002')
    again = open_run()
    assert len(again.session.problems) == 1 and '000002' in again.session.problems[0]
    assert again.hash() == saved.hash
    assert (again.session.cycles, again.learner.total_steps) == (2, 70)


def test_after_damage_the_whole_generation_is_kept_as_reserve(path: Path, open_run: Callable[..., Any]) -> None:
    """Not the damaged one, so that after a second damage there is a generation to go back to as well."""
    flip(path / 'generations' / '000002' / 'online.safetensors')
    again = open_run()
    assert again.save() == 3
    again.train(5).folder.close()
    assert sorted(p.name for p in (path / 'generations').iterdir()) == ['000001', '000003']
    flip(path / 'generations' / '000003' / 'online.safetensors')
    third = open_run()
    assert third.hash() == again.hash() and third.learner.total_steps == 75


def test_without_a_whole_generation_opening_is_refused(path: Path, open_run: Callable[..., Any]) -> None:
    for number in (1, 2):
        flip(path / 'generations' / f'{number:06d}' / 'memory.safetensors')
    with pytest.raises(UserError, match=r'one whole generation.*Restore'):
        open_run()


def test_a_newer_generation_is_refused_and_not_skipped(path: Path, open_run: Callable[..., Any]) -> None:
    edit(path / 'generations' / '000002' / 'manifest.json', schema=3)
    with pytest.raises(UserError, match=r'schema 2 or older; found schema 3\. .*newer version'):
        open_run()


def put(generation: Path, name: str, data: bytes) -> None:
    """Replaces a file, and its checksum in the manifest."""
    (generation / name).write_bytes(data)
    files = json.loads((generation / 'manifest.json').read_text())['files']
    edit(generation / 'manifest.json', files={**files, name: sha256_file(generation / name)})


@pytest.mark.parametrize('name', PARTS)
@pytest.mark.parametrize('content', [pickle.dumps({'weights': [1.0]}), b'PK\x03\x04' + bytes(100), b'', bytes(8)])
def test_pickles_and_other_files_are_refused(
    name: str, content: bytes, path: Path, open_run: Callable[..., Any]
) -> None:
    """Even where the checksum in the manifest is theirs; reading a pickle could run code."""
    put(path / 'generations' / '000002', f'{name}.safetensors', content)
    with pytest.raises(UserError, match='safetensors data'):
        open_run()


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize(
    'name, tensor',
    [
        ('online.safetensors', 'fast.raw.layers.0.weight'),
        ('consolidator.safetensors', 'slow.acting.output.bias'),
        ('memory.safetensors', 'memory.z_next'),
    ],
)
def test_weights_that_are_not_finite_are_refused(
    name: str, tensor: str, value: float, path: Path, open_run: Callable[..., Any]
) -> None:
    generation = path / 'generations' / '000002'
    state = load((generation / name).read_bytes())
    state[tensor].flat[3] = value
    put(generation, name, save(state))
    with pytest.raises(UserError, match=rf"finite numbers only; found NaN or infinity in '{tensor}'"):
        open_run()


@pytest.mark.parametrize('is_there', [True, False])
@pytest.mark.parametrize(
    'part, what, tensor',
    [
        (ONLINE, 'online learner', 'fast.raw.layers.0.bias'),
        (CONSOLIDATOR, 'consolidator', 'slow.raw.layers.0.bias'),
        (MEMORY, 'consolidator', 'memory.z_next'),
    ],
)
def test_weights_of_another_shape_are_refused(
    part: str, what: str, tensor: str, is_there: bool, path: Path, open_run: Callable[..., Any]
) -> None:
    generation, name = path / 'generations' / '000002', f'{part}.safetensors'
    state = load((generation / name).read_bytes())
    del state[tensor]
    put(generation, name, save(state | ({tensor: np.zeros(3, np.float32)} if is_there else {})))
    with pytest.raises(UserError, match=rf"state of the {what}; expected weights of this model's config\.json"):
        open_run()


def test_the_tensor_that_does_not_fit_is_named_in_one_line() -> None:
    with pytest.raises(UserError) as refused, state_bytes.refusing('a state'):
        torch.nn.Linear(2, 3).load_state_dict({'weight': torch.zeros(3, 2)})
    assert 'Missing key(s) in state_dict: "bias"' in str(refused.value) and '\n' not in str(refused.value)


# --- One owner


def test_in_use_it_is_refused_naming_the_owner(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"'m'; expected no other user of it; found .*process {os.getpid()} on "):
        ModelFolder(tmp_path, 'm')
    trained.folder.close()
    ModelFolder(tmp_path, 'm').close()


def test_a_folder_that_can_not_be_opened_is_not_kept_locked(path: Path, tmp_path: Path) -> None:
    config = (path / 'config.json').read_bytes()
    (path / 'config.json').write_bytes(b'{')
    with pytest.raises(UserError, match=r'a whole config\.json'):
        ModelFolder(tmp_path, 'm')
    (path / 'config.json').write_bytes(config)
    ModelFolder(tmp_path, 'm').close()


@pytest.mark.parametrize('name', ['', '.', '..', '../m', 'a/b', '.hidden', 'a b', 'ü', 'a\n'])
def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match='model name'):
        ModelFolder(tmp_path / 'models', name)
    assert not list(tmp_path.iterdir())


# --- config.json


def test_config_is_written_once(tools: SimpleNamespace, path: Path, open_run: Callable[..., Any]) -> None:
    before = ((path / 'config.json').read_bytes(), (path / 'config.json').stat().st_mtime_ns)
    again = open_run().train(31)
    with pytest.raises(UserError, match='existing model'):
        again.folder.create(again.session.config, b'')
    assert ((path / 'config.json').read_bytes(), (path / 'config.json').stat().st_mtime_ns) == before
    assert again.session.config == tools.config()
    assert (path / 'encoder' / 'weights.safetensors').read_bytes() == b'weights of the encoder'


@pytest.mark.parametrize(
    'text',
    [
        '',
        '[]',
        '{}',
        '{"schema": 1}',
        '{"schema": null}',
        '{"schema": 1, "robot": null}',
        '\ufffd',
        '{"schema": 1, "robot": []}',
    ],
)
def test_texts_that_are_no_config_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r'a whole config\.json'):
        ModelConfig.from_json(text, 'here')


def test_invalid_values_in_a_config_are_refused(tools: SimpleNamespace) -> None:
    good = json.loads(tools.config().to_json())
    assert ModelConfig.from_json(json.dumps(good), 'here') == tools.config()
    for change in (
        {'seed': 'x'},
        {'encoder': 3},
        {'encoder': {'id': 'a'}},
        {'values': 3},
        {'values': {'fast.speed': 1}},
        {'robot': {**good['robot'], 'arms': 2}},
    ):
        with pytest.raises(UserError):
            ModelConfig.from_json(json.dumps({**good, **change}), 'here')
    with pytest.raises(UserError, match='schema 1 or older; found schema 2'):
        ModelConfig.from_json(json.dumps({**good, 'schema': 2}), 'here')


def test_another_encoder_robot_or_recipe_is_refused(tools: SimpleNamespace) -> None:
    config = tools.config()
    config.check_encoder('test-1')
    with pytest.raises(UserError, match='expected test-1, with which this model was made; found test-2'):
        config.check_encoder('test-2')
    config.check_robot(tools.pan_tilt(settle_time=0.1, modalities=('camera', 'state')))
    with pytest.raises(UserError, match=r"expected 'pan_tilt'; found 'twin'.*--accept-robot"):
        config.check_robot(tools.pan_tilt(name='twin'))
    dataclasses.replace(config, accepted_robots=('twin',)).check_robot(tools.pan_tilt(name='twin'))
    channels = tools.pan_tilt().channels
    for other in (
        tools.pan_tilt(channels=channels[::-1]),
        tools.pan_tilt(channels=(channels[0], Channel('tilt', Kind.RELATIVE, 'deg', -5.0, 5.0))),
        tools.pan_tilt(joint_names=('tilt', 'pan')),
    ):
        with pytest.raises(UserError, match='another robot'):
            config.check_robot(other)
    check_against(config.settings, {'fast.ring': 20, 'fast.learning_rate': 3e-4}, 'm')
    with pytest.raises(UserError, match=r"'fast.ring' for the existing model 'm'; expected 20.*found 21"):
        check_against(config.settings, {'fast.ring': 21}, 'm')


@pytest.mark.parametrize('change', [{'network.fast_hidden': 25}, {'policy.kind': 'prediction_error'}])
def test_an_online_learner_of_another_recipe_is_refused(tools: SimpleNamespace, change: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"weights of this model's config.json"):
        tools.online_learner(tools.recipe(change)).load_bytes(tools.online_learner().to_bytes())


def test_a_memory_of_another_kind_is_refused(tools: SimpleNamespace, path: Path, open_run: Callable[..., Any]) -> None:
    other = open_run('other', settings=tools.recipe({'memory.kind': 'fifo'})).train(20).session.consolidator
    put(path / 'generations' / '000002', 'memory.safetensors', state_bytes.pack(other.state()[MEMORY]))
    with pytest.raises(UserError, match=r"state of the consolidator; expected weights of this model's config\.json"):
        open_run()


# --- Hash, list, log


def test_the_hash_is_of_weights_alone(trained: Any) -> None:
    session = trained.session
    states = {ONLINE: trained.learner.state(), **session.consolidator.state()}
    original = weights_sha256(
        {part: state_bytes.pack(state) for part, state in states.items()}, session.brain.is_weight
    )
    assert original == trained.hash() and len(original) == 64

    def hash_with(part: str, name: str) -> str:
        changed = {k: v.clone() for k, v in states[part].items()}
        changed[name].view(-1)[0] += 1
        parts = {name: state_bytes.pack(state) for name, state in (states | {part: changed}).items()}
        return weights_sha256(parts, session.brain.is_weight)

    for part, name in (
        (ONLINE, 'fast.raw.layers.0.weight'),
        (ONLINE, 'fast.acting.output.bias'),
        (ONLINE, 'policy.visits'),
        (ONLINE, 'normalizer.mean'),
        (CONSOLIDATOR, 'slow.raw.layers.0.weight'),
        (CONSOLIDATOR, 'slow.acting.drive.bias'),
    ):
        assert hash_with(part, name) != original, name
    for part, name in (
        (ONLINE, 'fast.optimizer.0.exp_avg'),
        (ONLINE, 'ring.recent.z_next'),
        (ONLINE, 'counters.cycles'),
        (CONSOLIDATOR, 'slow.wake_optimizer.0.step'),
        (CONSOLIDATOR, 'normalizer.mean'),
        (CONSOLIDATOR, 'counters.gaps'),
        (MEMORY, 'memory.z_next'),
    ):
        assert hash_with(part, name) == original, name


def test_models_are_listed_also_when_damaged(path: Path, tmp_path: Path, open_run: Callable[..., Any]) -> None:
    """The list opens nothing, so a model in use is listed too."""
    open_run('young')
    for name, content in (('torn', b'{"encoder"'), ('odd', b'[]'), ('bytes', b'\xff\xfe')):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'config.json').write_bytes(content)
    (tmp_path / 'no_model').mkdir()
    models = {model.name: model for model in list_models(tmp_path)}
    assert list(models) == ['bytes', 'm', 'odd', 'torn', 'young']
    trained, young = models['m'], models['young']
    assert (trained.total_steps, trained.cycles, trained.generation, trained.problem) == (70, 2, 2, '')
    assert (trained.encoder, trained.robot, trained.created_at) == ('test', 'pan_tilt', '2025-01-02T03:04:05')
    assert trained.size_bytes == sum(p.stat().st_size for p in path.rglob('*') if p.is_file())
    assert (young.total_steps, young.generation, young.problem) == (0, 0, '')
    assert all(models[name].problem for name in ('torn', 'odd', 'bytes'))
    assert len(weights_hash(path)) == 64 and weights_hash(tmp_path / 'young') == ''


def test_a_model_that_was_never_saved_is_listed_with_the_steps_of_its_journal(
    tmp_path: Path, open_run: Callable[..., Any]
) -> None:
    run = open_run('young')
    run.train(7)
    run.folder.sync()
    (model,) = list_models(tmp_path)
    assert (model.total_steps, model.generation, model.problem) == (7, 0, '')


def test_listing_needs_no_torch() -> None:
    code = 'import sys, cls_learning.model_store.listing; sys.exit("torch" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], timeout=60, check=False).returncode == 0


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    with open(path, newline='', encoding='utf-8') as file:
        yield from csv.DictReader(file)


def test_training_log(path: Path, open_run: Callable[..., Any]) -> None:
    """The twelve columns of the original system and ours; a row for each step, sleep and save; rows are appended."""
    header = (path / 'training.log').read_text().splitlines()[0]
    assert header == (
        'timestamp,event,step,cycle,fast_loss,slow_distill,slow_raw,curiosity_reward,sws_L_dyn,rem_L_ms,tether_loss,'
        'replay_size,probes,skill_before,skill_after,fast_before,fast_after,change,change_low,change_high,forgetting,'
        'action_use,alarms'
    )
    rows = list(rows_of(path / 'training.log'))
    events = ['wake'] * 30 + ['sleep', 'save'] + ['wake'] * 30 + ['sleep', 'save'] + ['wake'] * 10
    assert [row['event'] for row in rows] == events
    assert [int(row['step']) for row in rows if row['event'] == 'wake'] == list(range(1, 71))
    wake, sleep, saved = rows[20], rows[30], rows[31]
    assert all(wake[name] for name in header.split(',')[:12] if name not in ('sws_L_dyn', 'rem_L_ms', 'tether_loss'))
    assert wake['timestamp'] == '2025-01-02 03:04:05' and wake['cycle'] == '0'
    assert all(float(sleep[name]) > 0 for name in ('sws_L_dyn', 'rem_L_ms', 'tether_loss')) and sleep['cycle'] == '1'
    assert sleep['fast_loss'] == '' and int(saved['replay_size']) == 30
    open_run().train(1).folder.close()
    assert len(list(rows_of(path / 'training.log'))) == len(rows) + 1


def test_a_torn_row_is_not_joined_to_the_next(tmp_path: Path) -> None:
    """A process that is killed may leave half a row."""
    log = TrainingLog(tmp_path / 'training.log', ('fast_loss',))
    log.row('wake', NOW, step=1, fast_loss=float('nan'))
    log.close()
    with open(tmp_path / 'training.log', 'ab') as file:
        file.write(b'2025-01-02 03:04:06,wa')
    log = TrainingLog(tmp_path / 'training.log', ('fast_loss',))
    log.row('wake', NOW, step=3, fast_loss=0.125)
    log.close()
    rows = list(rows_of(tmp_path / 'training.log'))
    assert [(row['event'], row['step'], row['fast_loss']) for row in (rows[0], rows[2])] == [
        ('wake', '1', ''),
        ('wake', '3', '0.125'),
    ]


def test_a_session_needs_a_created_model(tmp_path: Path) -> None:
    folder = ModelFolder(tmp_path, 'empty')
    assert folder.config is None and folder.load() is None and folder.generation == 0
    with pytest.raises(AssertionError):
        LearnerSession(folder)
    folder.close()

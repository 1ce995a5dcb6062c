"""What was recorded is lived again: the same weights as the life itself, however it was recorded and often stopped."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
import math
from pathlib import Path
import subprocess
from typing import Any

from hypothesis import given, settings, strategies
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
import torch

from cls_common import comms
from cls_common.errors import UserError
from cls_common.resources import config_dir
from cls_common.robot import RobotInfo
from cls_common.transition import Experience
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.model_store.folder import ModelFolder
from cls_learning.model_store.listing import weights_hash
from cls_learning.runtime.config_resolution import resolve
from cls_perception import encoders
from cls_perception.settings import EncoderSettings
from cls_recording.definitions import installed
from cls_recording.filters import ActionFilter
from cls_recording.session import SessionInfo
from cls_sim.robots import make as make_robot
from cls_sim.robots import Step
from cls_sim.settings import SimulatorSettings
from cls_training.early_stopping import EarlyStopping
from cls_training.replaying import replay, ReplayOptions, ReplaySummary
from cls_training.train_loop import Progress
from cls_training.training import Life, train, TrainOptions
from cls_training.transition_reader import Recording

STEPS, SEED = 40, 3
RECIPE = {
    'sleep.wake_steps_per_cycle': 15, 'sleep.sws_steps': 3, 'sleep.rem_steps': 3, 'sleep.tether_steps': 2,
    'sleep.batch_size': 8, 'network.fast_hidden': 16, 'network.slow_hidden': 32,
}  # fmt: skip
MAKE = {'seed': SEED, 'overrides': RECIPE}


class Diary(Life):
    """A life that writes down what a recorder would hear of it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.said: list[tuple[comms.Topic, Any]] = []
        close = self.living.wake_step

        def noted(*args: Any, **kwargs: Any) -> Experience:
            experience = close(*args, **kwargs)
            self.said.append((comms.EXPERIENCE, _experience_message(experience, self._encoder)))
            return experience

        self.living.wake_step = noted  # type: ignore[method-assign]

    def _embed(self, step: Step) -> np.ndarray:
        z = super()._embed(step)
        image, stamp = step.image, _stamp(step.stamp_ns)
        assert image is not None
        header = _make('std_msgs/msg/Header', stamp=stamp, frame_id='camera')
        self.said += [
            (comms.IMAGE, _make(
                comms.IMAGE.type, header=header, height=image.shape[0], width=image.shape[1], encoding='rgb8',
                is_bigendian=0, step=image.shape[1] * 3, data=image.reshape(-1),
            )),
            (comms.EMBEDDING, _make(
                comms.EMBEDDING.type, header=header, modality='camera', encoder_id=self._encoder.id,
                version=self._encoder.version, data=z,
            )),
        ]  # fmt: skip
        return z

    def _transition(self, z: Any, z_next: Any, now: Step, after: Step, boundary: bool) -> Any:  # type: ignore[override]
        answer = _make(
            comms.APPLIED_ACTION.type, source='fast_learner', sequence=self.living.done + 1,
            commanded=after.commanded, applied=after.applied, joints_before=after.joints_before,
            joints_after=after.joints, start=_stamp(after.start_ns), end=_stamp(after.end_ns), error_code=0,
            error_msg='', reward=float('nan'), terminal=False, truncated=False,
        )  # fmt: skip
        self.said.insert(-2, (comms.APPLIED_ACTION, answer))  # before its images
        return super()._transition(z, z_next, now, after, boundary)


def _make(type_name: str, /, **values: Any) -> Any:
    return installed().types[type_name](**values)


def _stamp(ns: int) -> Any:
    return _make('builtin_interfaces/msg/Time', sec=ns // 10**9, nanosec=ns % 10**9)


def _robot_message(robot: RobotInfo) -> Any:
    header = _make('std_msgs/msg/Header', stamp=_stamp(1), frame_id='')
    channels = [
        _make('cls_interfaces/msg/ActionChannel', name=c.name, kind=int(c.kind), unit=c.unit, low=c.low, high=c.high)
        for c in robot.channels
    ]
    return _make(
        comms.ROBOT_INFO.type, header=header, name=robot.name, modalities=list(robot.modalities), channels=channels,
        joint_names=list(robot.joint_names), joint_low=np.array(robot.joint_low),
        joint_high=np.array(robot.joint_high), settle_time=robot.settle_time, lock_step=robot.lock_step,
    )  # fmt: skip


def _experience_message(e: Experience, encoder: encoders.Encoder) -> Any:
    t = e.transition
    return _make(
        comms.EXPERIENCE.type, header=_make('std_msgs/msg/Header', stamp=_stamp(t.stamp_next), frame_id=''),
        run_id='r', sequence=e.sequence, episode=e.episode, boundary=t.boundary, stamp_z=_stamp(t.stamp_z),
        stamp_next=_stamp(t.stamp_next), encoder_id=encoder.id, encoder_version=encoder.version, z=t.z,
        z_next=t.z_next, action_commanded=t.action_commanded, action_applied=t.action_applied, joints=t.joints,
        joints_next=t.joints_next, error_before=e.error_before, copy_error=e.copy_error,
        prediction_after=e.prediction_after, normalizer_version=e.normalizer_version, fast_loss=0.0, policy_loss=0.0,
        curiosity_reward=0.0, reward=float('nan'), terminal=t.terminal, truncated=t.truncated, ends_cycle=False,
        image_delay=t.image_delay,
    )  # fmt: skip


@dataclass(frozen=True)
class Lived:
    """One life, what was said in it, and the weights it ended with."""

    robot: RobotInfo
    encoder: encoders.Encoder
    said: list[tuple[comms.Topic, Any]]
    weights: str

    def write(self, path: Path, *topics: comms.Topic, alter: Callable[[list[Any]], list[Any]] = list) -> Path:
        """Records these topics, as `ros2 bag record` does."""
        stored = {**self.encoder.config(), 'id': self.encoder.id, 'size': self.encoder.size, 'version': 1}
        info = SessionInfo(name=path.name, robot=self.robot, encoder=stored)
        with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
            for key, value in info.to_custom_data().items():
                bag.set_custom_data(key, value)
            connections: dict[str, Any] = {}
            said = [(comms.ROBOT_INFO, _robot_message(self.robot)), *alter([s for s in self.said if s[0] in topics])]
            for number, (topic, message) in enumerate(said):
                if topic.name not in connections:
                    connections[topic.name] = bag.add_connection(f'/{topic.name}', topic.type, typestore=installed())
                data = installed().serialize_cdr(message, topic.type)
                bag.write(connections[topic.name], 10**9 + number, data)
        return path


@pytest.fixture(scope='module')
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """A life of 40 steps and two nights in the simulator."""
    return live(tmp_path_factory.mktemp('models'), STEPS)


@pytest.fixture(scope='module')
def lived_late(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """A life of 120 steps with images that are one step late, which is known after the sleep at 105."""
    return live(tmp_path_factory.mktemp('models'), 120, {'faults.image_lag': 1})


def live(models: Path, steps: int, simulator: Mapping[str, Any] = {}) -> Lived:
    torch.set_num_threads(1)
    values = {'robot': 'sim', 'lock_step': True, 'seed': SEED, **simulator}
    robot = make_robot('sim', SimulatorSettings.from_flat(values))
    encoder = encoders.make(EncoderSettings(name='early_resnet18', seed=SEED, threads=1))
    folder = ModelFolder(models, 'life')
    recipe, origins, _ = resolve(config_dir() / 'presets', '', RECIPE)
    stored = {**encoder.config(), 'id': encoder.id, 'size': encoder.size, 'version': encoder.version}
    folder.create(ModelConfig(robot.info, stored, SEED, recipe, origins, ''), encoder.weights())
    diary = Diary(folder, robot, encoder, 'curiosity', lambda _: None)
    with diary.living:
        diary.live(steps)
    folder.close()
    return Lived(robot.info, encoder, diary.said, weights_hash(folder.path))


def test_training_ends_in_the_same_weights(lived: Lived, tmp_path: Path) -> None:
    options = TrainOptions(model='m', models_dir=tmp_path, steps=STEPS, encoder='early_resnet18', **MAKE)
    assert train(options) == lived.weights


@pytest.fixture(scope='module')
def session(lived: Lived, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lived.write(tmp_path_factory.mktemp('sessions') / 'session', comms.EXPERIENCE)


def run(session: Path, models: Path, model: str = 'again', **options: Any) -> ReplaySummary:
    return replay(ReplayOptions(sessions=[session], models_dir=models, model=model, **{**MAKE, **options}))


@pytest.mark.parametrize(
    'topics, counts',
    [
        ((comms.EXPERIENCE,), (STEPS, 0)),
        ((comms.EMBEDDING, comms.APPLIED_ACTION), (STEPS, 0)),
        ((comms.IMAGE, comms.APPLIED_ACTION), (0, STEPS)),
    ],
    ids=['experiences', 'embeddings', 'images'],
)
def test_a_replayed_life_ends_in_the_same_weights(
    topics: tuple[comms.Topic, ...], counts: tuple[int, int], lived: Lived, tmp_path: Path
) -> None:
    summary = run(lived.write(tmp_path / 'session', *topics), tmp_path)
    assert summary.weights == lived.weights
    assert (summary.reused, summary.computed) == counts
    assert (summary.steps, summary.finished, summary.plateau, len(summary.losses)) == (STEPS, True, False, 1)


@pytest.mark.parametrize(
    'topics, stops',
    [
        ((comms.EXPERIENCE,), []),
        ((comms.EMBEDDING, comms.APPLIED_ACTION), []),
        ((comms.IMAGE, comms.APPLIED_ACTION), []),
        ((comms.EMBEDDING, comms.APPLIED_ACTION), [104, 1, 1, 7]),
        ((comms.EXPERIENCE,), [105, 3]),
    ],
    ids=['experiences', 'embeddings', 'images', 'embeddings stopped', 'experiences stopped'],
)
def test_a_replayed_life_with_late_images_ends_in_the_same_weights(
    topics: tuple[comms.Topic, ...], stops: list[int], lived_late: Lived, tmp_path: Path
) -> None:
    session = lived_late.write(tmp_path / 'session', *topics)
    assert [run(session, tmp_path, steps=steps).steps for steps in stops] == stops
    assert run(session, tmp_path).weights == lived_late.weights


def test_late_images_are_re_paired_in_a_life(lived_late: Lived, tmp_path: Path) -> None:
    session = lived_late.write(tmp_path / 'session', comms.EXPERIENCE)
    steps = list(Recording([session], lived_late.robot, lived_late.encoder).transitions())
    assert [t.image_delay for t in steps] == [0] * 105 + [1] * 15
    assert [i for i, t in enumerate(steps) if t.boundary] == [0, 105]


@pytest.mark.parametrize('broken', [1, 7])
def test_a_broken_image_costs_the_steps_that_need_it(broken: int, lived: Lived, tmp_path: Path) -> None:
    def alter(said: list[Any]) -> list[Any]:
        places = [place for place, (topic, _) in enumerate(said) if topic == comms.IMAGE]
        for place in places[5 : 5 + broken]:
            topic, message = said[place]
            said[place] = (topic, replace(message, data=message.data[:100]))
        return said

    summary = run(lived.write(tmp_path / 'session', comms.IMAGE, comms.APPLIED_ACTION, alter=alter), tmp_path)
    assert summary.broken == broken and summary.finished
    assert STEPS - broken - 1 <= summary.steps < STEPS


def test_where_every_image_is_broken_it_says_so(lived: Lived, tmp_path: Path) -> None:
    def alter(said: list[Any]) -> list[Any]:
        return [(t, replace(m, encoding='mono16') if t == comms.IMAGE else m) for t, m in said]

    session = lived.write(tmp_path / 'session', comms.IMAGE, comms.APPLIED_ACTION, alter=alter)
    with pytest.raises(UserError, match=r"none that match; \d+ images are broken: image encoding; .*'mono16'"):
        run(session, tmp_path)


@pytest.mark.parametrize('stops', [[1], [14, 2], [15, 15, 1], [7, 40, 3]])
def test_stopped_and_gone_on_with_it_is_the_same(stops: list[int], session: Path, tmp_path: Path) -> None:
    """Also in the second epoch and right before a night (15 steps a cycle)."""
    options: dict[str, Any] = {'until_plateau': True, 'max_epochs': 2}
    whole = run(session, tmp_path, 'whole', **options)
    parts = [run(session, tmp_path, 'parts', steps=steps, **options) for steps in stops]
    assert not any(part.finished for part in parts) and [part.steps for part in parts] == stops
    last = run(session, tmp_path, 'parts', **options)
    assert last.finished and last.weights == whole.weights
    assert last.losses == whole.losses and len(whole.losses) == 2


@pytest.mark.parametrize('step', [5, 22, 31, 61])
def test_killed_and_gone_on_with_it_is_the_same(step: int, session: Path, tmp_path: Path) -> None:
    options = ReplayOptions(
        sessions=[session], models_dir=tmp_path, model='killed', until_plateau=True, max_epochs=2, **MAKE
    )

    def die(progress: Progress) -> None:
        if progress.step == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(options, die)
    again = replay(options)
    whole = replay(replace(options, model='whole'))
    assert again.weights == whole.weights and again.losses == pytest.approx(whole.losses, rel=1e-12)
    assert again.finished and again.steps == 2 * STEPS - step


def test_a_finished_replay_begins_anew(session: Path, tmp_path: Path) -> None:
    first, second = run(session, tmp_path), run(session, tmp_path)
    assert first.steps == second.steps == STEPS and first.weights != second.weights
    assert len(second.losses) == 1 and second.losses != first.losses


def test_the_end_may_be_asked_for_at_any_moment(session: Path, tmp_path: Path) -> None:
    """In the middle of a night too: it never was, and is slept when the replay goes on."""
    options = ReplayOptions(sessions=[session], models_dir=tmp_path, model='m', **MAKE)
    told: list[str] = []

    def report(progress: Progress) -> None:
        told.append(progress.phase)

    stopped = replay(options, report, lambda: len(told) > 0 and told[-1] == 'sws')
    assert not stopped.finished and stopped.steps == 15
    assert replay(options).weights == run(session, tmp_path, 'whole').weights


def test_only_matching_actions_and_what_follows_is_a_new_chain(lived: Lived, session: Path) -> None:
    recording = Recording([session], lived.robot, lived.encoder)
    everything = list(recording.transitions())
    assert [t.boundary for t in everything] == [True] + [False] * (STEPS - 1)
    wanted = everything[9].action_commanded[0]
    one = Recording([session, session], lived.robot, lived.encoder, ActionFilter('pan', wanted))
    assert [(t.stamp_z, t.boundary) for t in one.transitions()] == [(everything[9].stamp_z, True)] * 2
    assert one.key != recording.key


def test_holes_and_numbers_that_are_none_break_the_chain(lived: Lived, tmp_path: Path) -> None:
    def spoil(said: list[Any]) -> list[Any]:
        copies = [(topic, replace(message)) for topic, message in said]
        copies[10][1].z = np.full_like(copies[10][1].z, np.nan)
        return copies[:20] + copies[23:]

    session = lived.write(tmp_path / 's', comms.EXPERIENCE, alter=spoil)
    recording = Recording([session], lived.robot, lived.encoder)
    steps = list(recording.transitions())
    assert recording.refused == 1
    assert [i for i, t in enumerate(steps) if t.boundary] == [0, 10, 19]


@settings(max_examples=30)
@given(strategies.sets(strategies.integers(0, 3 * STEPS), max_size=12))
def test_lost_messages_never_join_what_does_not_follow(lost: set[int]) -> None:
    """Whatever a recording lacks: a step that is no boundary begins where the one before ended (H2)."""
    lived = _KEPT[0]
    folder = _KEPT[1] / f'lost{abs(hash(frozenset(lost)))}'
    if not folder.exists():
        topics = (comms.EMBEDDING, comms.APPLIED_ACTION)
        lived.write(folder, *topics, alter=lambda said: [s for i, s in enumerate(said) if i not in lost])
    last = None
    for step in Recording([folder], lived.robot, lived.encoder).transitions():
        assert np.allclose(step.joints + np.radians(step.action_applied), step.joints_next, atol=1e-5)
        if not step.boundary:
            assert last is not None and np.array_equal(step.z, last.z_next)
            assert np.array_equal(step.joints, last.joints_next)
        last = step


_KEPT: list[Any] = []


@pytest.fixture(autouse=True, scope='module')
def _kept(lived: Lived, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    _KEPT[:] = [lived, tmp_path_factory.mktemp('lost')]
    yield
    _KEPT.clear()


@pytest.mark.parametrize(
    'options, said',
    [
        ({'filter_action': 'pan'}, 'pan'),
        ({'filter_action': 'hip=3'}, "hip.*'sim'.*pan"),
        ({'filter_action': 'pan=99'}, 'none that match'),
        ({'overrides': {'sleep.night': 3}}, 'sleep.night'),
        ({'sessions': [Path('/nowhere')]}, 'nowhere'),
    ],
)
def test_one_clear_error(options: dict[str, Any], said: str, session: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        replay(ReplayOptions(**{'sessions': [session], 'model': 'm', 'models_dir': tmp_path, **MAKE, **options}))


def test_a_session_that_lacks_something_says_what(lived: Lived, tmp_path: Path) -> None:
    only = lived.write(tmp_path / 'a', comms.APPLIED_ACTION)
    with pytest.raises(UserError, match='camera/image_raw'):
        run(only, tmp_path)
    with pytest.raises(UserError, match='robot/applied_action'):
        run(lived.write(tmp_path / 'b', comms.IMAGE), tmp_path, 'other')


def test_another_robots_session_is_refused_and_nothing_is_lost(lived: Lived, session: Path, tmp_path: Path) -> None:
    before = run(session, tmp_path).weights
    pan_only = replace(lived.robot, name='crane', channels=lived.robot.channels[:1])
    other = replace(lived, robot=pan_only).write(tmp_path / 'other', comms.EXPERIENCE)
    with pytest.raises(UserError, match="'crane'"):
        run(other, tmp_path)
    folder = ModelFolder(tmp_path, 'again')
    assert folder.load() is not None
    folder.close()
    assert run(session, tmp_path, 'twin').weights == before


def test_the_command_prints_the_hash_last(session: Path, lived: Lived, tmp_path: Path) -> None:
    chosen = [text for name, value in RECIPE.items() for text in ('--set', f'{name}={value}')]
    where = ['--seed', str(SEED), '--models-dir', str(tmp_path)]
    command = ['python', '-m', 'cls_cli', 'replay', str(session), *where, *chosen]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f'weights sha256 {lived.weights}'


def epochs(losses: Iterator[float] | list[float]) -> int | None:
    rule = EarlyStopping()
    return next((number for number, loss in enumerate(losses, 1) if rule.add(loss)), None)


def test_the_plateau_rule_of_the_reference() -> None:
    """Golden, section 3.7."""
    assert epochs([1.0] * 100) == 8
    assert epochs([1.0 - 0.0005 * k for k in range(100)]) is None
    assert epochs([0.9**k for k in range(100)]) == 67
    assert epochs([math.nan] * 10) == 7


def test_early_values_do_not_set_the_best() -> None:
    rule = EarlyStopping(patience=2, min_delta=0.0, min_epochs=3)
    assert [rule.add(loss) for loss in (0.1, 0.2, 0.9, 0.8, 0.8, 0.8)] == [False] * 5 + [True]
    assert rule.best == 0.8

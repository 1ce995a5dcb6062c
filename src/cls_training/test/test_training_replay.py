"""Replay of recorded sessions ends in the weights of the recorded run, also from raw images and after interruptions."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
import math
from pathlib import Path
from typing import Any

from hypothesis import given, settings, strategies
import numpy as np
from numpy.typing import NDArray
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
import torch

from cls_cli.entry import main
from cls_common import comms
from cls_common.errors import UserError
from cls_common.resources import config_dir
from cls_common.robot import RobotInfo
from cls_common.transition import EMBEDDING, Experience, Floats, JOINTS, Observation
from cls_learning.brain import find as find_brain
from cls_learning.brain import Input
from cls_learning.model_store.folder import ModelFolder
from cls_learning.model_store.listing import weights_hash
from cls_learning.runtime.config_resolution import resolve
from cls_learning.runtime.model_creation import create_model, new_config
from cls_perception import encoders
from cls_perception.settings import EncoderSettings
from cls_recording.definitions import installed
from cls_recording.filters import ActionFilter
from cls_recording.session import SessionInfo
from cls_sim.robots import make as make_robot
from cls_sim.robots import SimulatedRobot, Step
from cls_sim.settings import SimulatorSettings
from cls_training.early_stopping import EarlyStopping
from cls_training.replaying import replay, ReplayOptions, ReplaySummary
from cls_training.train_loop import TrainProgress
from cls_training.training import SimulatedRun, train, TrainOptions
from cls_training.transition_reader import TransitionReader

STEPS, SEED = 40, 3
RECIPE = {
    'sleep.wake_steps_per_cycle': 15, 'sleep.sws_steps': 3, 'sleep.rem_steps': 3, 'sleep.tether_steps': 2,
    'sleep.batch_size': 8, 'network.fast_hidden': 16, 'network.slow_hidden': 32,
}  # fmt: skip
MAKE = {'seed': SEED, 'overrides': RECIPE}


class ObservedRobot:
    """A simulated robot that records images, embeddings and answers as the messages that a graph would publish."""

    def __init__(self, robot: SimulatedRobot, encoder: encoders.Encoder) -> None:
        self.info, self._robot, self._encoder = robot.info, robot, encoder
        self.messages: list[tuple[comms.Topic, Any]] = []
        self._actions = 0

    def reset(self) -> Step:
        step = self._robot.reset()
        self._note_image(step)
        return step

    def step(self, action: Floats) -> Step:
        step = self._robot.step(action)
        self._actions += 1
        answer = _make(
            comms.APPLIED_ACTION.type, source='fast_learner', sequence=self._actions, commanded=step.commanded,
            applied=step.applied, joints_before=step.joints_before, joints_after=step.joints,
            start=_stamp(step.start_ns), end=_stamp(step.end_ns), error_code=0, error_msg='', reward=float('nan'),
            terminal=False, truncated=False,
        )  # fmt: skip
        self.messages.append((comms.APPLIED_ACTION, answer))
        self._note_image(step)
        return step

    def _note_image(self, step: Step) -> None:
        image, encoder = step.image, self._encoder
        assert image is not None
        header = _make('std_msgs/msg/Header', stamp=_stamp(step.stamp_ns), frame_id='camera')
        self.messages += [
            (comms.IMAGE, _make(
                comms.IMAGE.type, header=header, height=image.shape[0], width=image.shape[1], encoding='rgb8',
                is_bigendian=0, step=image.shape[1] * 3, data=image.reshape(-1),
            )),
            (comms.EMBEDDING, _make(
                comms.EMBEDDING.type, header=header, modality='camera', encoder_id=encoder.id,
                version=encoder.version, data=encoder.encode(image[None])[0],
            )),
        ]  # fmt: skip


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
        has_reward=robot.has_reward,
    )  # fmt: skip


def _experience_message(e: Experience) -> Any:
    t = e.transition
    return _make(
        comms.EXPERIENCE.type, header=_make('std_msgs/msg/Header', stamp=_stamp(t.stamp_next), frame_id=''),
        run_id='r', sequence=e.sequence, episode=e.episode, brain='cls', boundary=t.boundary,
        before=_reading_messages(t.before), after=_reading_messages(t.after), action_commanded=t.action_commanded,
        action_applied=t.action_applied, joints=t.joints, joints_next=t.joints_next, image_delay=t.image_delay,
        reward=t.reward, terminal=t.terminal, truncated=t.truncated,
        extras=[_array_message(name, array) for name, array in e.extras.items()],
        metrics=[
            _make('cls_interfaces/msg/Metric', name=name, value=value, headline=False, higher_is_better=False)
            for name, value in e.metrics.items()
        ],
        ends_cycle=False,
    )  # fmt: skip


def _reading_messages(observation: Observation) -> list[Any]:
    return [
        _make(
            'cls_interfaces/msg/Reading',
            array=_array_message(name, reading.data),
            stamp=_stamp(reading.stamp),
            encoder_id=reading.encoder_id,
            encoder_version=reading.encoder_version,
        )
        for name, reading in observation.readings.items()
    ]


def _array_message(name: str, array: NDArray[Any]) -> Any:
    return _make(
        'cls_interfaces/msg/NamedArray', name=name, dtype=array.dtype.name, shape=np.array(array.shape, np.uint32),
        data=np.frombuffer(array.tobytes(), np.uint8),
    )  # fmt: skip


@dataclass(frozen=True)
class RecordedRun:
    """A training run: the messages that a graph would have published, and the hash of the weights at its end."""

    robot: RobotInfo
    encoder: encoders.Encoder
    messages: list[tuple[comms.Topic, Any]]
    weights: str

    def write(self, path: Path, *topics: comms.Topic, alter: Callable[[list[Any]], list[Any]] = list) -> Path:
        """Writes the messages of these topics to a bag, as `ros2 bag record` does."""
        stored = {**self.encoder.config(), 'id': self.encoder.id, 'size': self.encoder.size, 'version': 1}
        info = SessionInfo(name=path.name, robot=self.robot, encoder=stored)
        with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
            for key, value in info.to_custom_data().items():
                bag.set_custom_data(key, value)
            connections: dict[str, Any] = {}
            chosen = alter([noted for noted in self.messages if noted[0] in topics])
            for number, (topic, message) in enumerate([(comms.ROBOT_INFO, _robot_message(self.robot)), *chosen]):
                if topic.name not in connections:
                    connections[topic.name] = bag.add_connection(f'/{topic.name}', topic.type, typestore=installed())
                data = installed().serialize_cdr(message, topic.type)
                bag.write(connections[topic.name], 10**9 + number, data)
        return path


@pytest.fixture(scope='module')
def recorded(tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    """A run of 40 steps and two sleeps in the simulator."""
    return record_run(tmp_path_factory.mktemp('models'), STEPS)


@pytest.fixture(scope='module')
def recorded_late(tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    """A run of 120 steps with images that are one step late, which is known after the sleep at 105."""
    return record_run(tmp_path_factory.mktemp('models'), 120, {'faults.image_lag': 1})


def record_run(models: Path, steps: int, simulator: Mapping[str, Any] = {}) -> RecordedRun:
    torch.set_num_threads(1)
    values = {'robot': 'sim', 'lock_step': True, 'seed': SEED, **simulator}
    encoder = encoders.make(EncoderSettings(name='early_resnet18', seed=SEED, threads=1))
    robot: Any = ObservedRobot(make_robot('sim', SimulatorSettings.from_flat(values)), encoder)
    folder = ModelFolder(models, 'recorded')
    brain = find_brain('cls')
    recipe, origins, _ = resolve(config_dir() / 'presets', '', RECIPE, brain)
    create_model(folder, new_config(robot.info, encoder, SEED, recipe, origins, brain.name, {}), encoder)
    run = SimulatedRun(folder, robot, encoder, 'curiosity', lambda _: None)
    experiences: list[Experience] = []
    run.loop.learned = lambda experience, _: experiences.append(experience)
    with run.loop:
        run.run(steps)
    folder.close()
    messages = robot.messages + [(comms.EXPERIENCE, _experience_message(experience)) for experience in experiences]
    return RecordedRun(robot.info, encoder, messages, weights_hash(folder.path))


def test_training_ends_in_the_same_weights(recorded: RecordedRun, tmp_path: Path) -> None:
    options = TrainOptions(model='m', models_dir=tmp_path, steps=STEPS, encoder='early_resnet18', **MAKE)
    assert train(options) == recorded.weights


@pytest.fixture(scope='module')
def session(recorded: RecordedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded.write(tmp_path_factory.mktemp('sessions') / 'session', comms.EXPERIENCE)


def reader_of(recorded: RecordedRun, *sessions: Path, action_filter: ActionFilter | None = None) -> TransitionReader:
    """Reads sessions for a model of the recorded run's robot and encoder."""
    shapes = {EMBEDDING: (recorded.encoder.size,)}
    return TransitionReader(sessions, recorded.robot, [Input()], shapes, recorded.encoder, action_filter)


def test_joints_are_a_sense_of_sessions_that_were_recorded_without_it(recorded: RecordedRun, tmp_path: Path) -> None:
    shapes, inputs = {EMBEDDING: (recorded.encoder.size,), JOINTS: (2,)}, [Input(), Input(JOINTS, 'vector')]
    for topics in ((comms.EXPERIENCE, comms.EMBEDDING, comms.APPLIED_ACTION), (comms.IMAGE, comms.APPLIED_ACTION)):
        session = recorded.write(tmp_path / topics[0].name.replace('/', '_'), *topics)
        steps = list(TransitionReader([session], recorded.robot, inputs, shapes, recorded.encoder).transitions())
        assert len(steps) == STEPS
        for step in steps:
            assert np.array_equal(step.before[JOINTS], step.joints.astype(np.float32))
            assert np.array_equal(step.after[JOINTS], step.joints_next.astype(np.float32))


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
def test_a_replay_ends_in_the_weights_of_the_recorded_run(
    topics: tuple[comms.Topic, ...], counts: tuple[int, int], recorded: RecordedRun, tmp_path: Path
) -> None:
    summary = run(recorded.write(tmp_path / 'session', *topics), tmp_path)
    assert summary.weights == recorded.weights
    assert (summary.reused, summary.computed) == counts
    assert (summary.steps, summary.finished, summary.plateau, len(summary.losses)) == (STEPS, True, False, 1)


@pytest.mark.parametrize(
    'topics, stops',
    [
        ((comms.IMAGE, comms.APPLIED_ACTION), []),
        ((comms.EMBEDDING, comms.APPLIED_ACTION), [104, 1, 1, 7]),
        ((comms.EXPERIENCE,), [105, 3]),
    ],
    ids=['images', 'embeddings stopped', 'experiences stopped'],
)
def test_a_replay_with_late_images_ends_in_the_weights_of_the_recorded_run(
    topics: tuple[comms.Topic, ...], stops: list[int], recorded_late: RecordedRun, tmp_path: Path
) -> None:
    session = recorded_late.write(tmp_path / 'session', *topics)
    assert [run(session, tmp_path, steps=steps).steps for steps in stops] == stops
    assert run(session, tmp_path).weights == recorded_late.weights


def test_late_images_are_re_paired_once_their_delay_is_known(recorded_late: RecordedRun, tmp_path: Path) -> None:
    session = recorded_late.write(tmp_path / 'session', comms.EXPERIENCE)
    steps = list(reader_of(recorded_late, session).transitions())
    assert [t.image_delay for t in steps] == [0] * 105 + [1] * 15
    assert [i for i, t in enumerate(steps) if t.boundary] == [0, 105]


@pytest.mark.parametrize('broken', [1, 7])
def test_a_broken_image_costs_the_steps_that_need_it(broken: int, recorded: RecordedRun, tmp_path: Path) -> None:
    def alter(messages: list[Any]) -> list[Any]:
        places = [place for place, (topic, _) in enumerate(messages) if topic == comms.IMAGE]
        for place in places[5 : 5 + broken]:
            topic, message = messages[place]
            messages[place] = (topic, replace(message, data=message.data[:100]))
        return messages

    summary = run(recorded.write(tmp_path / 'session', comms.IMAGE, comms.APPLIED_ACTION, alter=alter), tmp_path)
    assert summary.broken == broken and summary.finished
    assert STEPS - broken - 1 <= summary.steps < STEPS


def test_a_session_of_broken_images_only_is_refused(recorded: RecordedRun, tmp_path: Path) -> None:
    def alter(messages: list[Any]) -> list[Any]:
        return [(t, replace(m, encoding='mono16') if t == comms.IMAGE else m) for t, m in messages]

    session = recorded.write(tmp_path / 'session', comms.IMAGE, comms.APPLIED_ACTION, alter=alter)
    with pytest.raises(UserError, match=r"none that match; \d+ images are broken: image encoding; .*'mono16'"):
        run(session, tmp_path)


TWO_EPOCHS: dict[str, Any] = {'until_plateau': True, 'max_epochs': 2}


@pytest.fixture(scope='module')
def whole(session: Path, tmp_path_factory: pytest.TempPathFactory) -> ReplaySummary:
    """A replay of two epochs that nothing stopped."""
    return run(session, tmp_path_factory.mktemp('whole'), **TWO_EPOCHS)


def test_a_stopped_and_resumed_replay_ends_in_the_same_weights(
    session: Path, whole: ReplaySummary, tmp_path: Path
) -> None:
    """Also in the second epoch and right before a sleep (15 steps a cycle): after 1, 7, 14, 15, 16, 30, 31, 47, 50."""
    stops = [1, 6, 7, 1, 1, 14, 1, 16, 3]
    parts = [run(session, tmp_path, 'parts', steps=steps, **TWO_EPOCHS) for steps in stops]
    assert not any(part.finished for part in parts) and [part.steps for part in parts] == stops
    last = run(session, tmp_path, 'parts', **TWO_EPOCHS)
    assert last.finished and last.weights == whole.weights
    assert last.losses == whole.losses and len(whole.losses) == 2


def test_an_interrupted_and_resumed_replay_ends_in_the_same_weights(
    session: Path, whole: ReplaySummary, tmp_path: Path
) -> None:
    options = ReplayOptions(sessions=[session], models_dir=tmp_path, model='killed', **TWO_EPOCHS, **MAKE)
    interrupts = [5, 17, 9, 30]  # after 5, 22, 31 and 61 steps in all

    def interrupt(progress: TrainProgress) -> None:
        if progress.step == interrupts[0]:
            raise KeyboardInterrupt

    while interrupts:
        with pytest.raises(KeyboardInterrupt):
            replay(options, interrupt)
        interrupts.pop(0)
    again = replay(options)
    assert again.weights == whole.weights and again.losses == pytest.approx(whole.losses, rel=1e-12)
    assert again.finished and again.steps == 2 * STEPS - 61


def test_a_finished_replay_of_the_same_session_adds_another_epoch(session: Path, tmp_path: Path) -> None:
    first, second = run(session, tmp_path), run(session, tmp_path)
    assert first.steps == second.steps == STEPS and first.weights != second.weights
    assert len(second.losses) == 1 and second.losses != first.losses


def test_a_stop_during_sleep_discards_the_sleep(session: Path, tmp_path: Path) -> None:
    """The sleep is repeated when the replay resumes."""
    options = ReplayOptions(sessions=[session], models_dir=tmp_path, model='m', **MAKE)
    phases: list[str] = []

    def report(progress: TrainProgress) -> None:
        phases.append(progress.phase)

    stopped = replay(options, report, lambda: len(phases) > 0 and phases[-1] == 'sws')
    assert not stopped.finished and stopped.steps == 15
    assert replay(options).weights == run(session, tmp_path, 'whole').weights


def test_a_filter_keeps_matching_actions_each_with_a_boundary(recorded: RecordedRun, session: Path) -> None:
    reader = reader_of(recorded, session)
    everything = list(reader.transitions())
    assert [t.boundary for t in everything] == [True] + [False] * (STEPS - 1)
    wanted = everything[9].action_commanded[0]
    one = reader_of(recorded, session, session, action_filter=ActionFilter('pan', wanted))
    assert [(t.stamp_z, t.boundary) for t in one.transitions()] == [(everything[9].stamp_z, True)] * 2
    assert one.key != reader.key


def test_missing_and_non_finite_experiences_break_the_chain(recorded: RecordedRun, tmp_path: Path) -> None:
    def spoil(messages: list[Any]) -> list[Any]:
        copies = [(topic, replace(message)) for topic, message in messages]
        (reading,) = copies[10][1].before
        bad = _array_message(reading.array.name, np.full(recorded.encoder.size, np.nan, np.float32))
        copies[10][1].before = [replace(reading, array=bad)]
        return copies[:20] + copies[23:]

    session = recorded.write(tmp_path / 's', comms.EXPERIENCE, alter=spoil)
    reader = reader_of(recorded, session)
    steps = list(reader.transitions())
    assert reader.refused == 1
    assert [i for i, t in enumerate(steps) if t.boundary] == [0, 10, 19]


@settings(max_examples=30)
@given(strategies.sets(strategies.integers(0, 3 * STEPS), max_size=12))
def test_steps_around_lost_messages_are_never_joined(lost: set[int]) -> None:
    """A step that is no boundary begins where the one before ended, for any missing messages."""
    recorded = _KEPT[0]
    folder = _KEPT[1] / f'lost{abs(hash(frozenset(lost)))}'
    if not folder.exists():
        topics = (comms.EMBEDDING, comms.APPLIED_ACTION)
        recorded.write(folder, *topics, alter=lambda messages: [m for i, m in enumerate(messages) if i not in lost])
    last = None
    for step in reader_of(recorded, folder).transitions():
        assert np.allclose(step.joints + np.radians(step.action_applied), step.joints_next, atol=1e-5)
        if not step.boundary:
            assert last is not None and np.array_equal(step.z, last.z_next)
            assert np.array_equal(step.joints, last.joints_next)
        last = step


_KEPT: list[Any] = []


@pytest.fixture(autouse=True, scope='module')
def _kept(recorded: RecordedRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    _KEPT[:] = [recorded, tmp_path_factory.mktemp('lost')]
    yield
    _KEPT.clear()


@pytest.mark.parametrize(
    'options, text',
    [
        ({'filter_action': 'pan'}, 'pan'),
        ({'filter_action': 'hip=3'}, "hip.*'sim'.*pan"),
        ({'filter_action': 'pan=99'}, 'none that match'),
        ({'overrides': {'sleep.naps': 3}}, 'sleep.naps'),
        ({'sessions': [Path('/nowhere')]}, 'nowhere'),
    ],
)
def test_options_that_do_not_fit_are_one_clear_error(
    options: dict[str, Any], text: str, session: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=text):
        replay(ReplayOptions(**{'sessions': [session], 'model': 'm', 'models_dir': tmp_path, **MAKE, **options}))


def test_the_error_names_the_topic_that_a_session_lacks(recorded: RecordedRun, tmp_path: Path) -> None:
    only = recorded.write(tmp_path / 'a', comms.APPLIED_ACTION)
    with pytest.raises(UserError, match='camera/image_raw'):
        run(only, tmp_path)
    with pytest.raises(UserError, match='robot/applied_action'):
        run(recorded.write(tmp_path / 'b', comms.IMAGE), tmp_path, 'other')


def test_a_session_of_another_robot_is_refused_and_the_model_is_kept(
    recorded: RecordedRun, session: Path, tmp_path: Path
) -> None:
    before = run(session, tmp_path).weights
    pan_only = replace(recorded.robot, name='crane', channels=recorded.robot.channels[:1])
    other = replace(recorded, robot=pan_only).write(tmp_path / 'other', comms.EXPERIENCE)
    with pytest.raises(UserError, match="'crane'"):
        run(other, tmp_path)
    folder = ModelFolder(tmp_path, 'again')
    assert folder.load() is not None
    folder.close()
    assert run(session, tmp_path, 'twin').weights == before


def test_the_command_prints_the_hash_last(
    session: Path, recorded: RecordedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [text for name, value in RECIPE.items() for text in ('--set', f'{name}={value}')]
    where = ['--seed', str(SEED), '--models-dir', str(tmp_path)]
    assert main(['replay', str(session), *where, *chosen]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f'weights sha256 {recorded.weights}'


def epochs(losses: Iterator[float] | list[float]) -> int | None:
    rule = EarlyStopping()
    return next((number for number, loss in enumerate(losses, 1) if rule.add(loss)), None)


def test_the_default_rule_stops_when_the_loss_no_longer_falls() -> None:
    assert epochs([1.0] * 100) == 8
    assert epochs([1.0 - 0.0005 * k for k in range(100)]) is None
    assert epochs([0.9**k for k in range(100)]) == 67
    assert epochs([math.nan] * 10) == 7


def test_losses_of_the_first_epochs_do_not_set_the_best() -> None:
    rule = EarlyStopping(patience=2, min_delta=0.0, min_epochs=3)
    assert [rule.add(loss) for loss in (0.1, 0.2, 0.9, 0.8, 0.8, 0.8)] == [False] * 5 + [True]
    assert rule.best == 0.8

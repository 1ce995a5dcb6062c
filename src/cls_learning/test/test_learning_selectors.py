"""Policies that choose without learning: constant, sequence, recorded, random, manual."""

import builtins
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given, strategies
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_common.robot import Channel, Kind, RobotInfo
from cls_common.transition import Observation
from cls_learning import policies
from cls_learning.config import LearningSettings
from cls_learning.policies.action_parsing import NAMED_SEQUENCES, parse_action, parse_sequence
from cls_learning.policies.contract import EndOfActionsError, Policy
from cls_learning.policies.manual import ManualPolicy
from cls_learning.randomness import stream
from cls_learning.runtime.online_step import online_step, until_the_last_action
from cls_training.training import train, TrainOptions

PAN_TILT = RobotInfo(
    'pan_tilt',
    ('camera',),
    tuple(Channel(name, Kind.RELATIVE, 'deg', -10.0, 10.0) for name in ('pan', 'tilt')),
    ('pan', 'tilt'),
    (-1.5, -0.7),
    (1.5, 0.7),
)
CART = RobotInfo('gym:CartPole-v1', ('state',), (Channel('action', Kind.DISCRETE, '', 0, 1),))
NOTHING = np.zeros(0, np.float32)


def make(kind: str, robot: RobotInfo = PAN_TILT, **settings: Any) -> Policy:
    values = {'policy.kind': kind, **{f'policy.{name}': value for name, value in settings.items()}}
    return policies.make(LearningSettings.from_flat(values), robot, 0, None, seed=1)


def chosen(policy: Policy, robot: RobotInfo, steps: Sequence[int]) -> list[list[float]]:
    """Returns its actions at these steps, in robot units."""
    joints = np.zeros(len(robot.joint_names))
    return [robot.to_units(policy.act(NOTHING, joints, step, stream(1, 'test', step))).tolist() for step in steps]


@pytest.mark.parametrize(
    'text, values',
    [
        ('5 0', [5, 0]),
        ('-2.5,1e0', [-2.5, 1]),
        ('pan=5,tilt=-3', [5, -3]),
        ('tilt = .5', [0, 0.5]),
        ('  +10   -10 ', [10, -10]),
        ('tilt=1 pan=2', [2, 1]),
    ],
)
def test_a_text_is_an_action_in_robot_units(text: str, values: list[float]) -> None:
    assert chosen(make('constant', action=text), PAN_TILT, [0, 7]) == [values, values]


@pytest.mark.parametrize(
    'text, problem',
    [
        ('', 'expected an action'),
        ('5', 'expected 2 numbers'),
        ('1 2 3', 'found 3 values'),
        ('11 0', 'from -10 to 10'),
        ('nan 0', "found 'nan'"),
        ('inf 0', "found 'inf'"),
        ('1_0 0', "found '1_0'"),
        ('\u0663 0', 'expected a number'),
        ('pan=1,pan=2', 'once at most'),
        ('roll=1', 'each of pan, tilt'),
        ('pan=1 2', "action '2'"),
        ('__import__("os").getpid() 0', 'expected a number'),
        ('1e999 0', 'from -10 to 10'),
    ],
)
def test_a_text_that_is_no_action_is_a_user_error(text: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        make('constant', action=text)


def test_limits_are_compared_as_float32() -> None:
    """A driver's 0.1 arrives as float32, slightly more or less; a typed 0.1 means the limit."""
    low, high = float(np.float32(-0.3)), float(np.float32(0.1))
    robot = RobotInfo('x', (), (Channel('grip', Kind.ABSOLUTE, 'm', low, high),))
    assert parse_action('0.1', robot).tolist() == [high] and parse_action('-0.3', robot).tolist() == [low]
    with pytest.raises(UserError, match=r'0\.1001'):
        parse_action('0.1001', robot)


def test_a_sequence_cycles_by_the_step() -> None:
    """A run that resumes at step 7 resumes in the sequence."""
    policy = make('sequence', sequence='1 0; tilt=2; 3,3;')
    assert chosen(policy, PAN_TILT, range(5)) == [[1, 0], [0, 2], [3, 3], [1, 0], [0, 2]]
    assert chosen(policy, PAN_TILT, [7, 300_000_002]) == [[0, 2], [3, 3]]


@pytest.mark.parametrize('text', ['', ' ; ;', ';'])
def test_an_empty_sequence_is_an_error(text: str) -> None:
    with pytest.raises(UserError, match='empty sequence'):
        make('sequence', sequence=text)


@pytest.mark.parametrize(
    'name, pattern',
    [
        ('always_move', [1, 1, 1, 1]),
        ('always_stay', [0, 0, 0, 0]),
        ('alternate', [0, 1, 0, 1]),
        ('double_move', [1, 1, 0, 1]),
        ('triple_move', [1, 1, 1, 0]),
        ('1,1,0', [1, 1, 0, 1]),
        ('0; 1', [0, 1, 0, 1]),
    ],
)
def test_sequences_of_one_discrete_channel(name: str, pattern: list[int]) -> None:
    assert chosen(make('sequence', CART, sequence=name), CART, range(4)) == [[value] for value in pattern]


def test_named_sequences_are_refused_for_other_channels() -> None:
    for name in NAMED_SEQUENCES:
        with pytest.raises(UserError, match='one discrete channel'):
            parse_sequence(name, PAN_TILT)
    for wrong in ('0.5', '2', '-1'):
        with pytest.raises(UserError, match='a whole number from 0 to 1'):
            parse_action(wrong, CART)


def test_random_is_uniform_and_depends_on_the_generator_alone() -> None:
    values = np.array(chosen(make('random'), PAN_TILT, range(2000)))
    assert np.abs(values.mean(axis=0)).max() < 0.5 and values.std() == pytest.approx(10 / np.sqrt(3), rel=0.03)
    assert chosen(make('random'), PAN_TILT, [3, 4]) == values[3:5].tolist()
    assert {value for (value,) in chosen(make('random', CART), CART, range(50))} == {0.0, 1.0}


def test_only_visit_count_explores_without_networks() -> None:
    """It counts joint cells; policies that need predictions are refused in one line."""
    assert len(chosen(make('visit_count'), PAN_TILT, range(3))) == 3
    for kind, robot in (('visit_count', CART), ('prediction_error', PAN_TILT), ('prediction_error', CART)):
        with pytest.raises(UserError, match=rf"'{kind}' without networks.*./cls up"):
            make(kind, robot)


# ---- recorded


def test_recorded_actions_are_repeated_once_and_end(tools: SimpleNamespace, tmp_path: Path) -> None:
    """Refused actions and repeated answers are left out; float32 values are exact."""
    units = stream(3, 'units', 0).uniform(-1, 1, (30, 2)).astype(np.float32)
    done = PAN_TILT.to_units(units)
    answers = [(9, (float('nan'), 0.0), 210), (10, (1.0,), 211), *((20 + i, row, 0) for i, row in enumerate(done))]
    answers.insert(6, answers[5])
    session = tools.write_session(tmp_path / 'session', PAN_TILT, answers)
    policy = make('recorded', session=str(session))
    assert np.array_equal(chosen(policy, PAN_TILT, range(30)), done)
    for step in (30, 31, 10**9):
        with pytest.raises(EndOfActionsError, match='all 30 recorded actions of session are done'):
            chosen(policy, PAN_TILT, [step])


def test_recorded_actions_can_be_filtered(tools: SimpleNamespace, tmp_path: Path) -> None:
    answers = [(step, (step % 3, 0.1 * step), 0) for step in range(9)]
    session = str(tools.write_session(tmp_path / 'session', PAN_TILT, answers))
    policy = make('recorded', session=session, filter_action='pan=2')
    assert chosen(policy, PAN_TILT, range(3)) == pytest.approx(np.array([[2, 0.2], [2, 0.5], [2, 0.8]]))
    for wrong, problem in (('pan=7', 'actions with pan=7; found none'), ('roll=1', 'roll'), ('pan', 'VALUE')):
        with pytest.raises(UserError, match=problem):
            make('recorded', session=session, filter_action=wrong)


def test_sessions_that_can_not_be_repeated_are_refused(tools: SimpleNamespace, tmp_path: Path) -> None:
    other = str(tools.write_session(tmp_path / 'other', CART, [(1, (1.0,), 0)]))
    with pytest.raises(UserError, match=r"other for robot 'pan_tilt'; expected the same.*'gym:CartPole-v1'"):
        make('recorded', session=other)
    still = str(tools.write_session(tmp_path / 'still', PAN_TILT, []))
    with pytest.raises(UserError, match='expected actions; found none'):
        make('recorded', session=still)
    for missing, problem in (('', 'expected the folder of a session'), (str(tmp_path / 'none'), 'nothing there')):
        with pytest.raises(UserError, match=problem):
            make('recorded', session=missing)


# ---- manual


def manual(*lines: str, proposer: Policy | None = None) -> tuple[ManualPolicy, list[list[float]]]:
    """Makes a policy whose user types these lines; returns it and the list of proposed actions."""
    typed, proposed = iter(lines), []

    def ask(action: Any) -> str:
        proposed.append(action.tolist())
        return next(typed)

    return ManualPolicy(PAN_TILT, ask, proposer), proposed


def test_the_user_types_confirms_and_ends_actions() -> None:
    policy, proposed = manual('5 0', '', 'tilt=2\n', ' Q ')
    assert chosen(policy, PAN_TILT, range(3)) == [[5, 0], [5, 0], [0, 2]]
    with pytest.raises(EndOfActionsError):
        chosen(policy, PAN_TILT, [3])
    assert proposed == [[0, 0], [5, 0], [5, 0], [0, 2]]


def test_the_user_confirms_or_overrides_another_policy() -> None:
    policy, proposed = manual('', '-1 -1', '', proposer=make('sequence', sequence='1 1; 2 2; 3 3'))
    assert chosen(policy, PAN_TILT, range(3)) == [[1, 1], [-1, -1], [3, 3]]
    assert proposed == [[1, 1], [2, 2], [3, 3]]


def test_after_a_wrong_text_another_can_be_typed() -> None:
    policy, _ = manual('up', '1 1')
    with pytest.raises(UserError, match='up'):
        chosen(policy, PAN_TILT, [0])
    assert chosen(policy, PAN_TILT, [0]) == [[1, 1]]


CODE = [
    '__import__("os").system("touch hacked")',
    'eval("1")',
    '1;2',
    '{}',
    '[5, 0]',
    'np.zeros(2)',
    'exit()',
    '$(reboot)',
    '\x1b[2J',
    '5 0 # comment',
    '0x10 0',
    'pan=pan',
    'pan=1e400',
    '\u0661 \u0662',
    '--5 0',
    'True False',
    'pan==1',
]


@given(text=strategies.text(max_size=60) | strategies.sampled_from(CODE))
def test_any_typed_text_is_an_action_or_a_user_error(text: str) -> None:
    """Nothing is evaluated, and no error has characters that control a terminal."""

    def ask(_action: Any) -> str:
        return text

    with pytest.MonkeyPatch.context() as patch:
        for name in ('eval', 'exec', 'compile', '__import__'):
            patch.setattr(builtins, name, lambda *_args, **_kwargs: pytest.fail('typed text was executed'))
        try:
            unit = ManualPolicy(PAN_TILT, ask).act(NOTHING, np.zeros(2), 0, stream(1, 'test', 0))
        except UserError as error:
            assert str(error).isprintable()
        except EndOfActionsError:
            assert text.strip().lower() == 'q'
        else:
            assert np.isfinite(unit).all() and np.abs(unit).max() <= 1.0 and unit.dtype == np.float32


def test_manual_is_refused_for_a_model() -> None:
    with pytest.raises(UserError, match=r"policy 'manual'; expected a user.*./cls run --policy manual"):
        make('manual')


# ---- in training


def train_options(folder: Path, **settings: Any) -> TrainOptions:
    overrides = {'network.fast_hidden': 8, 'network.slow_hidden': 8, **settings}
    return TrainOptions(robot='square', model='m', models_dir=folder, steps=12, seed=5, overrides=overrides)


def test_training_ends_with_the_recorded_actions(tools: SimpleNamespace, tmp_path: Path, caplog: Any) -> None:
    """Every recorded action is done and learned from; then the model is saved."""
    robot = RobotInfo('square', ('camera',), PAN_TILT.channels)
    session = tools.write_session(tmp_path / 'session', robot, [(i, (0.0, 1.0), 0) for i in range(7)])
    settings = {'policy.kind': 'recorded', 'policy.session': str(session)}
    reports: list[int] = []
    train(train_options(tmp_path, **settings), lambda progress: reports.append(progress.step))
    assert reports == list(range(1, 8))
    assert 'ended after 7 steps: all 7 recorded actions of session are done' in caplog.text


def test_the_end_of_recorded_actions_is_reported_once(tools: SimpleNamespace, tmp_path: Path) -> None:
    """The step before it is learned from, then the mode is manual."""
    session = tools.write_session(tmp_path / 'session', None, [(0, (1.0, 0.0), 0), (1, (2.0, 0.0), 0)])
    learner = tools.online_learner(tools.recipe({'policy.kind': 'recorded', 'policy.session': str(session)}))
    node, sent, world = SimpleNamespace(mode='curiosity', faults=[]), [], tools.PanTiltWorld()
    node.report_fault = node.faults.append
    while node.mode == 'curiosity':
        with until_the_last_action(node):
            observation = Observation.of_embedding(world.embedding())
            sent.append(learner.act(observation, world.joints, node.mode, learner.total_steps))
            online_step(learner, world.step(sent[-1]), node.mode, True, sent.append)
            online_step(learner, world.step(sent[-1]), node.mode, True, sent.append)
    assert [action.tolist() for action in sent] == [[1.0, 0.0], [2.0, 0.0]] and learner.total_steps == 2
    assert node.faults == ['all 2 recorded actions of session are done; mode is manual now']


def test_a_policy_that_can_not_act_makes_no_model(tmp_path: Path) -> None:
    for settings in ({'policy.kind': 'manual'}, {'policy.kind': 'constant', 'policy.action': '1 2 3'}):
        with pytest.raises(UserError, match=r'no prompt|found 3 values'):
            train(train_options(tmp_path, **settings))
    assert not (tmp_path / 'm' / 'config.json').exists()

"""Contract suite of every policy by name, and exploration by visit counts."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings, strategies
import numpy as np
from numpy.typing import NDArray
import pytest
import torch

from cls_common.errors import UserError
from cls_common.robot import Channel, Kind
from cls_common.transition import Observation
from cls_learning.policies.contract import EndOfActionsError
from cls_learning.randomness import stream
from cls_learning.registries import POLICIES

# `manual` needs a user; test_learning_selectors.py tests it.
KINDS = [kind for kind in POLICIES.names() if kind != 'manual']
EXPLORERS = ('curious', 'visit_count', 'prediction_error', 'random')
# Settings of the kinds that need some; each suits every robot below.
SETTINGS = {
    'constant': {'policy.action': '1 2'},
    'sequence': {'policy.sequence': '0 1; 1.5 2; 2 3'},
}
# Without joints visits are counted in embeddings.
ROBOTS = {
    'pan_tilt': {},
    'no_joints': {'joint_names': (), 'joint_low': (), 'joint_high': ()},
    'fixed_joint': {'joint_low': (0.3, -0.7), 'joint_high': (0.3, 0.7)},
    'other_kinds': {
        'channels': (Channel('turn', Kind.VELOCITY, 'rad/s', 0.0, 2.0), Channel('grip', Kind.DISCRETE, '', 0, 3)),
    },
}
NASTY = [0.0, -0.0, 1.0, -1e9, 1e30, -3e38, float('inf'), float('-inf'), float('nan'), 1e-40]


@pytest.fixture(autouse=True, scope='module')
def _recorded(tools: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A session for `recorded`, longer than any test here, that does not name its robot."""
    answers = [(step, (step % 3 * 0.5, step % 2), 0) for step in range(100)]
    session = tools.write_session(tmp_path_factory.mktemp('sessions') / 'session', None, answers)
    SETTINGS['recorded'] = {'policy.session': str(session)}
    yield
    del SETTINGS['recorded']


def learner_of(tools: SimpleNamespace, kind: str, robot: str = 'pan_tilt', steps: int = 0, **changes: Any) -> Any:
    chosen = {'policy.kind': kind, **SETTINGS.get(kind, {}), **changes}
    learner = tools.online_learner(tools.recipe(chosen), **ROBOTS[robot])
    world = tools.PanTiltWorld()
    for transition in world.walk(steps):
        joints = len(learner.robot.joint_names)
        object.__setattr__(transition, 'joints', transition.joints[:joints])
        object.__setattr__(transition, 'joints_next', transition.joints_next[:joints])
        learner.learn(transition)
    return learner


def act(learner: Any, z: NDArray[np.float32], joints: NDArray[np.float64], step: int) -> NDArray[np.float32]:
    action: NDArray[np.float32] = learner.policy.act(z, joints, step, stream(1, 'test', step))
    return action


def test_every_kind_is_tested() -> None:
    assert {*EXPLORERS, *SETTINGS} == set(KINDS)


@pytest.mark.parametrize('robot', ROBOTS)
@pytest.mark.parametrize('kind', KINDS)
def test_actions_are_units_of_the_right_size(tools: SimpleNamespace, kind: str, robot: str) -> None:
    learner = learner_of(tools, kind, robot, steps=20)
    joints = np.zeros(len(learner.robot.joint_names))
    actions = np.array([act(learner, np.ones(tools.Z_SIZE, np.float32), joints, step) for step in range(40)])
    assert actions.shape == (40, 2) and actions.dtype == np.float32
    assert np.abs(actions).max() <= 1.0
    assert len(np.unique(actions, axis=0)) > 30 or kind not in EXPLORERS, 'it explores'


@pytest.mark.parametrize('normalizer', ['running', 'identity'])
@pytest.mark.parametrize('robot', ROBOTS)
@pytest.mark.parametrize('kind', KINDS)
@settings(max_examples=25)
@given(data=strategies.data())
def test_actions_stay_in_range_whatever_is_sensed(
    tools: SimpleNamespace, kind: str, robot: str, normalizer: str, data: strategies.DataObject
) -> None:
    key = (kind, robot, normalizer)
    if key not in _STEADY:
        _STEADY[key] = learner_of(tools, kind, robot, steps=12, **{'normalizer.kind': normalizer})
    learner = _STEADY[key]
    values = strategies.sampled_from(NASTY) | strategies.floats(-1e3, 1e3, width=32)
    z = data.draw(strategies.lists(values, min_size=tools.Z_SIZE, max_size=tools.Z_SIZE))
    count = len(learner.robot.joint_names)
    joints = data.draw(strategies.lists(values, min_size=count, max_size=count))
    step = data.draw(strategies.integers(0, 10**9))
    with np.errstate(all='ignore'):
        try:
            action = act(learner, np.array(z, np.float32), np.array(joints, np.float64), step)
        except EndOfActionsError:
            assert kind == 'recorded' and step >= 100
            return
    assert np.isfinite(action).all() and np.abs(action).max() <= 1.0


_STEADY: dict[tuple[str, str, str], Any] = {}


@pytest.mark.parametrize('kind', KINDS)
def test_the_same_state_and_step_act_the_same(tools: SimpleNamespace, kind: str) -> None:
    z, joints = np.linspace(-1, 1, tools.Z_SIZE, dtype=np.float32), np.array([0.2, -0.1])
    learners = [learner_of(tools, kind, steps=40) for _ in range(2)]
    for step in (0, 3, 40, 41):
        a, b = (act(learner, z, joints, step) for learner in learners)
        assert np.array_equal(a, b)
    same = np.array_equal(act(learners[0], z, joints, 40), act(learners[0], z, joints, 41))
    assert same == (kind == 'constant')


@pytest.mark.parametrize('robot', ['pan_tilt', 'no_joints'])
@pytest.mark.parametrize('kind', KINDS)
def test_state_round_trip(tools: SimpleNamespace, kind: str, robot: str) -> None:
    learner, fresh = learner_of(tools, kind, robot, steps=30), learner_of(tools, kind, robot)
    fresh.load_bytes(learner.to_bytes())
    a, b = learner.policy.state(), fresh.policy.state()
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    joints = np.zeros(len(learner.robot.joint_names))
    z = np.ones(tools.Z_SIZE, np.float32)
    assert np.array_equal(act(learner, z, joints, 30), act(fresh, z, joints, 30))
    for name, tensor in a.items():
        tensor.zero_()
        assert name in b
    assert all(torch.equal(learner.policy.state()[name], b[name]) for name in b), 'what is returned is a copy'


@pytest.mark.parametrize('kind', KINDS)
def test_rewards_are_numbers(tools: SimpleNamespace, kind: str) -> None:
    learner = learner_of(tools, kind)
    rewards = [learner.policy.reward(transition, 0.25) for transition in tools.PanTiltWorld().walk(50)]
    assert np.isfinite(rewards).all() and min(rewards) >= 0.0


def test_prediction_error_rewards_the_error_before_learning(tools: SimpleNamespace) -> None:
    learner = learner_of(tools, 'prediction_error', steps=10)
    transition = next(tools.PanTiltWorld().walk(1))
    experience = learner.learn(transition)
    assert experience.metrics['curiosity_reward'] == experience.metrics['error_before']


def test_prediction_error_acts_at_random_first_and_then_with_noise(tools: SimpleNamespace) -> None:
    """Uniform for `warmup` steps, then the actor with noise of 0.3, clamped after the noise."""
    learner = learner_of(tools, 'prediction_error')
    z, joints = np.zeros(tools.Z_SIZE, np.float32), np.zeros(2)
    early = np.array([learner.policy.act(z, joints, 4, np.random.default_rng(i)) for i in range(2000)])
    assert early.std() == pytest.approx(1 / np.sqrt(3), abs=0.02) and abs(early.mean()) < 0.03
    late = np.array([learner.policy.act(z, joints, 5, np.random.default_rng(i)) for i in range(2000)])
    assert late.std(axis=0) == pytest.approx(0.3, abs=0.02)
    with torch.no_grad():
        learner.policy.actor[-2].bias.fill_(10.0)
    clamped = np.array([learner.policy.act(z, joints, 5, np.random.default_rng(i)) for i in range(200)])
    assert clamped.max() == 1.0 and 0.3 < (clamped == 1.0).mean() < 0.7


def test_the_reward_of_visit_count_is_bounded_and_falls(tools: SimpleNamespace) -> None:
    """1 / sqrt(1 + visits), independent of the error of the model."""
    learner = learner_of(tools, 'visit_count')
    transition = next(tools.PanTiltWorld().walk(1))
    rewards = [learner.policy.reward(transition, 1e30) for _ in range(100)]
    assert rewards == pytest.approx([1 / np.sqrt(1 + n) for n in range(100)])


def explore(
    tools: SimpleNamespace, mode: str, seed: int, steps: int, start_deg: tuple[float, float]
) -> NDArray[np.float64]:
    """Returns poses in degrees, (steps + 1, 2), of an ideal pan-tilt; default cells and horizon, nothing is learned."""
    robot = tools.pan_tilt()
    learner = tools.online_learner(tools.recipe({'policy.kind': 'visit_count'}), seed=seed)
    world = tools.PanTiltWorld()
    world.joints = np.radians(start_deg)
    poses = [world.joints]
    for step in range(steps):
        transition = world.step(learner.act(Observation.of_embedding(world.embedding()), world.joints, mode, step))
        learner.policy.reward(transition, 0.0)
        poses.append(world.joints)
    assert (np.abs(np.degrees(poses)) <= np.degrees(robot.joint_high) + 1e-9).all()
    return np.degrees(poses)


def cells(poses: NDArray[np.float64]) -> int:
    """Counts 10 x 10 degree cells visited, of 144."""
    index = np.floor((poses + [90, 40]) / 10 - 1e-9).astype(int)
    return len({(int(a), int(b)) for a, b in index})


def test_visit_count_covers_more_than_random(tools: SimpleNamespace) -> None:
    """At least twice as many 10-degree cells in 200 steps from the centre."""
    counted = [cells(explore(tools, 'curiosity', seed, 200, (0, 0))) for seed in range(4)]
    random = [cells(explore(tools, 'random', seed, 200, (0, 0))) for seed in range(4)]
    assert np.mean(counted) >= 2.0 * np.mean(random)
    assert min(counted) >= 0.7 * 144


def test_visit_count_leaves_a_corner_of_the_joint_limits(tools: SimpleNamespace) -> None:
    """From (90, 40), away from both limits within 120 steps; median within 40."""
    steps = []
    for seed in range(10):
        poses = explore(tools, 'curiosity', seed, 120, (90, 40))
        away = (np.abs(poses[:, 0]) < 80) & (np.abs(poses[:, 1]) < 30)
        assert away.any(), f'seed {seed} is stuck'
        steps.append(int(away.argmax()))
    assert np.median(steps) <= 40


def test_visit_count_is_curious_with_its_default_reward(tools: SimpleNamespace) -> None:
    z, joints = np.ones(tools.Z_SIZE, np.float32), np.array([0.2, -0.1])
    learners = [learner_of(tools, kind, steps=30) for kind in ('curious', 'visit_count')]
    assert all(np.array_equal(*(act(learner, z, joints, step) for learner in learners)) for step in range(30, 35))
    assert learners[0].to_bytes() == learners[1].to_bytes()
    with pytest.raises(UserError, match=r"reward 'rnd'.*policy 'curious'"):
        learner_of(tools, 'visit_count', **{'policy.reward': 'rnd'})


def test_an_unknown_kind_is_refused_with_the_list() -> None:
    listed = r'constant, curious, manual, prediction_error, random, recorded, sequence, visit_count'
    with pytest.raises(UserError, match=rf"'psychic'.*{listed}"):
        POLICIES.find('psychic')


def test_visits_of_another_robot_are_refused(tools: SimpleNamespace) -> None:
    other = learner_of(tools, 'visit_count', 'fixed_joint')
    with pytest.raises(UserError, match='cells'):
        learner_of(tools, 'visit_count').load_bytes(other.to_bytes())

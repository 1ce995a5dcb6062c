"""Contract suite of every reward and of products of them, and what each prefers."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings, strategies
import numpy as np
from numpy.typing import NDArray
import pytest
import torch

from cls_common.errors import UserError
from cls_common.transition import Observation, Transition
from cls_learning import rewards, state_bytes
from cls_learning.randomness import stream
from cls_learning.registries import REWARDS
from cls_learning.rewards.candidate_rollouts import CandidateRollouts
from cls_learning.rewards.running_normalizer import RunningNormalizer

NAMES = REWARDS.names()
EVERY = [*NAMES, 'visit_count*disagreement', 'rnd * learning_progress']
NO_JOINTS = {'joint_names': (), 'joint_low': (), 'joint_high': ()}
NASTY = [0.0, -1e9, 1e30, -3e38, float('inf'), float('nan'), 1e-40]


def learner_of(tools: SimpleNamespace, reward: str, steps: int = 0, seed: int = 0, **robot: Any) -> Any:
    learner = tools.online_learner(
        tools.recipe({'policy.kind': 'curious', 'policy.reward': reward}), seed=seed, **robot
    )
    for transition in tools.PanTiltWorld().walk(steps):
        if robot:
            for name in ('joints', 'joints_next'):
                object.__setattr__(transition, name, np.zeros(0))
        learner.learn(transition)
    return learner


def reward_of(learner: Any) -> Any:
    return learner.policy._reward


def imagine(learner: Any, z: NDArray[np.float32], joints: NDArray[np.float64], count: int = 6) -> CandidateRollouts:
    actions = stream(0, 'test', 0).uniform(-1, 1, (count, 2)).astype(np.float32)
    return CandidateRollouts(z, joints, actions, 4, learner.fast)


def test_rewards_are_found_by_name() -> None:
    assert NAMES == ['disagreement', 'learning_progress', 'prediction_error', 'rnd', 'visit_count']
    with pytest.raises(UserError, match=r"unknown reward 'fun'.*disagreement, learning_progress"):
        rewards.parse('visit_count*fun')
    with pytest.raises(UserError, match='once'):
        rewards.parse('rnd*rnd')


@pytest.mark.parametrize('robot', [{}, NO_JOINTS], ids=['joints', 'no_joints'])
@pytest.mark.parametrize('name', EVERY)
def test_scores_are_shares_for_each_step_of_a_rollout(tools: SimpleNamespace, name: str, robot: dict[str, Any]) -> None:
    learner = learner_of(tools, name, steps=25, **robot)
    before = {key: value.clone() for key, value in learner.policy.state().items()}
    worth = reward_of(learner).score(
        imagine(learner, np.ones(tools.Z_SIZE, np.float32), np.zeros(2 if not robot else 0))
    )
    assert worth.shape == (6, 4) and worth.dtype == np.float64
    assert (worth >= 0.0).all() and (worth <= 1.0).all() and worth.max() > 0.0
    assert all(torch.equal(before[key], value) for key, value in learner.policy.state().items()), (
        'scoring changes nothing'
    )


@pytest.mark.parametrize('name', EVERY)
@settings(max_examples=15)
@given(data=strategies.data())
def test_rewards_stay_in_bounds_whatever_is_sensed(
    tools: SimpleNamespace, name: str, data: strategies.DataObject
) -> None:
    learner = learner_of(tools, name, steps=8)
    values = strategies.sampled_from(NASTY) | strategies.floats(-1e3, 1e3, width=32)
    z = np.array(data.draw(strategies.lists(values, min_size=tools.Z_SIZE, max_size=tools.Z_SIZE)), np.float32)
    error = data.draw(strategies.sampled_from([0.0, 1e-300, 1e30, 1e300]) | strategies.floats(0, 1e6))
    transition = next(tools.PanTiltWorld().walk(1))
    with np.errstate(all='ignore'):
        worths = [reward_of(learner).observe(transition, error) for _ in range(2)]
        ahead = reward_of(learner).score(imagine(learner, z, np.zeros(2)))
    assert all(0.0 <= worth <= 1.0 for worth in worths)
    assert np.isfinite(ahead).all() and ahead.min() >= 0.0 and ahead.max() <= 1.0


@pytest.mark.parametrize('name', EVERY)
def test_a_saved_reward_continues_bit_for_bit(tools: SimpleNamespace, name: str) -> None:
    """Two learners, one of them loaded from the state of the other, act and are rewarded alike."""
    one, other = learner_of(tools, name, steps=30), learner_of(tools, name)
    other.load_bytes(one.to_bytes())
    world = tools.PanTiltWorld(scene=3)
    for step in range(12):
        actions = [
            learner.act(Observation.of_embedding(world.embedding()), world.joints, 'curiosity', step)
            for learner in (one, other)
        ]
        assert np.array_equal(*actions)
        transition = world.step(actions[0])
        rewarded = [learner.learn(transition).metrics['curiosity_reward'] for learner in (one, other)]
        assert rewarded[0] == rewarded[1]
    assert one.to_bytes() == other.to_bytes()
    state = one.policy.state()
    assert all(key.startswith('policy.') for key in state)
    # Models of older versions have no count of failed attempts, and no saved target.
    for key in (key for key in state if not key.endswith(('.missed', 'target.into'))):
        missing = {k: v for k, v in one.state().items() if k != key}
        with pytest.raises(UserError):
            learner_of(tools, name).load_bytes(state_bytes.pack(missing))


@pytest.mark.parametrize('name', EVERY)
def test_trained_rewards_depend_on_the_seed(tools: SimpleNamespace, name: str) -> None:
    """Networks start from other weights; counts start at zero."""
    states = [learner_of(tools, name, steps=0, seed=seed).policy.state() for seed in (0, 0, 1)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    differ = any(not torch.equal(states[0][key], states[2][key]) for key in states[0])
    assert differ == any(factor not in ('visit_count', 'learning_progress') for factor in rewards.parse(name))


def test_a_product_is_the_product_of_its_factors(tools: SimpleNamespace) -> None:
    names = ('visit_count', 'disagreement')
    both, *each = (learner_of(tools, name, steps=20) for name in ('*'.join(names), *names))
    z, joints = np.ones(tools.Z_SIZE, np.float32), np.zeros(2)
    worth, *factors = (reward_of(learner).score(imagine(learner, z, joints)) for learner in (both, *each))
    assert np.allclose(worth, factors[0] * factors[1])
    transition = next(tools.PanTiltWorld().walk(1, seed=4))
    reward, *parts = (reward_of(learner).observe(transition, 0.1) for learner in (both, *each))
    assert reward == pytest.approx(parts[0] * parts[1])


@pytest.mark.parametrize('name', ['visit_count', 'learning_progress'])
def test_counting_rewards_give_up_places_behind_a_wall(tools: SimpleNamespace, name: str) -> None:
    """Unvisited places that can not be reached must not hold the robot at the wall."""
    learner = learner_of(tools, name)
    world = tools.PanTiltWorld()
    world.joints = np.radians([-45.0, 0.0])
    at_wall = 0
    for step in range(300):
        action = learner.act(Observation.of_embedding(world.embedding()), world.joints, 'curiosity', step)
        free = np.array([min(action[0], -10.0 - np.degrees(world.joints[0])), action[1]], np.float32)
        transition = world.step(free)
        object.__setattr__(transition, 'action_commanded', action)
        learner.learn(transition)
        at_wall += np.degrees(world.joints[0]) > -10.01
    assert at_wall < 60


def test_a_state_without_counts_of_failed_attempts_is_loaded(tools: SimpleNamespace) -> None:
    learner, fresh = learner_of(tools, 'visit_count', steps=20), learner_of(tools, 'visit_count')
    fresh.load({key: value for key, value in learner.state().items() if key != 'policy.missed'})
    assert torch.equal(fresh.policy.state()['policy.visits'], learner.policy.state()['policy.visits'])
    assert not fresh.policy.state()['policy.missed'].any()


def test_trained_rewards_learn_at_their_interval(tools: SimpleNamespace) -> None:
    """Every `policy.interval` steps, once there is a batch; each loss is in the metrics of its step."""
    for name in NAMES:
        learner = learner_of(tools, name)
        due = [i for i, t in enumerate(tools.PanTiltWorld().walk(13), 1) if 'policy_loss' in learner.learn(t).metrics]
        assert due == ([] if name in ('visit_count', 'learning_progress') else [4, 8, 12])


def still(tools: SimpleNamespace, z: NDArray[np.float32], z_next: NDArray[np.float32]) -> Transition:
    """Makes a transition without motion."""
    zero = np.zeros(2, np.float32)
    return Transition.of_embeddings(
        z=z,
        z_next=z_next,
        action_commanded=zero,
        action_applied=zero,
        joints=np.zeros(2),
        joints_next=np.zeros(2),
        boundary=False,
    )


def in_front_of_noise(tools: SimpleNamespace, name: str, steps: int) -> list[float]:
    """Returns the reward of each step of a robot at rest whose every embedding is drawn at random."""
    settings = tools.recipe(
        {'policy.kind': 'curious', 'policy.reward': name, 'policy.interval': 1, 'policy.batch_size': 8}
    )
    learner = tools.online_learner(settings)
    frames = np.random.default_rng(0).normal(0, 1, (steps + 1, tools.Z_SIZE)).astype(np.float32)
    return [learner.learn(still(tools, z, z_next)).metrics['curiosity_reward'] for z, z_next in pairwise(frames)]


def test_noise_loses_its_reward_by_visits_and_by_progress_but_not_by_error(tools: SimpleNamespace) -> None:
    """A noisy screen never becomes predictable, so that its error stays high."""
    for name, share in (('visit_count', 0.2), ('learning_progress', 0.2), ('visit_count*prediction_error', 0.2)):
        worth = in_front_of_noise(tools, name, 60)
        assert np.mean(worth[-10:]) < share * worth[0], name
    assert np.mean(in_front_of_noise(tools, 'prediction_error', 60)[-10:]) > 0.4


def test_learning_progress_rewards_falling_errors(tools: SimpleNamespace) -> None:
    reward = reward_of(learner_of(tools, 'learning_progress'))
    z = np.zeros(tools.Z_SIZE, np.float32)
    step = still(tools, z, z + 1.0)  # changes by 1: an error of 1 is learner of all that there is
    for _ in range(60):
        reward.observe(step, 1.0)
    without_progress = reward.observe(step, 1.0)
    reward.observe(step, 0.2)
    assert without_progress < 1e-3 < 0.05 < reward.observe(step, 0.1)


def test_disagreement_is_lower_in_a_scene_that_was_learned(tools: SimpleNamespace) -> None:
    """Lower than for the same actions in an unknown scene."""
    settings = tools.recipe(
        {'policy.kind': 'curious', 'policy.reward': 'disagreement', 'policy.interval': 1, 'policy.batch_size': 16}
    )
    learner = tools.online_learner(settings)
    for transition in tools.PanTiltWorld().walk(150):
        learner.learn(transition)
    seen, new = (
        np.mean(
            [reward_of(learner)._spread(_inputs(learner, t)).item() for t in tools.PanTiltWorld(scene).walk(20, seed=9)]
        )
        for scene in (0, 5)
    )
    assert seen < 0.7 * new


def _inputs(learner: Any, transition: Transition) -> torch.Tensor:
    z, action = (torch.from_numpy(part)[None] for part in (transition.z, transition.action_applied))
    return torch.cat([reward_of(learner).project(z), reward_of(learner).units(action)], dim=-1)


def test_a_bounded_value_is_its_share_of_itself_and_the_running_mean() -> None:
    bounded = RunningNormalizer('x')
    assert bounded.observe(7.0) == 0.5, 'the mean is this value'
    assert bounded.observe(7.0) == pytest.approx(0.5)
    assert bounded.observe(21.0) == pytest.approx(0.75)
    assert bounded.observe(float('inf')) == 1.0 and bounded.observe(float('nan')) == 0.0
    again = RunningNormalizer('x')
    again.load(bounded.state())
    assert again.observe(3.0) == bounded.observe(3.0)

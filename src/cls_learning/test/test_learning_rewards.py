"""One contract for every reward in the folder and for products of them; what each is drawn to (H3)."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings, strategies
import numpy as np
from numpy.typing import NDArray
import pytest
import torch

from cls_common.errors import UserError
from cls_common.transition import Transition
from cls_learning import rewards
from cls_learning.randomness import stream
from cls_learning.registries import REWARDS
from cls_learning.rewards.bounded import Bounded
from cls_learning.rewards.imagined import Imagined

NAMES = REWARDS.names()
EVERY = [*NAMES, 'visit_count*disagreement', 'rnd * learning_progress']
NO_JOINTS = {'joint_names': (), 'joint_low': (), 'joint_high': ()}
NASTY = [0.0, -1e9, 1e30, -3e38, float('inf'), float('nan'), 1e-40]


def half_of(tools: SimpleNamespace, reward: str, steps: int = 0, seed: int = 0, **body: Any) -> Any:
    half = tools.waking(tools.recipe({'policy.kind': 'curious', 'policy.reward': reward}), seed=seed, **body)
    for transition in tools.Body().walk(steps):
        if body:
            for name in ('joints', 'joints_next'):
                object.__setattr__(transition, name, np.zeros(0))
        half.learn(transition)
    return half


def reward_of(half: Any) -> Any:
    return half.policy._reward


def imagine(half: Any, z: NDArray[np.float32], joints: NDArray[np.float64], count: int = 6) -> Imagined:
    actions = stream(0, 'test', 0).uniform(-1, 1, (count, 2)).astype(np.float32)
    return Imagined(z, joints, actions, 4, half.fast)


def test_the_rewards_there_are() -> None:
    assert NAMES == ['disagreement', 'learning_progress', 'prediction_error', 'rnd', 'visit_count']
    with pytest.raises(UserError, match=r"unknown reward 'fun'.*disagreement, learning_progress"):
        rewards.parse('visit_count*fun')
    with pytest.raises(UserError, match='once'):
        rewards.parse('rnd*rnd')


@pytest.mark.parametrize('body', [{}, NO_JOINTS], ids=['joints', 'no_joints'])
@pytest.mark.parametrize('name', EVERY)
def test_worth_is_a_share_for_each_imagined_step(tools: SimpleNamespace, name: str, body: dict[str, Any]) -> None:
    half = half_of(tools, name, steps=25, **body)
    before = {key: value.clone() for key, value in half.policy.state().items()}
    worth = reward_of(half).ahead(imagine(half, np.ones(tools.Z_SIZE, np.float32), np.zeros(2 if not body else 0)))
    assert worth.shape == (6, 4) and worth.dtype == np.float64
    assert (worth >= 0.0).all() and (worth <= 1.0).all() and worth.max() > 0.0
    assert all(torch.equal(before[key], value) for key, value in half.policy.state().items()), 'looking changes nothing'


@pytest.mark.parametrize('name', EVERY)
@settings(max_examples=15)
@given(data=strategies.data())
def test_nothing_lived_or_seen_leaves_the_bounds(
    tools: SimpleNamespace, name: str, data: strategies.DataObject
) -> None:
    half = half_of(tools, name, steps=8)
    values = strategies.sampled_from(NASTY) | strategies.floats(-1e3, 1e3, width=32)
    z = np.array(data.draw(strategies.lists(values, min_size=tools.Z_SIZE, max_size=tools.Z_SIZE)), np.float32)
    error = data.draw(strategies.sampled_from([0.0, 1e-300, 1e30, 1e300]) | strategies.floats(0, 1e6))
    lived = next(tools.Body().walk(1))
    with np.errstate(all='ignore'):
        worths = [reward_of(half).lived(lived, error) for _ in range(2)]
        ahead = reward_of(half).ahead(imagine(half, z, np.zeros(2)))
    assert all(0.0 <= worth <= 1.0 for worth in worths)
    assert np.isfinite(ahead).all() and ahead.min() >= 0.0 and ahead.max() <= 1.0


@pytest.mark.parametrize('name', EVERY)
def test_what_is_learned_is_saved_whole(tools: SimpleNamespace, name: str) -> None:
    """Two lives, one of them through bytes on the way, go on alike to the last bit."""
    one, other = half_of(tools, name, steps=30), half_of(tools, name)
    other.load_bytes(one.to_bytes())
    body = tools.Body(scene=3)
    for step in range(12):
        actions = [half.act(body.see(), body.joints, 'curiosity', step) for half in (one, other)]
        assert np.array_equal(*actions)
        transition = body.step(actions[0])
        rewarded = [half.learn(transition).metrics['curiosity_reward'] for half in (one, other)]
        assert rewarded[0] == rewarded[1]
    assert one.to_bytes() == other.to_bytes()
    state = one.policy.state()
    assert all(key.startswith('policy.') for key in state)
    # A model may be older than the count of what was aimed at in vain, or than a target that is saved.
    for key in (key for key in state if not key.endswith(('.missed', 'target.into'))):
        missing = {k: v for k, v in one.state().items() if k != key}
        with pytest.raises(UserError):
            half_of(tools, name).load(missing)


@pytest.mark.parametrize('name', EVERY)
def test_another_seed_is_another_reward(tools: SimpleNamespace, name: str) -> None:
    """What is trained begins elsewhere; what counts begins at nothing."""
    states = [half_of(tools, name, steps=0, seed=seed).policy.state() for seed in (0, 0, 1)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    differ = any(not torch.equal(states[0][key], states[2][key]) for key in states[0])
    assert differ == any(factor not in ('visit_count', 'learning_progress') for factor in rewards.parse(name))


def test_a_product_is_the_product_of_its_factors(tools: SimpleNamespace) -> None:
    names = ('visit_count', 'disagreement')
    both, *each = (half_of(tools, name, steps=20) for name in ('*'.join(names), *names))
    z, joints = np.ones(tools.Z_SIZE, np.float32), np.zeros(2)
    worth, *factors = (reward_of(half).ahead(imagine(half, z, joints)) for half in (both, *each))
    assert np.allclose(worth, factors[0] * factors[1])
    transition = next(tools.Body().walk(1, seed=4))
    lived, *parts = (reward_of(half).lived(transition, 0.1) for half in (both, *each))
    assert lived == pytest.approx(parts[0] * parts[1])


@pytest.mark.parametrize('name', ['visit_count', 'learning_progress'])
def test_who_counts_gives_up_what_is_behind_a_wall(tools: SimpleNamespace, name: str) -> None:
    """Two rooms with a wall between: what is new behind it must not hold the robot there for ever."""
    half = half_of(tools, name)
    body = tools.Body()
    body.joints = np.radians([-45.0, 0.0])
    at_wall = 0
    for step in range(300):
        action = half.act(body.see(), body.joints, 'curiosity', step)
        free = np.array([min(action[0], -10.0 - np.degrees(body.joints[0])), action[1]], np.float32)
        transition = body.step(free)
        object.__setattr__(transition, 'action_commanded', action)
        half.learn(transition)
        at_wall += np.degrees(body.joints[0]) > -10.01
    assert at_wall < 60


def test_a_model_from_before_walls_were_counted_goes_on(tools: SimpleNamespace) -> None:
    half, fresh = half_of(tools, 'visit_count', steps=20), half_of(tools, 'visit_count')
    fresh.load({key: value for key, value in half.state().items() if key != 'policy.missed'})
    assert torch.equal(fresh.policy.state()['policy.visits'], half.policy.state()['policy.visits'])
    assert not fresh.policy.state()['policy.missed'].any()


def test_rewards_that_learn_do_so_when_it_is_due(tools: SimpleNamespace) -> None:
    """Every `policy.interval` steps, once a batch is there: and each loss is in the metrics of its step."""
    for name in NAMES:
        half = half_of(tools, name)
        due = [i for i, t in enumerate(tools.Body().walk(13), 1) if 'policy_loss' in half.learn(t).metrics]
        assert due == ([] if name in ('visit_count', 'learning_progress') else [4, 8, 12])


def still(tools: SimpleNamespace, z: NDArray[np.float32], z_next: NDArray[np.float32]) -> Transition:
    """A step that moves nothing."""
    zero = np.zeros(2, np.float32)
    return Transition.of_embeddings(
        z=z, z_next=z_next, action_commanded=zero, action_applied=zero, joints=np.zeros(2), joints_next=np.zeros(2),
        boundary=False,
    )  # fmt: skip


def in_front_of_noise(tools: SimpleNamespace, name: str, steps: int) -> list[float]:
    """What each step is worth to a robot that stands still while everything it sees is drawn anew each time."""
    settings = tools.recipe(
        {'policy.kind': 'curious', 'policy.reward': name, 'policy.interval': 1, 'policy.batch_size': 8}
    )
    half = tools.waking(settings)
    frames = np.random.default_rng(0).normal(0, 1, (steps + 1, tools.Z_SIZE)).astype(np.float32)
    return [
        half.learn(still(tools, z, z_next)).metrics['curiosity_reward'] for z, z_next in pairwise(frames)
    ]  # fmt: skip


def test_noise_bores_whoever_counts_or_asks_for_progress(tools: SimpleNamespace) -> None:
    """A noisy screen never gets predictable: its error stays worth something, its visits and its progress do not."""
    for name, share in (('visit_count', 0.2), ('learning_progress', 0.2), ('visit_count*prediction_error', 0.2)):
        worth = in_front_of_noise(tools, name, 60)
        assert np.mean(worth[-10:]) < share * worth[0], name
    assert np.mean(in_front_of_noise(tools, 'prediction_error', 60)[-10:]) > 0.4


def test_progress_is_worth_something_where_errors_fall(tools: SimpleNamespace) -> None:
    reward = reward_of(half_of(tools, 'learning_progress'))
    z = np.zeros(tools.Z_SIZE, np.float32)
    step = still(tools, z, z + 1.0)  # changes by 1: an error of 1 is half of all that there is
    for _ in range(60):
        reward.lived(step, 1.0)
    bored = reward.lived(step, 1.0)
    reward.lived(step, 0.2)
    assert bored < 1e-3 < 0.05 < reward.lived(step, 0.1)


def test_heads_agree_about_what_they_have_often_seen(tools: SimpleNamespace) -> None:
    """Less than about the same moves in a place where nobody was."""
    settings = tools.recipe(
        {'policy.kind': 'curious', 'policy.reward': 'disagreement', 'policy.interval': 1, 'policy.batch_size': 16}
    )
    half = tools.waking(settings)
    for transition in tools.Body().walk(150):
        half.learn(transition)
    seen, new = (
        np.mean([reward_of(half)._spread(_inputs(half, t)).item() for t in tools.Body(scene).walk(20, seed=9)])
        for scene in (0, 5)
    )
    assert seen < 0.7 * new


def _inputs(half: Any, transition: Transition) -> torch.Tensor:
    z, action = (torch.from_numpy(part)[None] for part in (transition.z, transition.action_applied))
    return torch.cat([reward_of(half).see(z), reward_of(half).units(action)], dim=-1)


def test_shares_of_what_is_usual() -> None:
    bounded = Bounded('x')
    assert bounded.live(7.0) == 0.5, 'nothing is usual yet'
    assert bounded.live(7.0) == pytest.approx(0.5)
    assert bounded.live(21.0) == pytest.approx(0.75)
    assert bounded.live(float('inf')) == 1.0 and bounded.live(float('nan')) == 0.0
    again = Bounded('x')
    again.load(bounded.state())
    assert again.live(3.0) == bounded.live(3.0)

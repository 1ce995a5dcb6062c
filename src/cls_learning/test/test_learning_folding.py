"""A new snapshot of the normaliser changes no prediction in raw units: networks, averages, optimisers, rewards."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings, strategies
import numpy as np
import pytest
import torch
from torch import Tensor

from cls_learning import policies, testing, world_models
from cls_learning.brain import Goal
from cls_learning.brains.cls.consolidator import ClsConsolidator
from cls_learning.learners.folding import fold_module, fold_moments
from cls_learning.learners.optimisation import make_adam
from cls_learning.registries import REWARDS, WORLD_MODELS
from cls_learning.rewards.candidate_rollouts import CandidateRollouts
from cls_learning.space_change import SpaceChange
from cls_learning.world_models.contract import WorldModel
from cls_learning.world_models.mlp import MlpWorldModel

# A model that can't fold keeps its first normaliser.
KINDS = [kind for kind in WORLD_MODELS.names() if testing.maker(kind)().can_fold]
D, A = 7, 2
NO_JOINTS: dict[str, Any] = {'joint_names': (), 'joint_low': (), 'joint_high': ()}


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_model(kind: str, residual: bool, seed: int) -> WorldModel:
    model = world_models.make(kind, z_size=D, action_size=A, hidden=(9, 11), residual=residual, seed=seed).double()
    with torch.no_grad():
        for at, weight in enumerate(model.parameters()):
            weight.copy_(draw(*weight.shape, seed=seed + at))
    return model


def snapshots(seed: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], SpaceChange]:
    """Two random means and scales, and how normalised values change between them."""
    means = draw(2, D, seed=seed) * 10
    scales = (draw(2, seed=seed + 1) * 1.5).exp()
    old, new = zip(means, scales)
    return old, new, SpaceChange(scales[1] / scales[0], (means[1] - means[0]) / scales[0])


def loss_of(model: WorldModel, mean: Tensor, scale: Tensor, seed: int) -> Tensor:
    """One-step error of a batch of raw embeddings, in the units of the snapshot."""
    z, z_next, action = draw(5, D, seed=seed) * 5, draw(5, D, seed=seed + 1) * 5, draw(5, A, seed=seed + 2)
    _, out, _ = model.predict(model.initial(5), (z - mean) / scale, action)
    return (out - (z_next - mean) / scale).square().mean()


@pytest.mark.parametrize('kind', KINDS)
@settings(max_examples=30)
@given(seed=strategies.integers(0, 10_000), residual=strategies.booleans())
def test_folded_weights_predict_the_same_raw_embeddings(kind: str, residual: bool, seed: int) -> None:
    model = random_model(kind, residual, seed)
    (mean, scale), (mean_new, scale_new), change = snapshots(seed)
    z, actions = draw(20, D, seed=seed + 5) * 5, draw(20, 4, A, seed=seed + 6)
    before = model.rollout((z - mean) / scale, actions).detach() * scale + mean
    fold_module(model, model.fold, change)
    after = model.rollout((z - mean_new) / scale_new, actions).detach() * scale_new + mean_new
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9 * float(before.abs().max()))


@pytest.mark.parametrize('kind', KINDS)
@settings(max_examples=20)
@given(seed=strategies.integers(0, 10_000), residual=strategies.booleans())
def test_moments_fold_as_gradients_of_the_new_units_would(kind: str, residual: bool, seed: int) -> None:
    """First moments exactly; second ones too but for the first layer, where they are never below half the truth."""
    model = random_model(kind, residual, seed)
    old, new, change = snapshots(seed)
    optimizer, names = make_adam(model, 1e-3), [name for name, _ in model.named_parameters()]
    gradients = torch.autograd.grad(loss_of(model, *old, seed), optimizer.weights)
    optimizer.moments = {'exp_avg': [g.clone() for g in gradients], 'exp_avg_sq': [g.square() for g in gradients]}
    fold_moments(model, optimizer, model.fold, change, is_in_units=True)
    fold_module(model, model.fold, change)
    expected = torch.autograd.grad(loss_of(model, *new, seed), optimizer.weights)
    for name, first, second, true in zip(names, *optimizer.moments.values(), expected):
        size = float(true.abs().max())
        torch.testing.assert_close(first, true, rtol=1e-7, atol=1e-9 * size)
        if name == 'layers.0.weight':
            torch.testing.assert_close(second[:, D:], true[:, D:].square(), rtol=1e-7, atol=1e-9 * size**2)
            assert (second >= 0.5 * true.square() - 1e-9 * size**2).all()
        else:
            torch.testing.assert_close(second, true.square(), rtol=1e-7, atol=1e-9 * size**2)


def trained(tools: SimpleNamespace, steps: int, changes: dict[str, Any] | None = None, **robot: Any) -> Any:
    """Returns an online learner after some steps at one end of its room, so that the mean moves from here on."""
    learner = tools.online_learner(tools.recipe({'network.fast_hidden': 24, **(changes or {})}), **robot)
    for transition in tools.PanTiltWorld().walk(steps):
        if robot:
            transition = replace(transition, joints=np.zeros(0), joints_next=np.zeros(0))
        learner.learn(transition)
    return learner


def move(learner: Any) -> None:
    """Lets the running statistics move far; the snapshot stays."""
    for seed in range(60):
        learner.normalizer.observe(3.0 + 2.0 * draw(learner.z_size, seed=seed).float())


@pytest.mark.parametrize('kind', KINDS)
def test_a_new_cycle_changes_no_prediction_of_fast_nor_of_its_average(tools: SimpleNamespace, kind: str) -> None:
    learner = trained(tools, 40, {'network.world_model': kind, 'fast.learning_rate': 0.01})
    z, action = 0.3 * draw(30, learner.z_size, seed=1).float(), 10 * draw(30, 2, seed=2).float()
    x = learner.normalizer.normalize(z)
    before = learner.fast.predict(z, action), learner.normalizer.restore(learner.fast.forward(x, action))
    scale = float(learner.normalizer.scale)
    move(learner)
    learner.begin_cycle()
    assert float(learner.normalizer.scale) > 1.5 * scale, 'the snapshot did change'
    x = learner.normalizer.normalize(z)
    after = learner.fast.predict(z, action), learner.normalizer.restore(learner.fast.forward(x, action))
    for old, new in zip(before, after):
        assert float((old - z).abs().max().detach()) > 0.01, 'it predicts something'
        torch.testing.assert_close(new, old, rtol=1e-4, atol=1e-4)


def test_no_snapshot_awake_changes_a_prediction_of_slow(tools: SimpleNamespace) -> None:
    """Learning rates of 0: only the snapshot changes, at steps 1, 2, 4 ... 64 and after the sleep."""
    recipe = tools.recipe({'fast.learning_rate': 0.0, 'slow.wake_learning_rate': 0.0, 'network.residual': False})
    learner = tools.online_learner(recipe)
    consolidator = ClsConsolidator(recipe, tools.pan_tilt(), tools.Z_SIZE, 0)
    z, action = 0.3 * draw(30, tools.Z_SIZE, seed=1).float(), 10 * draw(30, 2, seed=2).float()
    scales, found = set(), []
    for step, transition in enumerate(tools.PanTiltWorld().walk(70), start=1):
        consolidator.learn(learner.learn(transition))
        if step >= 2:
            scales.add(float(consolidator.normalizer.scale))
            found.append(consolidator.slow.predict(z, action))
    run = consolidator.begin_sleep(learner.state(), Goal(dict.fromkeys(('sws', 'rem', 'tether'), -1)))
    for _ in run.run():
        pass
    run.finish()
    found.append(consolidator.slow.predict(z, action))
    assert len(scales) == 6
    inside = torch.isclose(z, consolidator.normalizer.restore(consolidator.normalizer.normalize(z))).all(dim=1)
    for other in found[14:]:  # from step 16 on: before it most values are outside of what was seen
        torch.testing.assert_close(other[inside], found[-1][inside], rtol=1e-3, atol=1e-3)


def test_a_rolled_back_sleep_leaves_everything_as_it_was(open_run: Callable[..., Any]) -> None:
    run = open_run().train(29)
    consolidator = run.session.consolidator
    before = {
        part: {name: tensor.clone() for name, tensor in each.items()} for part, each in consolidator.state().items()
    }
    sleep = consolidator.begin_sleep(run.learner.state(), Goal())
    for _ in sleep.run():
        pass
    sleep.finish()
    assert not torch.equal(consolidator.normalizer.mean, before['consolidator']['normalizer.mean'])
    sleep.roll_back()
    after = consolidator.state()
    assert {part: each.keys() for part, each in after.items()} == {part: each.keys() for part, each in before.items()}
    assert all(torch.equal(before[part][name], tensor) for part in after for name, tensor in after[part].items())


@pytest.mark.parametrize('robot', [{}, NO_JOINTS], ids=['joints', 'no_joints'])
@pytest.mark.parametrize('reward', REWARDS.names())
def test_a_new_cycle_changes_no_intrinsic_reward(tools: SimpleNamespace, reward: str, robot: dict[str, Any]) -> None:
    learner = trained(tools, 40, {'policy.kind': 'curious', 'policy.reward': reward}, **robot)
    z, joints = 0.3 * np.ones(tools.Z_SIZE, np.float32), np.zeros(0 if robot else 2)
    actions = np.random.default_rng(0).uniform(-1, 1, (6, 2)).astype(np.float32)

    def rewards() -> Any:
        return learner.policy._reward.score(CandidateRollouts(z, joints, actions, 3, learner.fast))

    before = rewards()
    move(learner)
    learner.begin_cycle()
    np.testing.assert_allclose(rewards(), before, rtol=2e-3, atol=2e-4)
    state, again = learner.policy.state(), tools.online_learner(learner.settings, **robot)
    again.policy.load(state)
    assert all(torch.equal(state[name], tensor) for name, tensor in again.policy.state().items())


def test_the_actor_of_the_original_system_chooses_the_same(tools: SimpleNamespace) -> None:
    learner = trained(tools, 40, {'policy.kind': 'prediction_error', 'policy.noise': 0.0})
    assert isinstance(learner.policy, policies.prediction_error.PredictionErrorPolicy)

    def choose() -> Any:
        return learner.policy.act(np.ones(tools.Z_SIZE, np.float32), np.zeros(2), 100, np.random.default_rng(0))

    before = choose()
    move(learner)
    learner.begin_cycle()
    np.testing.assert_allclose(choose(), before, rtol=1e-3, atol=1e-4)


def test_a_model_that_cannot_fold_gets_a_constant_normaliser(
    tools: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MlpWorldModel, 'can_fold', False)
    learner = trained(tools, 70, {'network.world_model': 'mlp'})
    mean, scale = learner.normalizer.mean.clone(), float(learner.normalizer.scale)
    again = tools.online_learner(learner.settings)
    again.load_bytes(learner.to_bytes())
    for other in (learner, again):
        move(other)
        other.begin_cycle()
        assert torch.equal(other.normalizer.mean, mean) and float(other.normalizer.scale) == scale

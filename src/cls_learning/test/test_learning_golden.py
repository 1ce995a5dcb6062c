"""Numbers of the original system, and each loss against a few lines of independent arithmetic."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn, Tensor

from cls_common.resources import config_dir
from cls_learning import policies
from cls_learning.config import LearningSettings
from cls_learning.consolidation.contract import SleepContext
from cls_learning.consolidation.rem import Rem
from cls_learning.consolidation.sws import SlowWaveSleep
from cls_learning.consolidation.tether import Tether
from cls_learning.learners.fast import FastLearner
from cls_learning.learners.normalizer import Normalizer
from cls_learning.learners.optimisation import make_adam, step
from cls_learning.learners.slow import SlowLearner
from cls_learning.memory.contract import Record, to_batch, to_windows
from cls_learning.memory.fifo import FifoMemory
from cls_learning.memory.trajectory_stitching import StitchedTrajectories
from cls_learning.policies.prediction_error import PredictionErrorPolicy
from cls_learning.runtime.config_resolution import resolve
from cls_learning.types import Batch

# No averaging and no clipping, so that what one step optimises is Adam's first step and nothing else.
BARE = {
    'network.world_model': 'mlp',
    'network.gradient_norm': 0.0,
    'fast.average': 0.0,
    'slow.average': 0.0,
    'normalizer.kind': 'identity',
    'sleep.virtual_share': 0.0,
}


def first_adam_step(module: nn.Module, loss: Tensor, rate: float) -> list[Tensor]:
    """The weights after Adam's first step on `loss`: both moments are the gradient's own, so it moves by its sign."""
    weights = list(module.parameters())
    gradients = torch.autograd.grad(loss, weights)
    return [(w - rate * g / (g.abs() + 1e-8)).detach() for w, g in zip(weights, gradients)]


def assert_equal(module: nn.Module, expected: list[Tensor]) -> None:
    for weight, value in zip(module.parameters(), expected):
        torch.testing.assert_close(weight.detach(), value, rtol=0, atol=2e-6)


def mean_square(a: Tensor, b: Tensor) -> Tensor:
    return ((a - b) ** 2).sum() / a.numel()


class Learners:
    """Fast, Slow and a memory of 40 random steps, wide networks of no structure."""

    def __init__(self, tools: SimpleNamespace, **changes: Any) -> None:
        self.settings = tools.recipe({**BARE, 'network.residual': False, **changes})
        self.robot = tools.pan_tilt()
        self.normalizer = Normalizer(self.settings.normalizer, tools.Z_SIZE)
        self.fast = FastLearner(self.settings, self.robot, tools.Z_SIZE, self.normalizer, 1)
        self.slow = SlowLearner(self.settings, self.robot, tools.Z_SIZE, self.normalizer, 2)
        self.memory = FifoMemory(100)
        self.records = [
            Record(t.z, t.z_next, t.action_applied, t.action_commanded, t.joints, i, 0, i)
            for i, t in enumerate(tools.PanTiltWorld().walk(40))
        ]
        for record in self.records:
            self.memory.add(record)
        self.sleep = SleepContext(
            self.fast,
            self.slow,
            self.memory,
            StitchedTrajectories([], self.robot, tools.Z_SIZE),
            make_adam(self.fast.online, 1e-3),
            self.settings.sleep,
        )

    def batch(self, seed: int = 0) -> Batch:
        """Returns what a phase with this seed draws."""
        return self.memory.transitions(self.settings.sleep.batch_size, np.random.default_rng(seed))


def network(module: Any, z: Tensor, action_deg: Tensor) -> Tensor:
    """An independent forward pass: actions are +-10 degrees."""
    out: Tensor = module.layers(torch.cat([z, action_deg / 10.0], dim=-1))
    return out


def test_parameter_counts(tools: SimpleNamespace) -> None:
    """Those of the original system; what the default adds stays within a tenth."""
    robot, found = tools.pan_tilt(), {}
    for kind in ('mlp', 'film'):
        settings = LearningSettings.from_flat({'network.world_model': kind})
        normalizer = Normalizer(settings.normalizer, 512)
        fast = FastLearner(settings, robot, 512, normalizer, 0)
        found[kind] = fast.parameter_count(), SlowLearner(settings, robot, 512, normalizer, 0).parameter_count()
    assert found == {'mlp': (263_424, 2_101_760), 'film': (264_960, 2_107_904)}
    assert round(2_101_760 / 263_424, 4) == 7.9786
    counts = {}
    for joint_aware in (True, False):
        own = LearningSettings.from_flat({'policy.kind': 'prediction_error', 'policy.joint_aware': joint_aware})
        policy = policies.make(own, robot, 512, fast, 0)
        assert isinstance(policy, PredictionErrorPolicy)
        counts[joint_aware] = sum(p.numel() for p in policy.actor.parameters())
    assert counts == {True: 198_146, False: 197_634}


def test_the_reference_preset_has_the_values_of_the_original_system() -> None:
    settings, origins, _ = resolve(config_dir() / 'presets', 'reference', {})
    assert {name: settings.to_flat()[name] for name in REFERENCE} == REFERENCE
    assert origins['fast.learning_rate'] == 'preset reference' and origins['sleep.rem_k'] == 'default'
    # What the original system does not have is off.
    assert settings.network.residual is False and settings.normalizer.kind == 'identity'
    assert (settings.fast.recent, settings.fast.older, settings.fast.reservoir) == (0, 0, 0)
    assert settings.fast.average == settings.slow.average == settings.sleep.rem_anchor == 0.0
    assert settings.network.world_model == 'mlp' and settings.sleep.virtual_share == 0.0


REFERENCE = {
    'network.fast_hidden': 256,
    'network.slow_hidden': 1024,
    'network.action_scaling': 'raw',
    'network.gradient_norm': 1.0,
    'act_before_learning': False,
    'save_interval': 1,
    'fast.learning_rate': 1e-3,
    'slow.wake_learning_rate': 1e-5,
    'slow.wake_distill_weight': 1.0,
    'slow.wake_raw_weight': 0.1,
    'slow.wake_interval': 1,
    'memory.kind': 'fifo',
    'memory.capacity': 5000,
    'sleep.wake_steps_per_cycle': 500,
    'sleep.learning_rate': 5e-4,
    'sleep.phases': 'sws rem tether',
    'sleep.batch_size': 32,
    'sleep.sws_steps': 200,
    'sleep.sws_alpha': 1.0,
    'sleep.sws_target': 'fast',
    'sleep.rem_steps': 200,
    'sleep.rem_k': 3,
    'sleep.rem_gamma': 0.5,
    'sleep.rem_reduction': 'mean',
    'sleep.tether_steps': 10,
    'sleep.tether_learning_rate': 1e-3,
    'policy.kind': 'prediction_error',
    'policy.hidden': 256,
    'policy.joint_aware': True,
    'policy.learning_rate': 1e-3,
    'policy.interval': 4,
    'policy.batch_size': 16,
    'policy.warmup': 50,
    'policy.noise': 0.3,
    'policy.clip_penalty': 0.1,
}


def test_fast_learns_the_real_next_embedding(tools: SimpleNamespace) -> None:
    own = Learners(tools)
    batch = to_batch(own.records[:5])
    loss = mean_square(network(own.fast.online, batch.z, batch.action), batch.z_next)
    expected = first_adam_step(own.fast.online, loss, own.settings.fast.learning_rate)
    assert own.fast.update(batch)['fast_loss'] == pytest.approx(loss.item(), rel=1e-5)
    assert_equal(own.fast.online, expected)


def test_slow_awake_weighs_distillation_and_truth(tools: SimpleNamespace) -> None:
    """With weights unlike those of the default and of the original system."""
    own = Learners(tools, **{'slow.wake_distill_weight': 0.25, 'slow.wake_raw_weight': 2.0})
    batch = to_batch(own.records[:1])
    prediction = torch.linspace(-1, 1, tools.Z_SIZE)[None]
    out = network(own.slow.online, batch.z, batch.action)
    distill, raw = mean_square(out, prediction), mean_square(out, batch.z_next)
    expected = first_adam_step(own.slow.online, 0.25 * distill + 2.0 * raw, own.settings.slow.wake_learning_rate)
    metrics = own.slow.update_awake(batch.z, batch.action, batch.z_next, prediction)
    assert metrics == pytest.approx({'slow_distill': distill.item(), 'slow_raw': raw.item()}, rel=1e-5)
    assert_equal(own.slow.online, expected)


def test_slow_wave_sleep_distils_fast(tools: SimpleNamespace) -> None:
    """The loss is alpha x error against Fast."""
    own = Learners(tools, **{'sleep.sws_alpha': 0.7, 'sleep.sws_target': 'fast'})
    batch = own.batch()
    target = network(own.fast.online, batch.z, batch.action).detach()
    dynamics = mean_square(network(own.slow.online, batch.z, batch.action), target)
    expected = first_adam_step(own.slow.online, 0.7 * dynamics, own.settings.sleep.learning_rate)
    result = SlowWaveSleep().step(own.sleep, np.random.default_rng(0))
    assert result.loss == pytest.approx(0.7 * dynamics.item(), rel=1e-5)
    assert result.metrics == pytest.approx({'avg_l_dyn': dynamics.item()}, rel=1e-5)
    assert_equal(own.slow.online, expected)


def test_the_share_of_fast_in_a_gated_target_is_its_skill(tools: SimpleNamespace) -> None:
    own = Learners(tools, **{'sleep.sws_target': 'gated', 'sleep.gate_max': 0.5, 'fast.learning_rate': 0.01})
    for _ in range(300):  # a Fast that is good at some samples and bad at others
        own.fast.update(to_batch(own.records[:15]))
    batch = own.batch()
    fast = network(own.fast.online, batch.z, batch.action).detach()
    targets, gates = [], []
    for f, z, z_next in zip(fast, batch.z, batch.z_next):
        ratio = float(((f - z_next) ** 2).mean() / ((z - z_next) ** 2).mean())
        gates.append(0.5 * min(max(1.0 - ratio, 0.0), 1.0))
        targets.append(gates[-1] * f + (1 - gates[-1]) * z_next)
    assert min(gates) == 0.0 < max(gates) <= 0.5, 'the samples should differ'
    loss = mean_square(network(own.slow.online, batch.z, batch.action), torch.stack(targets))
    expected = first_adam_step(own.slow.online, loss, own.settings.sleep.learning_rate)
    assert SlowWaveSleep().step(own.sleep, np.random.default_rng(0)).loss == pytest.approx(loss.item(), rel=1e-4)
    assert_equal(own.slow.online, expected)


@pytest.mark.parametrize('reduction', ['mean', 'sum'])
def test_rem_predicts_three_steps_from_a_real_start(tools: SimpleNamespace, reduction: str) -> None:
    """Targets are real embeddings, inputs are the predictions."""
    own = Learners(tools, **{'sleep.rem_reduction': reduction, 'sleep.rem_anchor': 0.3})
    windows = own.memory.windows(own.settings.sleep.batch_size, 3, np.random.default_rng(0))
    assert windows.z.shape == (8, 4, tools.Z_SIZE) and windows.action.shape == (8, 3, 2)
    predicted, errors = windows.z[:, 0], []
    for k in range(3):
        predicted = network(own.slow.online, predicted, windows.action[:, k])
        errors.append(mean_square(predicted, windows.z[:, k + 1]))
    multi_step = sum(errors[1:], errors[0]) / (3 if reduction == 'mean' else 1)
    loss = 0.5 * multi_step + 0.3 * errors[0]
    expected = first_adam_step(own.slow.online, loss, own.settings.sleep.learning_rate)
    result = Rem().step(own.sleep, np.random.default_rng(0))
    assert result.loss == pytest.approx(loss.item(), rel=1e-5)
    assert result.metrics == pytest.approx({'avg_l_ms': multi_step.item()}, rel=1e-5)
    assert_equal(own.slow.online, expected)


def test_tether_follows_outputs(tools: SimpleNamespace) -> None:
    own = Learners(tools)
    batch = own.batch()
    target = network(own.slow.online, batch.z, batch.action).detach()
    loss = mean_square(network(own.fast.online, batch.z, batch.action), target)
    expected = first_adam_step(own.fast.online, loss, 1e-3)
    assert Tether().step(own.sleep, np.random.default_rng(0)).loss == pytest.approx(loss.item(), rel=1e-5)
    assert_equal(own.fast.online, expected)


def actor_loss(learner: Any, batch: Batch, scale: float) -> Tensor:
    angles = batch.joints / torch.tensor([np.pi / 2, np.radians(40)], dtype=torch.float32)
    action = scale * learner.policy.actor(torch.cat([batch.z, angles], dim=-1))
    predicted = batch.z + learner.fast.online.layers(torch.cat([batch.z, action], dim=-1))
    return -mean_square(predicted, batch.z_next) + 0.1 * mean_square(action, batch.action / 10.0 * scale)


@pytest.mark.parametrize('scaling', ['raw', 'unit'])
def test_the_actor_seeks_error_near_applied_actions(tools: SimpleNamespace, scaling: str) -> None:
    """Angles are scaled by their limits; the distance is in the action units of the networks."""
    learner = tools.online_learner(
        tools.recipe({**BARE, 'network.action_scaling': scaling, 'policy.kind': 'prediction_error'})
    )
    for transition in tools.PanTiltWorld().walk(12):
        learner.learn(transition)
    batch, scale = learner.memory.sample(4, np.random.default_rng(3)), 10.0 if scaling == 'raw' else 1.0
    loss = actor_loss(learner, batch, scale)
    # Adam has moments by now, so that the actor is compared with another one of the same weights and moments.
    twin = tools.online_learner(learner.settings)
    twin.load_bytes(learner.to_bytes())
    reported = learner.policy.learn(learner.memory, 12, np.random.default_rng(3))
    assert reported['policy_loss'] == pytest.approx(loss.item(), rel=1e-4)
    step(twin.policy._optimizer, actor_loss(twin, batch, scale), 0.0)
    assert_equal(learner.policy.actor, [w.detach() for w in twin.policy.actor.parameters()])


def test_rollouts_begin_at_the_real_embedding(tools: SimpleNamespace) -> None:
    """One embedding more than actions: the first is the real one, each step feeds the next."""
    own = Learners(tools, **{'normalizer.kind': 'running'})
    for record in own.records:
        own.normalizer.observe(torch.from_numpy(record.z))
    own.normalizer.apply()
    window = to_windows([own.records[3:8]])
    for learner in (own.fast, own.slow):
        path = learner.rollout(window.z[:, 0], window.action)
        assert path.shape == (1, 6, tools.Z_SIZE)
        assert torch.equal(path[:, 0], window.z[:, 0])
        z = window.z[:, 0]
        for k in range(5):
            z = learner.predict(z, window.action[:, k])
            torch.testing.assert_close(path[:, k + 1], z, rtol=1e-4, atol=1e-4)


def test_untrained_residual_networks_predict_no_change(tools: SimpleNamespace) -> None:
    own = Learners(tools, **{'network.residual': True})
    batch = to_batch(own.records)
    for learner in (own.fast, own.slow):
        assert torch.equal(learner.predict(batch.z, batch.action), batch.z)


def test_averaged_weights_are_the_average_of_online_ones(tools: SimpleNamespace) -> None:
    own = Learners(tools, **{'fast.average': 0.9})
    batch = to_batch(own.records[:5])
    average = [w.detach().clone() for w in own.fast.online.parameters()]
    for _ in range(5):
        own.fast.update(batch)
        average = [0.9 * a + 0.1 * w.detach() for a, w in zip(average, own.fast.online.parameters())]
    for weight, value in zip(own.fast.ema.parameters(), average):
        torch.testing.assert_close(weight, value, rtol=0, atol=1e-6)
    assert not torch.equal(next(own.fast.ema.parameters()), next(own.fast.online.parameters()))


def test_gradients_are_clipped_to_a_norm() -> None:
    """On every optimiser step; 0 means never."""
    for limit, expected in ((1.0, 1.0), (0.0, 50.0)):
        module = nn.Linear(4, 1, bias=False)
        loss = (module.weight * torch.tensor([30.0, 40.0, 0.0, 0.0])).sum()
        step(make_adam(module, 1e-3), loss, limit)
        assert module.weight.grad is not None
        assert float(module.weight.grad.norm()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), 2e19])
def test_an_update_that_is_not_finite_changes_nothing(tools: SimpleNamespace, value: float) -> None:
    """Neither weights, averages, moments nor step counts; 2e19 is finite and its square is not."""
    own = Learners(tools, **{'fast.average': 0.9, 'slow.average': 0.9})
    batch = to_batch(own.records[:5])
    own.fast.update(batch)
    own.slow.update_awake(batch.z[:1], batch.action[:1], batch.z_next[:1], batch.z[:1])
    before = own.fast.state() | own.slow.state()
    bad = batch.z_next.clone()
    bad[0, 3] = value
    assert np.isnan(own.fast.update(Batch(batch.z, batch.action, bad, batch.joints))['fast_loss'])
    own.slow.update_awake(batch.z[:1], batch.action[:1], bad[:1], batch.z[:1])
    after = own.fast.state() | own.slow.state()
    assert after.keys() == before.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)

"""Test suites of the contracts of world models and sleep phases: subclass one for each implementation."""

from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from cls_common.robot import Channel, Kind, RobotInfo

from . import memory, world_models
from .config import LearningSettings
from .consolidation.contract import SleepContext
from .learners.fast import FastLearner
from .learners.normalizer import Normalizer
from .learners.optimisation import make_adam
from .learners.slow import SlowLearner
from .memory.contract import Record
from .memory.trajectory_stitching import StitchedTrajectories
from .registries import PHASES
from .world_models.contract import WorldModel

Z_SIZE = 12  # length of all embeddings in this file


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Returns standard normal numbers, float32 (*shape)."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class MakeModel(Protocol):
    """Makes an untrained world model for embeddings (B, Z_SIZE) and actions (B, 2)."""

    def __call__(self, seed: int = 1, hidden: tuple[int, ...] = (32, 32), residual: bool = True) -> WorldModel: ...


def maker(kind: str, settings: LearningSettings | None = None) -> MakeModel:
    """Returns a factory of a world model by name, with its own settings of `settings` or the defaults."""
    network = (settings or LearningSettings.from_flat({'network.world_model': kind})).network

    def make(seed: int = 1, hidden: tuple[int, ...] = (32, 32), residual: bool = True) -> WorldModel:
        return world_models.make(
            kind, z_size=Z_SIZE, action_size=2, hidden=hidden, residual=residual, seed=seed, plugins=network.plugins
        )

    return make


def weights(model: WorldModel) -> Tensor:
    """Returns all N parameters in one vector (N,)."""
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def train(model: WorldModel, steps: int = 400) -> float:
    """Trains on z_next = z + a[0] * f(z); returns the mean of the last errors, as a share of those of copying z."""
    turn = draw(Z_SIZE, Z_SIZE, seed=5) / 4
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    errors: list[float] = []
    for step in range(steps):
        z, a = draw(64, Z_SIZE, seed=step), draw(64, 2, seed=step + 10_000).clamp(-1, 1)
        _, out, _ = model.predict(model.initial(64), z, a)
        change = a[:, :1] * torch.tanh(z @ turn)
        loss = (out - z - change).square().mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        errors.append(float(loss.detach() / change.square().mean()))
    return float(np.mean(errors[-20:]))


class WorldModelSuite:
    """Tests of one world model.

    Fixtures:
        make_model (MakeModel): `testing.maker(kind)`.
    """

    def test_weights_depend_on_the_seed_and_not_on_the_global_generator(self, make_model: MakeModel) -> None:
        for hidden in ((32,), (32, 32)):
            torch.manual_seed(3)
            first = make_model(hidden=hidden)
            torch.manual_seed(4)
            assert torch.equal(weights(first), weights(make_model(hidden=hidden)))
            assert not torch.equal(weights(first), weights(make_model(seed=2, hidden=hidden)))

    def test_an_untrained_residual_model_predicts_no_change(self, make_model: MakeModel) -> None:
        model, z, a = make_model(), draw(5, Z_SIZE), draw(5, 2, seed=1)
        assert torch.equal(model.predict(model.initial(5), z, a)[1], z)
        plain = make_model(residual=False)
        assert not torch.equal(plain.predict(plain.initial(5), z, a)[1], z)

    def test_a_rollout_equals_single_steps(self, make_model: MakeModel) -> None:
        model, z, actions = make_model(), draw(4, Z_SIZE), draw(4, 3, 2, seed=1)
        train(model, 3)
        path, state = model.rollout(z, actions), model.initial(4)
        assert path.shape == (4, 4, Z_SIZE) and torch.equal(path[:, 0], z)
        for k in range(3):
            state, z, _ = model.predict(state, z, actions[:, k])
            torch.testing.assert_close(path[:, k + 1], z)

    def test_it_learns_the_effect_of_an_action(self, make_model: MakeModel) -> None:
        model = make_model()
        assert train(model) < 0.9

    def test_rows_of_a_batch_are_independent(self, make_model: MakeModel) -> None:
        model, z, a = make_model(), draw(6, Z_SIZE), draw(6, 2, seed=1)
        train(model, 3)
        whole = model.predict(model.initial(6), z, a)[1]
        torch.testing.assert_close(model.predict(model.initial(2), z[2:4], a[2:4])[1], whole[2:4])


def make_sleep_context(phase: str, records: int = 40, **values: object) -> SleepContext:
    """Returns a context of small networks and a memory of random actions of a pan-tilt.

    Args:
        phase: set in `sleep.phases`, so that its own settings exist.
        records: transitions in memory. values: settings by dotted name.
    """
    chosen = {'network.fast_hidden': 16, 'network.slow_hidden': 16, 'sleep.batch_size': 8, 'sleep.phases': phase}
    settings = LearningSettings.from_flat({**chosen, **values})
    channels = tuple(Channel(name, Kind.RELATIVE, 'deg', -10.0, 10.0) for name in ('pan', 'tilt'))
    robot = RobotInfo(
        name='pan_tilt',
        modalities=('camera',),
        channels=channels,
        joint_names=('pan', 'tilt'),
        joint_low=(-1.5, -0.7),
        joint_high=(1.5, 0.7),
    )
    normalizer = Normalizer(settings.normalizer, Z_SIZE)
    replay = memory.make(replace(settings.memory, capacity=100), seed=0)
    generator = np.random.default_rng(0)
    effect, z = generator.normal(size=(Z_SIZE, 2)), np.zeros(Z_SIZE, np.float32)
    for sequence in range(1, records + 1):
        action = generator.uniform(-10.0, 10.0, 2).astype(np.float32)
        z_next = (z + effect @ np.radians(action)).astype(np.float32)
        replay.add(Record(z, z_next, action, action, np.zeros(2), sequence, 0, sequence))
        z = z_next
    fast = FastLearner(settings, robot, Z_SIZE, normalizer, 0)
    slow = SlowLearner(settings, robot, Z_SIZE, normalizer, 0)
    for _ in range(10 if records else 0):  # else both predict no change, and distillation has no effect
        batch = replay.transitions(8, generator)
        slow.update_asleep((slow.forward(batch.z, batch.action) - batch.z_next).square().mean())
    return SleepContext(
        fast, slow, replay, StitchedTrajectories([], robot, Z_SIZE), make_adam(fast.online, 1e-3), settings.sleep
    )


class PhaseSuite:
    """Tests of one sleep phase.

    Fixtures:
        phase (str): its name, as in `sleep.phases`.
    """

    def test_its_name_is_that_of_its_module(self, phase: str) -> None:
        found = PHASES.find(phase).PHASE
        assert found.name == phase and found.loss_name
        assert found.steps(make_sleep_context(phase).settings) >= 1

    def test_it_is_skipped_with_a_reason_while_memory_is_too_small(self, phase: str) -> None:
        found = PHASES.find(phase).PHASE
        assert found.skip_reason(make_sleep_context(phase, records=0))
        assert found.skip_reason(make_sleep_context(phase)) == ''

    def test_its_steps_lower_the_loss_and_do_not_change_memory(self, phase: str) -> None:
        found, sleep = PHASES.find(phase).PHASE, make_sleep_context(phase)
        remembered = {name: value.clone() for name, value in sleep.memory.state().items()}
        generator = np.random.default_rng(0)
        results = [found.step(sleep, generator) for _ in range(60)]
        for result in results:
            assert np.isfinite([result.loss, *result.metrics.values()]).all()
        losses = [result.loss for result in results]
        assert np.mean(losses[-15:]) <= np.mean(losses[:15])
        after = sleep.memory.state()
        assert remembered.keys() == after.keys()
        assert all(torch.equal(value, after[name]) for name, value in remembered.items())

    def test_the_same_generator_gives_the_same_weights(self, phase: str) -> None:
        found, states = PHASES.find(phase).PHASE, []
        for seed in (1, 1, 2):
            sleep, generator = make_sleep_context(phase), np.random.default_rng(seed)
            for _ in range(5):
                found.step(sleep, generator)
            states.append({**sleep.slow.state(), **sleep.fast.state()})
        assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
        assert not all(torch.equal(value, states[2][name]) for name, value in states[0].items())

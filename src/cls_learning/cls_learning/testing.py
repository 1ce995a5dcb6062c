"""Test suites of the contracts of world models, sleep phases and penalties: subclass one for each implementation."""

from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from cls_common.robot import Channel, Kind, RobotInfo

from . import memory, penalties, world_models
from .config import LearningSettings
from .consolidation.contract import SleepContext
from .learners.fast import FastLearner
from .learners.normalizer import Normalizer
from .learners.optimisation import make_adam
from .learners.slow import SlowLearner
from .memory.contract import Record
from .memory.trajectory_stitching import StitchedTrajectories
from .penalties.contract import Divergence
from .penalties.samples import Gaussian
from .penalties.settings import AnchorSettings
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


PARTS = 3  # tasks of the toy network below, each with inputs of its own


class Toy:
    """A linear network of 6 inputs and 2 outputs; task k = 0, 1, 2 uses inputs 2k and 2k + 1 only, of its own map.

    Attributes:
        weight: float32 (2, 6). penalty: on it.
    """

    def __init__(self, name: str, **values: object) -> None:
        """`values`: settings of the penalty by name."""
        self.weight = (0.1 * draw(2, 2 * PARTS)).requires_grad_()
        own = AnchorSettings.from_flat({'penalty': name, **{f'{name}.{key}': v for key, v in values.items()}})
        self.penalty = penalties.make(name, {'weight': self.weight}, own.plugins)

    def data(self, task: int, count: int = 20) -> tuple[Tensor, Tensor]:
        """Returns inputs (count, 6) and targets (count, 2) of a task."""
        x, own = torch.zeros(count, 2 * PARTS), slice(2 * task, 2 * task + 2)
        x[:, own] = draw(count, 2, seed=task)
        return x, x[:, own] @ draw(2, 2, seed=10 + task)

    def error(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns the mean squared error, 0-d."""
        return (x @ self.weight.T - y).square().mean()

    def learn(self, x: Tensor, y: Tensor, steps: int = 30, rate: float = 0.3) -> None:
        """Takes steps of gradient descent on error and penalty."""
        for _ in range(steps):
            self.weight.grad = None
            (self.error(x, y) + self.penalty.loss()).backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                assert self.weight.grad is not None
                self.weight -= rate * self.weight.grad
            self.penalty.after_step()

    def anchor(self, x: Tensor, y: Tensor, seed: int = 0) -> Divergence:
        """Anchors the weights of a task that was learned."""
        samples = (Gaussian(x[i] @ self.weight.T, y[i]) for i in range(len(x)))
        return self.penalty.anchor(samples, np.random.default_rng(seed))

    def learn_and_anchor(self, task: int) -> Divergence:
        """Learns a task, then anchors."""
        self.learn(*self.data(task))
        return self.anchor(*self.data(task))

    def move(self, inputs: slice, size: float) -> None:
        """Changes the weights of some inputs by a fixed direction of a size."""
        with torch.no_grad():
            self.weight[:, inputs] += size * draw(2, 2 * PARTS, seed=99)[:, inputs]


class PenaltySuite:
    """Tests of one penalty on changes of weights.

    Fixtures:
        penalty (str): its name, as in `sleep.anchor.penalty`.
    """

    def test_it_is_zero_in_the_first_task_and_at_the_anchor(self, penalty: str) -> None:
        toy = Toy(penalty)
        assert float(toy.penalty.loss()) == 0.0
        toy.learn(*toy.data(0))
        assert float(toy.penalty.loss()) == 0.0, 'moved, but without an anchor'
        toy.anchor(*toy.data(0))
        loss = toy.penalty.loss()
        loss.backward()  # type: ignore[no-untyped-call]
        assert loss.dim() == 0 and float(loss.detach()) == 0.0

    def test_it_grows_with_the_square_of_the_distance(self, penalty: str) -> None:
        toy, everything = Toy(penalty, weight=1.0), slice(None)
        toy.learn_and_anchor(0)
        at = toy.weight.detach().clone()
        losses = []
        for size in (0.1, 0.2, -0.4):
            with torch.no_grad():
                toy.weight.copy_(at)
            toy.move(everything, size)
            losses.append(float(toy.penalty.loss().detach()))
        assert losses[0] > 0.0
        np.testing.assert_allclose(losses[1:], [4.0 * losses[0], 16.0 * losses[0]], rtol=1e-4)

    def test_lambda_scales_it(self, penalty: str) -> None:
        losses = []
        for weight in (1.0, 3.0):
            toy = Toy(penalty, weight=weight)
            toy.learn_and_anchor(0)
            toy.move(slice(None), 0.1)
            losses.append(float(toy.penalty.loss().detach()))
        np.testing.assert_allclose(losses[1], 3.0 * losses[0], rtol=1e-5)

    def test_all_of_three_tasks_are_protected(self, penalty: str) -> None:
        """With a sum and online; the form of the original system protects the last one only."""
        for tasks, is_protected in (('sum', [True] * 3), ('online', [True] * 3), ('reference', [False, False, True])):
            toy, found = Toy(penalty, tasks=tasks, weight=1.0), []
            for task in range(PARTS):
                toy.learn_and_anchor(task)
            at = toy.weight.detach().clone()
            rest = float(toy.penalty.loss().detach())
            for task in range(PARTS):
                with torch.no_grad():
                    toy.weight.copy_(at)
                toy.move(slice(2 * task, 2 * task + 2), 0.3)
                found.append(float(toy.penalty.loss().detach()) - rest > 1e-3)
            assert found == is_protected, tasks

    def test_after_three_tasks_the_first_is_kept_better_than_without_it(self, penalty: str) -> None:
        """The later tasks have the inputs of the first too, but need only those of their own."""
        errors = []
        for weight in (0.0, 0.3):
            toy = Toy(penalty, weight=weight)
            first = toy.data(0)
            toy.learn_and_anchor(0)
            for task in (1, 2):
                x, y = toy.data(task)
                toy.learn(x + first[0].flip(0), y)
                toy.anchor(*toy.data(task))
            errors.append(float(toy.error(*first).detach()))
        assert errors[1] < 0.7 * errors[0]

    def test_divergence_is_that_from_the_anchor_before(self, penalty: str) -> None:
        toy = Toy(penalty)
        assert toy.penalty.divergence() == toy.learn_and_anchor(0) == (0.0, 0.0), 'no anchor before'
        assert toy.penalty.divergence() == (0.0, 0.0)
        before = toy.weight.detach().clone()
        toy.learn(*toy.data(1))
        toy.move(slice(None), 0.1)
        found = toy.penalty.divergence()
        assert found.weighted > 0.0
        np.testing.assert_allclose(found.l2, float((toy.weight.detach() - before).norm()), rtol=1e-5)
        assert toy.anchor(*toy.data(1)) == found

    def test_a_restored_one_continues_alike(self, penalty: str) -> None:
        for anchors in (0, 1, 2):
            toy, twin = Toy(penalty), Toy(penalty)
            for task in range(anchors):
                toy.learn_and_anchor(task)
            toy.learn(*toy.data(2), steps=5)
            twin.learn_and_anchor(2)  # a state that must be replaced whole
            with torch.no_grad():
                twin.weight.copy_(toy.weight)
            twin.penalty.load(toy.penalty.state())
            for each in (toy, twin):
                each.learn(*each.data(2), steps=5)
                each.learn_and_anchor(2)
                each.move(slice(None), 0.1)
            assert torch.equal(toy.weight, twin.weight) and torch.equal(toy.penalty.loss(), twin.penalty.loss())
            state, again = toy.penalty.state(), twin.penalty.state()
            assert state.keys() == again.keys()
            assert all(torch.equal(value, again[name]) for name, value in state.items())
            assert toy.penalty.divergence() == twin.penalty.divergence()

    def test_a_state_of_other_weights_is_refused(self, penalty: str) -> None:
        toy = Toy(penalty)
        toy.learn_and_anchor(0)
        state = {name: value[:1] if value.dim() else value for name, value in toy.penalty.state().items()}
        with np.testing.assert_raises(ValueError):
            Toy(penalty).penalty.load(state)

    def test_its_importance_has_mean_one_unless_it_is_raw(self, penalty: str) -> None:
        means = []
        for normalise in (True, False):
            toy = Toy(penalty, normalise=normalise)
            toy.learn_and_anchor(0)
            importance = toy.penalty.state()['importance.weight']
            assert bool((importance >= 0.0).all())
            means.append(float(importance.mean()))
        np.testing.assert_allclose(means[0], 1.0, rtol=1e-5)
        assert abs(means[1] - 1.0) > 1e-3

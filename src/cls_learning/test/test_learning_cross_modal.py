"""The brain `cross_modal`: its network, a sense that fails, dreams, and its life as a brain."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from cls_common.errors import UserError
from cls_common.robot import Channel, Kind, RobotInfo
from cls_common.transition import Observation, Reading, Transition
from cls_learning import state_bytes
from cls_learning.brain import find, Goal, State
from cls_learning.brains.cross_modal.anchor import samples
from cls_learning.brains.cross_modal.dreams import dream, Windows
from cls_learning.brains.cross_modal.model import all_present, CrossModalModel
from cls_learning.brains.cross_modal.network import CrossModalNetwork
from cls_learning.brains.cross_modal.settings import CrossModalSettings, SensesSettings
from cls_learning.brains.cross_modal.watch import SensesWatch
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.model_store.folder import ModelFolder
from cls_learning.registries import PENALTIES
from cls_learning.runtime.learner_session import LearnerSession, make_online_learner

SIZES = {'near': 3, 'far': 4}
SMALL = {
    'network.hidden': 16, 'sleep.wake_steps_per_cycle': 40, 'sleep.dream_steps': 6, 'sleep.window': 4,
    'memory.segment': 4, 'memory.capacity': 64, 'actor.warmup': 10, 'fast.scale_steps': 20,
    'change.detector.calibration': 40,
}  # fmt: skip
NO_JOINTS = np.zeros(0)
NOW = datetime(2025, 1, 2)


def test_the_network_of_the_original_system_has_as_many_parameters():
    network = CrossModalNetwork({'a': 64, 'b': 64}, 128, 32)
    assert sum(p.numel() for p in network.parameters()) == 235_424
    three = CrossModalNetwork({'a': 64, 'b': 64, 'c': 10}, 128, 32)
    assert three(three.initial(2), {'a': torch.ones(2, 64), 'b': torch.ones(2, 64), 'c': torch.ones(2, 10)},
                 {name: torch.ones(2, dtype=torch.bool) for name in 'abc'}).shape == (2, 128)  # fmt: skip


def model(seed: int = 1, **settings: object) -> CrossModalModel:
    own = CrossModalSettings.from_flat({**SMALL, **settings})
    return CrossModalModel(own, SIZES, 2, seed)


def senses(count: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(count, size, generator=generator) for name, size in SIZES.items()}


@torch.no_grad()
def test_its_state_stays_bounded_for_ten_thousand_steps():
    own, carried, code = model(), model().initial(1), torch.ones(1, 2)
    wild = {name: 1e6 * values for name, values in senses(1).items()}
    for _ in range(10_000):
        carried, predicted = own.step(carried, wild, all_present(wild), code)
    assert carried.state.abs().max() <= 1.0
    assert all(values.isfinite().all() for values in predicted.senses.values())


@torch.no_grad()
def test_what_a_sense_gives_while_it_is_left_out_has_no_effect():
    own = model()
    torch.nn.init.normal_(own.predictor.linear.weight)
    now, code = senses(2), torch.ones(2, 2)
    present = {'near': torch.tensor([False, True]), 'far': torch.tensor([True, True])}
    other = now | {'near': now['near'] + 5.0}
    _, one = own.step(own.initial(2), now, present, code)
    _, two = own.step(own.initial(2), other, present, code)
    assert torch.equal(one.senses['far'][0], two.senses['far'][0])
    assert torch.equal(one.senses['near'][0], two.senses['near'][0])
    assert not torch.equal(one.senses['near'][1], two.senses['near'][1])


@torch.no_grad()
def test_without_any_sense_it_goes_on_from_what_it_expects():
    own = model()
    nothing = {name: torch.zeros(2, dtype=torch.bool) for name in SIZES}
    carried, predicted = own.step(own.initial(2), senses(2), nothing, torch.ones(2, 2))
    assert carried.state.isfinite().all() and all(s.isfinite().all() for s in predicted.senses.values())


def test_a_cover_corrects_what_is_expected_of_a_missing_sense_alone_and_learns_asleep(open_run) -> None:
    own, now = model(**{'watch.is_covered': True}), senses(2)
    plain = own.initial(2)
    with torch.no_grad():
        assert torch.equal(
            own.perceive(plain, now, all_present(now))[1], model().perceive(plain, now, all_present(now))[1]
        )
        own.cover.weight.copy_(torch.eye(7).roll(3, dims=1))  # near is corrected by the first values of far
        one_missing = all_present(now) | {'near': torch.tensor([False, True])}
        _, heeded = own.perceive(plain, now, one_missing)
    assert torch.equal(heeded[0, :3], now['far'][0, :3]) and torch.equal(heeded[1, :3], now['near'][1])
    assert torch.equal(heeded[:, 3:], now['far'])
    run = open_run(**{'watch.is_covered': True, 'watch.dropout': 1.0}).train(39)
    assert not run.learner.models['fast'].cover.weight.any()
    assert run.train(1).learner.models['fast'].cover.weight.any()


class World:
    """Two senses of one point that moves; one gives it twice, the other with noise and at a rate of its own."""

    def __init__(self, every: int = 1) -> None:
        self.generator = np.random.default_rng(0)
        self.robot = RobotInfo(
            name='world', modalities=('near', 'far'),
            channels=tuple(Channel(f'push_{i}', Kind.VELOCITY, 'm/s', -1.0, 1.0) for i in range(2)),
        )  # fmt: skip
        self.every, self.number = every, 0
        self.point, self.drift = np.zeros(2), np.array([0.1, 0.0])
        self.last: dict[str, np.ndarray] = {}
        self.now = self.sense()

    def sense(self) -> dict[str, np.ndarray]:
        noise = 0.1 * self.generator.standard_normal(4)
        found = {'near': np.float32([*self.point, self.point.sum()])}
        is_due = self.number % self.every == 0
        found['far'] = np.float32([*self.point, *self.point] + noise) if is_due else self.last['far']
        self.last = found
        return found

    def observation(self) -> Observation:
        return Observation({name: Reading(values, self.number) for name, values in self.now.items()})

    def step(self, action: np.ndarray, reward: float = float('nan')) -> Transition:
        before, begins = self.observation(), self.number == 0
        self.number += 1
        self.point = 0.9 * self.point + self.drift + 0.2 * action + 0.01 * self.generator.standard_normal(2)
        self.now = self.sense()
        return Transition(
            before=before, after=self.observation(), action_commanded=action, action_applied=action,
            joints=NO_JOINTS, joints_next=NO_JOINTS, boundary=begins, reward=reward,
        )  # fmt: skip


def watched(world: World, broken: Callable[[int, dict[str, np.ndarray]], None], steps: int) -> list[int]:
    """Returns for how many steps `far` had been left out, after each step."""
    watch, found = SensesWatch(('near', 'far'), SensesSettings()), []
    before = None
    for number in range(steps):
        world.step(np.float32(world.generator.uniform(-1, 1, 2)))
        values = {name: v.copy() for name, v in world.now.items()}
        broken(number, values)
        after = {name: torch.from_numpy(v)[None] for name, v in values.items()}
        if before is not None:
            watch.add(before, after)
            found.append(int(watch.left_out[1]))
        before = after
    return found


@pytest.mark.parametrize('every', [1, 4])
@pytest.mark.parametrize('how', ['stuck', 'noise'])
def test_a_sense_that_fails_is_left_out_and_heeded_again_when_it_is_back(how, every):
    generator = np.random.default_rng(1)

    def broken(number: int, values: dict[str, np.ndarray]) -> None:
        if 100 <= number < 150:
            values['far'][:] = 7.0 if how == 'stuck' else 20 * generator.standard_normal(4)

    found = watched(World(every), broken, 200)
    assert max(found[:100]) == 0, 'a sense that works is heeded, also a slow one'
    assert found[100 + 5 + 2 * every + 1] > 0 and found[148] > 0
    assert found[150 + 6] == 0 and max(found[160:]) == 0


def test_a_world_that_becomes_another_one_is_no_fault_of_a_sense():
    world = World()

    def broken(number: int, values: dict[str, np.ndarray]) -> None:
        world.drift = np.array([-0.5, 0.5]) if number >= 100 else world.drift

    assert max(watched(world, broken, 200)) == 0


def windows(count: int, steps: int) -> Windows:
    along = [senses(steps + 1, seed) for seed in range(count)]
    return Windows(
        {name: torch.stack([each[name] for each in along]) for name in SIZES},
        torch.zeros(count, steps, 2), torch.full((count, steps), torch.nan),
    )  # fmt: skip


def test_a_lesson_repeats_its_window_and_then_follows_its_teacher():
    teacher, memory = model(3), windows(5, 6)
    torch.nn.init.normal_(teacher.predictor.linear.weight, std=0.1)
    lesson = dream(teacher, memory, 2, {'near': 0.0, 'far': 0.0}, np.random.default_rng(0))
    for name in SIZES:
        assert torch.equal(lesson.inputs[name][:, :3], memory.senses[name][:, :3])
        assert torch.equal(lesson.targets[name][:, :2], memory.senses[name][:, 1:3])
        assert not torch.equal(lesson.targets[name][:, 2], memory.senses[name][:, 3])
        assert torch.equal(lesson.inputs[name][:, 3:], lesson.targets[name][:, 2:-1]), 'without noise'
    assert not lesson.code[:, :2].any() and lesson.code[:, 2:].abs().max() <= 1.0
    dropped = lesson.drop_senses(0.5, np.random.default_rng(0))
    left_out = torch.stack([~step['near'] | ~step['far'] for step in dropped], dim=1)
    assert 0 < left_out[:, -1].sum() < 5 and all(bool((step['near'] | step['far']).all()) for step in dropped)


class Run:
    """A model in its folder and a world, in one process."""

    def __init__(self, folder: ModelFolder, world: World) -> None:
        self.world = world
        self.session = LearnerSession(folder)
        self.learner = make_online_learner(self.session.config)
        self.learner.load_bytes(self.session.online_bytes)

    def train(self, steps: int) -> 'Run':
        for _ in range(steps):
            learner = self.learner
            action = learner.act(self.world.observation(), NO_JOINTS, 'curiosity', learner.total_steps)
            self.session.learn(learner.learn(self.world.step(action)), NOW)
            if learner.wants_sleep:
                self.sleep()
        return self

    def sleep(self) -> None:
        run = self.session.begin_sleep(self.learner.to_bytes(), Goal())
        assert all(progress.loss == progress.loss for progress in run.run())
        data = state_bytes.pack(run.finish())
        assert not run.verdict.rolled_back
        self.learner.load_bytes(data)
        self.session.keep(run, Goal(), data, NOW)

    def hash(self) -> str:
        return self.session.weights_sha256(self.learner.to_bytes())


def assert_same(one: State, two: State) -> None:
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []


def config(world: World, **changes: object) -> ModelConfig:
    settings = find('cross_modal').settings.from_flat({**SMALL, **changes})
    return ModelConfig(world.robot, {}, 3, settings, {}, '2025-01-02', (), 'cross_modal', SIZES)


@pytest.fixture
def open_run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    opened: list[ModelFolder] = []

    def open_(name: str = 'm', world: World | None = None, **changes: object) -> Run:
        folder, own = ModelFolder(tmp_path, name), world or World()
        opened.append(folder)
        if folder.config is None:
            folder.create(config(own, **changes), b'')
        return Run(folder, own)

    yield open_
    for folder in opened:
        folder.close()


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'actor.kind': 'untrained', 'fast.objective': 'stability'},
        {'watch.disagreement': 1.5, 'network.step_duration': 1e-9},
        {'sleep.anchor.penalty': 'si', 'sleep.anchor.si.weight': 5.0},
    ],
    ids=['own', 'original', 'options', 'anchor'],
)
def test_a_run_that_was_stopped_anywhere_ends_as_one_that_was_not(open_run, changes) -> None:
    whole = open_run('whole', **changes).train(105)
    run = open_run('stopped', **changes)
    for steps in (7, 40, 41, 17):  # before and after a sleep, with and without a save
        run.train(steps)
        if steps == 41:
            run.session.save(run.learner.to_bytes(), NOW)
        run.session.folder.close()
        run = open_run('stopped', world=run.world)
    assert run.hash() == whole.hash()
    assert_same(run.session.consolidator.learner_state(), whole.session.consolidator.learner_state())
    assert run.learner.metrics() == pytest.approx(whole.learner.metrics(), nan_ok=True)


def test_it_learns_to_predict_all_senses(open_run) -> None:
    run = open_run(**{'actor.kind': 'random'}).train(400)
    assert run.learner.metrics()['model_error'] < 0.8


def test_its_recurrent_state_advances_once_a_step(open_run) -> None:
    run = open_run().train(15)
    learner, world = run.learner, run.world
    before = {name: carried.state.clone() for name, carried in learner._carried.items()}
    for _ in range(3):
        learner.act(world.observation(), NO_JOINTS, 'curiosity', learner.total_steps)
    assert all(torch.equal(before[name], carried.state) for name, carried in learner._carried.items())
    learner.learn(world.step(np.zeros(2, np.float32)))
    assert not torch.equal(before['fast'], learner._carried['fast'].state)
    assert not any(carried.state.requires_grad or carried.belief.requires_grad for carried in learner._carried.values())


def test_only_fast_changes_awake_and_sleep_makes_both_equal(open_run) -> None:
    run = open_run().train(40)
    slow = {k: v.clone() for k, v in run.learner.state().items() if k.startswith('slow.network')}
    run.train(39)
    state = run.learner.state()
    assert all(torch.equal(state[k], v) for k, v in slow.items())
    name = 'predictor.output.weight'
    assert not torch.equal(state[f'fast.{name}'], state[f'slow.{name}'])
    run.train(1)
    state = run.learner.state()
    assert torch.equal(state[f'fast.{name}'], state[f'slow.{name}'])
    assert torch.equal(state[f'slow.{name}'], run.session.consolidator.slow.state_dict()[name])


def test_a_sleep_rolled_back_between_any_steps_leaves_everything_as_it_was(open_run) -> None:
    run = open_run().train(50)
    before = run.hash()
    for stop in (0, 1, 6):
        sleep = run.session.begin_sleep(run.learner.to_bytes(), Goal())
        for number, _ in enumerate(sleep.run()):
            if number == stop:
                break
        run.session.roll_back(sleep, NOW)
        assert run.hash() == before


def test_a_changed_world_ends_the_cycle_one_step_later(open_run) -> None:
    run = open_run(**{'sleep.wake_steps_per_cycle': 200, 'actor.kind': 'random'}).train(300)
    assert run.learner.cycles == 1 and run.learner.metrics()['change_alarms'] == 0
    run.world.drift = np.array([-0.8, 0.8])
    run.train(60)
    assert run.learner.cycles == 2 and run.learner.metrics()['change_alarms'] == 1


def test_actions_are_within_limits_and_greedy_ones_without_chance(open_run) -> None:
    run = open_run().train(60)
    learner, now = run.learner, run.world.observation()
    actions = np.array([learner.act(now, NO_JOINTS, 'curiosity', step) for step in range(100, 120)])
    assert actions.dtype == np.float32 and np.abs(actions).max() <= 1.0 and len(np.unique(actions)) > 2
    assert len({tuple(learner.act(now, NO_JOINTS, 'greedy', step)) for step in range(20)}) == 1


def test_actions_learn_to_bring_reward(open_run) -> None:
    run = open_run(**{'actor.noise': 0.5, 'sleep.wake_steps_per_cycle': 1000})
    for _ in range(700):
        action = run.learner.act(run.world.observation(), NO_JOINTS, 'curiosity', run.learner.total_steps)
        run.learner.learn(run.world.step(action, reward=float(action[0])))
    greedy = run.learner.act(run.world.observation(), NO_JOINTS, 'greedy', 0)
    assert greedy[0] > 0.5


def test_settings_that_do_not_fit_are_refused() -> None:
    brain = find('cross_modal')
    with pytest.raises(UserError, match=r"'network.hidden'; expected a multiple of the 4 heads; found 30"):
        brain.check(brain.settings.from_flat({'network.hidden': 30}))
    with pytest.raises(UserError, match=r"'memory.segment'; expected 9 or more"):
        brain.check(brain.settings.from_flat({'sleep.window': 9}))


class LyingWorld(World):
    """Both senses are noisy; from a step on `far` follows another point, which other actions move in the same way."""

    lies = False
    other = np.zeros(2)

    def sense(self) -> dict[str, np.ndarray]:
        found = super().sense()
        self.other = 0.9 * self.other + self.drift + 0.2 * self.generator.uniform(-1, 1, 2)
        moved = np.float32([*self.other, *self.other]) - np.float32([*self.point, *self.point])
        found['near'] = np.float32(found['near'] + 0.05 * self.generator.standard_normal(3))
        return {**found, 'far': found['far'] + moved} if self.lies else found


def test_a_sense_that_the_others_contradict_is_left_out_until_it_agrees_again(open_run) -> None:
    changes = {
        'watch.disagreement': 1.5, 'actor.kind': 'random', 'sleep.wake_steps_per_cycle': 120, 'sleep.dream_steps': 30,
    }  # fmt: skip
    run = open_run(world=LyingWorld(), **changes).train(415)
    watch = run.learner.watch
    run.world.lies = True
    left_out = np.array([run.train(1) and watch.left_out.tolist() for _ in range(50)])
    assert not left_out[:30].any() and not left_out[:, 0].any() and left_out[-1, 1] > 5
    run.world.lies = False
    run.train(10)
    assert not watch.left_out.any()
    assert run.learner.metrics()['change_alarms'] == 0, 'a sense is no world'


def test_a_changed_world_makes_no_sense_disagree(open_run) -> None:
    changes = {'watch.disagreement': 1.5, 'actor.kind': 'random', 'sleep.wake_steps_per_cycle': 200}
    run = open_run(**changes).train(350)
    run.world.drift = np.array([-0.8, 0.8])
    assert all(run.train(1) and not run.learner.watch.left_out.any() for _ in range(60))
    assert run.learner.metrics()['change_alarms'] == 1


@torch.no_grad()
def test_a_sample_of_an_anchor_is_the_error_of_the_last_step_of_its_window():
    own, memory = model(3), windows(2, 3)
    torch.nn.init.normal_(own.predictor.linear.weight, std=0.1)
    own.change.copy_(torch.tensor([0.5, 2.0]))
    carried = own.initial(2)
    for k in range(3):
        carried, predicted = own.step(carried, memory.at(k), all_present(memory.at(k)), memory.code[:, k])
    errors = torch.stack(list(own.errors(predicted.senses, memory.at(3)).values())).sum(dim=0)
    found = torch.stack([(sample.output - sample.target).square().sum() for sample in samples(own, memory)])
    torch.testing.assert_close(found, errors)


def test_without_a_penalty_nothing_is_anchored_and_a_weight_of_0_changes_no_bit(open_run) -> None:
    short = {'sleep.wake_steps_per_cycle': 25}
    plain = open_run('plain', **short).train(51)
    changes = {'sleep.anchor.penalty': 'ewc', 'sleep.anchor.ewc.weight': 0.0}
    anchored = open_run('anchored', **short, **changes).train(51)
    assert anchored.hash() == plain.hash()
    assert [run.session.phases for run in (plain, anchored)] == [('dream',), ('dream', 'anchor')]
    plain_state, state = (run.session.consolidator.learner_state() for run in (plain, anchored))
    assert {name for name in state if name not in plain_state} == {n for n in state if n.startswith('penalty.')}
    assert int(state['penalty.anchors']) == 2 and not any(n.startswith('penalty.') for n in plain_state)
    assert bool(state['penalty.importance.network.memory.weight_hh'].any()), 'through the internal state'
    assert not any('network.actions' in name for name in state if name.startswith('penalty.'))


@pytest.mark.parametrize('penalty', PENALTIES.names())
def test_a_penalty_keeps_the_result_of_a_sleep_nearer_to_that_of_the_one_before(penalty, open_run) -> None:
    moved = []
    for weight in (0.0, 100.0):
        changes = {
            'sleep.anchor.penalty': penalty, f'sleep.anchor.{penalty}.weight': weight, 'sleep.dream_steps': 15,
            'sleep.learning_rate': 0.02, 'sleep.wake_steps_per_cycle': 25,
        }  # fmt: skip
        run = open_run(f'{weight:g}', **changes).train(49)
        sleep = run.session.begin_sleep(run.learner.to_bytes(), Goal())
        *_, last = sleep.run()
        moved.append(sleep.statistics.means['anchor_divergence'])
        assert (last.phase, last.step, last.loss) == ('anchor', 1, moved[-1])
        assert sleep.statistics.means['anchor_l2'] > 0.0
    assert moved[1] < 0.7 * moved[0]


def test_a_sleep_that_is_not_kept_takes_its_anchor_back(open_run) -> None:
    run = open_run(**{'sleep.anchor.penalty': 'ewc'})
    for steps in (30, 25):  # before the first anchor, and after it
        run.train(steps)
        consolidator = run.session.consolidator
        before = consolidator.learner_state()
        for stop in (6, 7, 8):  # before the phase, after it, and refused
            sleep = run.session.begin_sleep(run.learner.to_bytes(), Goal())
            phases = [progress.phase for _, progress in zip(range(stop), sleep.run())]
            assert ('anchor' in phases) == (stop > 6)
            if stop == 8:
                sleep.finish()
            sleep.roll_back()
            assert_same(consolidator.learner_state(), before)


def test_a_goal_of_sleep_leaves_out_the_anchor(open_run) -> None:
    run = open_run(**{'sleep.anchor.penalty': 'ewc'}).train(50)
    before = dict(run.session.consolidator.anchor)
    sleep = run.session.begin_sleep(run.learner.to_bytes(), Goal({'anchor': -1}))
    assert {progress.phase for progress in sleep.run()} == {'dream'}
    assert sleep.statistics.status == {'dream': 'ok', 'anchor': 'skipped: by goal'}
    assert_same(run.session.consolidator.anchor, before)


def test_an_unknown_penalty_is_refused_by_name() -> None:
    with pytest.raises(UserError, match='ewk'):
        CrossModalSettings.from_flat({'sleep.anchor.penalty': 'ewk'})

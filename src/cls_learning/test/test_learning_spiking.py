"""The brain `spiking` as a brain: it acts, sleeps, is stopped, and goes on."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cls_common.errors import UserError
from cls_common.robot import Channel, Kind, RobotInfo
from cls_common.transition import Observation, Reading, Transition
from cls_learning import state_bytes
from cls_learning.brain import check_mode, find, Goal, Input, inputs_of
from cls_learning.brains.spiking import intrinsic
from cls_learning.brains.spiking.settings import ONLINE as SETTINGS_LEVELS
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.model_store.folder import ModelFolder
from cls_learning.rtrl import LEVELS
from cls_learning.runtime.learner_session import LearnerSession, make_online_learner

CHANNELS = {
    'discrete': Channel('push', Kind.DISCRETE, '', 0.0, 1.0),
    'continuous': Channel('push', Kind.VELOCITY, 'm/s', -1.0, 1.0),
}
SMALL = {
    'warmup': 20, 'world.hidden': 16, 'world.batch_size': 8, 'agent.hidden': 16,
    'agent.starts': 8, 'agent.horizon': 3, 'sleep.wake_steps_per_cycle': 20, 'sleep.sws_steps': 6,
    'sleep.rem_steps': 4, 'world.capacity': 50,
}  # fmt: skip
SET = {'world.spiking.pruned': 0.8, 'world.spiking.sparsity': 'set'}
NO_JOINTS = np.zeros(0)
NOW = datetime(2025, 1, 2)


class Cart:
    """A point on a line that actions push; the reward is high in the middle, an episode ends far out.

    Attributes:
        steps: made so far.
    """

    def __init__(self, kind: str = 'discrete') -> None:
        self.robot = RobotInfo(name='cart', modalities=('state',), channels=(CHANNELS[kind],), has_reward=True)
        self.state = np.float32([0.5, 0.0])
        self.steps = 0
        self._begins = True

    def observation(self) -> Observation:
        return Observation({'state': Reading(self.state, self.steps)})

    def step(self, action: np.ndarray, reward: float | None = None) -> Transition:
        before, begins = self.observation(), self._begins
        push = 2.0 * action[0] - 1.0 if self.robot.channels[0].kind == Kind.DISCRETE else action[0]
        speed = 0.9 * self.state[1] + 0.1 * push
        self.state = np.float32([self.state[0] + speed, speed])
        self.steps += 1
        terminal, truncated = bool(abs(self.state[0]) > 2.0), self.steps % 15 == 0
        transition = Transition(
            before=before, after=self.observation(), action_commanded=action, action_applied=action, joints=NO_JOINTS,
            joints_next=NO_JOINTS, boundary=begins, terminal=terminal, truncated=truncated,
            reward=float(1.0 - abs(self.state[0])) if reward is None else reward,
        )  # fmt: skip
        self._begins = terminal or truncated
        if self._begins:
            self.state = np.float32([0.5, 0.0])
        return transition


class Run:
    """A model in its folder and a cart, in one process."""

    def __init__(self, folder: ModelFolder, cart: Cart) -> None:
        self.cart = cart
        self.session = LearnerSession(folder)
        self.learner = make_online_learner(self.session.config)
        self.learner.load_bytes(self.session.online_bytes)

    def train(self, steps: int) -> 'Run':
        for _ in range(steps):
            learner, now = self.learner, self.cart.observation()
            action = learner.act(now, NO_JOINTS, 'curiosity', learner.total_steps)
            experience = learner.learn(learner.prepare(self.cart.step(action)))
            self.session.learn(experience, NOW)
            if learner.wants_sleep:
                self.sleep()
        return self

    def sleep(self) -> None:
        run = self.session.begin_sleep(self.learner.to_bytes(), Goal())
        assert all(progress.loss == progress.loss or progress.phase == 'hand_over' for progress in run.run())
        data = state_bytes.pack(run.finish())
        self.learner.load_bytes(data)
        self.session.keep(run, Goal(), data, NOW)

    def hash(self) -> str:
        return self.session.weights_sha256(self.learner.to_bytes())


def config(kind: str = 'discrete', **changes: object) -> ModelConfig:
    brain = find('spiking')
    settings = brain.settings.from_flat({**SMALL, **changes})
    return ModelConfig(Cart(kind).robot, {}, 3, settings, {}, '2025-01-02', (), 'spiking', {'state': 2})


@pytest.fixture
def open_run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    opened: list[ModelFolder] = []

    def open_(name: str = 'm', cart: Cart | None = None, kind: str = 'discrete', **changes: object) -> Run:
        folder = ModelFolder(tmp_path, name)
        opened.append(folder)
        if folder.config is None:
            folder.create(config(kind, **changes), b'')
        return Run(folder, cart or Cart(kind))

    yield open_
    for folder in opened:
        folder.close()


@pytest.mark.parametrize(
    'changes',
    [
        {
            'world.window': 3,
            'world.spiking.neuron': 'synaptic',
            'agent.network': 'spiking',
            'world.spiking.pruned': 0.5,
            'world.spiking.sparsity': 'set',
            'world.step_duration': 2e-9,
        },
        {'world.model': 'mlp', 'world.ensemble': 2, 'agent.curiosity': 0.1, 'agent.wake_interval': 3},
        {'world.model': 'gru', 'world.window': 3},
        {'world.model': 'mlp', 'sleep.naps': 3, 'agent.wake_interval': 2, 'agent.intrinsic': 'visit_count'},
        {'world.model': 'event_gru', 'world.window': 3, 'world.online': 'sparse'},
        {'world.model': 'trace_units', 'world.window': 3, 'world.online': 'diagonal', 'world.ensemble': 2},
    ],
    ids=['second_order', 'ensemble', 'gru', 'naps', 'online_event_gru', 'online_trace_units'],
)
def test_a_run_that_was_stopped_anywhere_ends_as_one_that_was_not(open_run, changes) -> None:
    whole = open_run('whole', **changes).train(70)
    run = open_run('stopped', **changes)
    for steps in (7, 20, 21, 22):  # before and after a sleep, with and without a save
        run.train(steps)
        if steps == 21:
            run.session.save(run.learner.to_bytes(), NOW)
        run.session.folder.close()
        run = open_run('stopped', cart=run.cart)
    assert run.hash() == whole.hash() and run.learner.to_bytes() == whole.learner.to_bytes()
    assert run.learner.metrics() == pytest.approx(whole.learner.metrics(), nan_ok=True)


@pytest.mark.parametrize('kind', CHANNELS)
def test_it_acts_within_limits_by_chance_awake_and_without_chance_when_greedy(open_run, kind) -> None:
    run = open_run(kind=kind).train(40)
    learner, now = run.learner, run.cart.observation()
    actions = np.array([learner.act(now, NO_JOINTS, 'curiosity', step) for step in range(100, 150)])
    assert actions.dtype == np.float32 and len(np.unique(actions)) > 1
    assert (learner.robot.low <= actions).all() and (actions <= learner.robot.high).all()
    again = np.array([learner.act(now, NO_JOINTS, 'curiosity', step) for step in range(100, 150)])
    assert np.array_equal(actions, again)
    assert len({float(learner.act(now, NO_JOINTS, 'greedy', step)[0]) for step in range(50)}) == 1


def test_the_online_learner_changes_only_asleep(open_run) -> None:
    run = open_run().train(20)
    weights = {k: v for k, v in run.learner.state().items() if k.startswith(('model.', 'actor.'))}
    run.train(19)
    for name, value in run.learner.state().items():
        assert name not in weights or torch.equal(value, weights[name])
    run.train(1)
    assert not torch.equal(run.learner.state()['actor.output.weight'], weights['actor.output.weight'])
    consolidator = run.session.consolidator
    for name, value in run.learner.world.state_dict().items():
        assert torch.equal(value, consolidator.world.state_dict()[name])


def test_a_nap_hands_over_what_was_learned_awake_and_learns_nothing_itself(open_run) -> None:
    run = open_run(**{'world.model': 'mlp', 'sleep.naps': 3, 'agent.wake_interval': 2}).train(20)
    # Three naps and a sleep, after which alone a save is due.
    assert run.learner.cycles == 4 and run.session.save_is_due
    handed_over = run.learner.networks()
    run.train(4)
    learned = run.session.consolidator.networks()
    name = 'output.weight'
    assert not torch.equal(handed_over['actor'].state_dict()[name], learned['actor'].state_dict()[name])
    before = {k: v.clone() for k, v in learned['actor'].state_dict().items()}
    run.train(1)
    assert run.learner.cycles == 5 and not run.session.save_is_due
    # The fifth step alone was learned between; the nap takes no step.
    after, here = learned['actor'].state_dict(), run.learner.networks()['actor'].state_dict()
    assert all(torch.equal(after[k], here[k]) for k in before)
    sleep = run.session.begin_sleep(run.learner.to_bytes(), Goal({'sws': 2}))
    assert [progress.phase for progress in sleep.run()] == ['sws'] * 2 + ['rem'] * 4


def test_a_visit_count_rewards_states_that_memory_does_not_hold(open_run) -> None:
    run = open_run(**{'agent.task': 0.0, 'agent.curiosity': 1.0, 'agent.intrinsic': 'visit_count'}).train(20)
    consolidator = run.session.consolidator
    reward = intrinsic.make('visit_count', consolidator.world, consolidator.memory, 2, 7)
    _, seen = consolidator.memory.all()
    outcome = consolidator.world.predict(consolidator.world.initial(20), seen, torch.zeros(20, 2))
    at_seen = reward(outcome._replace(states=seen[None]))
    assert float(at_seen.min()) > 0 and float(at_seen.max()) <= 2**-0.5
    grid = consolidator.world.mean + 3 * consolidator.world.scale * torch.cartesian_prod(
        *[torch.linspace(-1, 1, 9)] * 2
    )
    elsewhere = reward(outcome._replace(states=grid[None]))
    assert float(elsewhere.max()) == 1.0 and 0.3 < float((elsewhere == 1.0).float().mean()) < 1.0


ONLINE = {'world.model': 'trace_units', 'world.window': 3, 'world.online': 'diagonal'}


def influence(run: Run) -> torch.Tensor:
    return run.learner.state()['online.carried.0.influence']


def test_online_each_step_changes_the_world_model_until_the_next_sleep_replaces_it(open_run) -> None:
    run = open_run(**ONLINE).train(19)
    assert torch.equal(run.learner.world.mean, torch.zeros(2)) and 'optimizer.online.0.step' not in run.learner.state()
    for step in range(20, 61):
        consolidated = run.train(1).session.consolidator.world.state_dict()
        kept = {name: torch.equal(value, consolidated[name]) for name, value in run.learner.world.state_dict().items()}
        assert all(kept.values()) if step % 20 == 0 else not kept['members.0.cell.weight_ih'], step
        assert bool(influence(run).any()) == (step % 20 != 0 and step % 15 != 0)


def test_online_nothing_of_the_steps_before_a_boundary_is_left(open_run) -> None:
    run = open_run(**ONLINE, **{'world.online_rate': 0.0}).train(33)
    other = make_online_learner(run.session.config)
    other.load(run.learner.state())
    step = run.cart.step(np.float32([1.0]))
    other.learn(step)
    begins = replace(run.cart.step(np.float32([0.0])), boundary=True)
    states = [learner.learn(begins) and learner.state() for learner in (run.learner, other)]
    assert torch.equal(*(state['online.carried.0.influence'] for state in states)) and influence(run).any()


def test_online_the_world_model_adapts_between_two_sleeps(open_run) -> None:
    few, errors = {'sleep.sws_steps': 1, 'sleep.rem_steps': 1, 'world.wake_interval': 0}, {}
    for online in ('off', 'diagonal'):
        run = open_run(online, **{**ONLINE, **few, 'world.online': online, 'world.online_rate': 1e-2}).train(20)
        steps = [run.learner.learn(run.cart.step(np.float32([n % 2]))).metrics for n in range(150)]
        errors[online] = np.mean([step['error_before'] for step in steps[75:]])
    assert errors['diagonal'] < 0.5 * errors['off']


def test_levels_of_online_learning_are_those_of_the_world_model_and_need_a_carried_state() -> None:
    assert (*LEVELS,) == SETTINGS_LEVELS[1:]
    brain = find('spiking')
    with pytest.raises(UserError, match=r"'world.online'; expected off, or 'world.step_duration' 0"):
        brain.check(brain.settings.from_flat({**ONLINE, 'world.step_duration': 0.1}))
    for model, online, window, problem in (
        ('mlp', 'sparse', 2, "world model 'mlp'; expected off; found 'sparse'. Choose the world model event_gru or"),
        ('trace_units', 'sparse', 2, "world model 'trace_units'; expected one of off, diagonal; found 'sparse'"),
        ('event_gru', 'diagonal', 2, "world model 'event_gru'; expected one of off, dense, sparse, snap, paths"),
        ('event_gru', 'snap', 1, "'world.online'; expected off, or 'world.window' of 2 or more"),
    ):
        given = {'world.model': model, 'world.online': online, 'world.window': window}
        with pytest.raises(UserError) as caught:
            brain.check(brain.settings.from_flat(given))
        assert problem in str(caught.value) and '\n' not in str(caught.value)


def test_no_outcome_of_a_real_step_enters_an_update_of_actor_and_critic(open_run) -> None:
    run = open_run().train(20)
    consolidator, results = run.session.consolidator, []
    before = consolidator.learner_state()
    for spoil in (False, True):
        consolidator.load_learner(before)
        sleep = consolidator.begin_sleep(run.learner.state(), Goal({'sws': -1}))
        if spoil:
            for name in ('after', 'code', 'reward', 'terminal'):
                consolidator.memory._rows[name].fill_(torch.nan)
        assert {progress.phase for progress in sleep.run()} == {'rem'}
        results.append(consolidator.agent.state())
    for name, value in results[0].items():
        assert torch.equal(value, results[1][name]), name
        assert name.startswith('slow') or not torch.equal(value, before[name]) or value.numel() == 1


def test_sleep_makes_the_world_model_better(open_run) -> None:
    changes = {'sleep.sws_steps': 80, 'sleep.rem_steps': 1, 'world.batch_size': 20, 'world.learning_rate': 5e-3}
    run = open_run(**changes).train(60)
    means = run.learner.metrics()
    assert 0 < means['spike_rate'] < 1
    last = [run.learner.learn(run.cart.step(np.float32([step % 2]))) for step in range(30)]
    errors = np.array([[e.metrics['error_before'], e.metrics['copy_error']] for e in last])
    assert errors[:, 0].sum() < 0.5 * errors[:, 1].sum()


def test_each_sleep_after_the_first_moves_connections_and_hands_them_over(open_run) -> None:
    run, masks = open_run(**SET), []
    weight = 'model.members.0.network.layers.1.linear.weight'
    for _ in range(3):
        state = run.train(20).learner.state()
        masks.append(state[f'{weight}_mask'])
        assert masks[-1].sum() == 16 * round(0.2 * 16) and not state[weight][~masks[-1]].any()
    assert not torch.equal(masks[0], masks[1]) and not torch.equal(masks[1], masks[2])


def test_the_state_of_the_world_model_decays_by_the_duration_of_each_step(open_run) -> None:
    carried = []
    for name, duration in (('ignored', 0.0), ('nominal', 1e-9), ('long', 2.5e-10)):  # the stamps of a cart rise by 1 ns
        run = open_run(name, **{'world.window': 3, 'world.step_duration': duration}).train(7)
        carried.append(run.learner.state()['online.carried.0.membrane.0'])
    assert torch.equal(carried[0], carried[1]) and not torch.allclose(carried[1], carried[2], atol=0.01)


def spike_rate_after(run: Run, updates: int) -> tuple[float, float]:
    """Returns the rate of the world model's spikes over windows of memory, before and after some updates."""
    c, rates = run.session.consolidator, []
    starts = c.memory.starts(3)
    for number in range(updates + 1):
        if number in (0, updates):
            carried, window = c.world.initial(16), c.draw(starts, 16, 'test', 0)
            for k in range(3):
                outcome = c.world.predict(carried, window.before[:, k], window.code[:, k])
                carried = outcome.carried
            rates.append(float(outcome.spike_rate.detach().mean()))
        c.update_world(c.draw(starts, 8, 'test', number))
    return rates[0], rates[1]


@pytest.mark.parametrize('model', ['spiking', 'event_gru'])
def test_a_cost_of_spikes_lowers_their_rate(open_run, model: str) -> None:
    values = {'world.model': model, 'world.window': 3, 'world.spike_rate': 0.0, 'world.learning_rate': 1e-2}
    before, free = spike_rate_after(open_run('free', **values, **{'world.spike_cost': 0.0}).train(19), 50)
    same, costly = spike_rate_after(open_run('costly', **values, **{'world.spike_cost': 50.0}).train(19), 50)
    assert costly < 0.5 * same and costly < 0.5 * free and free > 0.8 * before


def test_a_sleep_rolled_back_between_any_steps_leaves_everything_as_it_was(open_run) -> None:
    run = open_run(**SET).train(25)
    consolidator = run.session.consolidator
    before = {name: state_bytes.pack(state) for name, state in consolidator.state().items()}
    for steps in (0, 3, 8):
        sleep = consolidator.begin_sleep(run.learner.state(), Goal())
        for _ in zip(range(steps), sleep.run()):
            pass
        sleep.roll_back()
        assert {name: state_bytes.pack(state) for name, state in consolidator.state().items()} == before


def test_a_sleep_with_too_little_in_memory_says_so_and_does_nothing(open_run) -> None:
    run = open_run().train(7)
    sleep = run.session.begin_sleep(run.learner.to_bytes(), Goal())
    assert list(sleep.run()) == []
    assert sleep.statistics.status['sws'] == 'skipped: 7 windows in memory, needs 8'
    goal = Goal({'sws': -1, 'rem': 2})
    run.train(5)
    sleep = run.session.begin_sleep(run.learner.to_bytes(), goal)
    assert [(p.phase, p.step) for p in sleep.run()] == [('rem', 1), ('rem', 2)]
    assert sleep.statistics.status == {'sws': 'skipped: by goal', 'rem': 'ok'}


def test_a_lost_experience_breaks_windows(open_run) -> None:
    run = open_run(**{'world.window': 2})
    cart, learner = run.cart, run.learner
    experiences = [learner.learn(cart.step(np.float32([step % 2]))) for step in range(10)]
    for each in experiences[:4] + experiences[5:]:
        run.session.learn(each, NOW)
    consolidator = run.session.consolidator
    assert consolidator.gaps == 1 and len(consolidator.memory) == 9
    window = consolidator.memory.windows(consolidator.memory.starts(2), 99, 2, np.random.default_rng(0))
    assert torch.equal(window.after[:, 0], window.before[:, 1]) and len(window.before[:, 0].unique(dim=0)) == 7


def test_returns_are_those_of_whole_episodes_and_a_time_limit_is_no_end(open_run) -> None:
    run = open_run(**{'sleep.wake_steps_per_cycle': 1000}).train(45)
    returns = run.learner.metrics()['return']
    rows = run.session.consolidator.memory._rows
    ends = [i for i, t in enumerate(rows['terminal'][:45]) if t] + [14, 29, 44]
    sums = [float(rows['reward'][a:b].sum()) for a, b in pairwise([0, *[i + 1 for i in sorted(set(ends))]])]
    assert returns == pytest.approx(np.mean(sums[-10:]), rel=1e-5)
    assert not rows['terminal'][[14, 29, 44]].any()


@pytest.mark.parametrize('reward', [float('nan'), float('inf')])
def test_a_robot_without_reward_is_refused_before_anything_is_learned(open_run, reward) -> None:
    run = open_run()
    before = run.learner.to_bytes()
    with pytest.raises(UserError, match=r"robot 'cart' for the brain 'spiking'; expected a finite reward"):
        run.learner.learn(run.cart.step(np.float32([1.0]), reward))
    assert run.learner.to_bytes() == before


def test_a_robot_without_the_vector_is_refused() -> None:
    robot = RobotInfo(name='sim', modalities=('camera',), channels=())
    with pytest.raises(UserError, match=r"a robot that senses 'state'; found 'sim', which senses camera"):
        inputs_of(find('spiking'), find('spiking').settings(), robot)


def test_joints_are_a_vector_of_every_robot_that_has_some() -> None:
    both = find('spiking').settings.from_flat({'senses': 'embedding joints'})
    robot = RobotInfo('sim', ('camera',), (), ('pan',), (-1.0,), (1.0,), has_reward=True)
    assert inputs_of(find('spiking'), both, robot) == (Input(), Input('joints', 'vector'))
    alone = find('spiking').settings.from_flat({'senses': 'joints'})
    with pytest.raises(UserError, match="another one beside 'joints'"):
        inputs_of(find('spiking'), alone, robot)
    for modalities in (('camera',), ()):
        with pytest.raises(UserError, match="a robot that senses 'joints'"):
            inputs_of(find('spiking'), both, RobotInfo('cart', modalities, (), has_reward=True))


def test_a_robot_that_says_it_gives_no_reward_is_refused_before_its_first_step() -> None:
    robot = RobotInfo(name='cart', modalities=('state',), channels=(CHANNELS['discrete'],))
    expected = r"brain 'spiking'; expected a robot that gives a reward; found 'cart', which gives none"
    with pytest.raises(UserError, match=expected):
        inputs_of(find('spiking'), find('spiking').settings(), robot)
    with pytest.raises(UserError, match=expected):
        config().check_robot(robot)
    curious = find('spiking').settings.from_flat({'agent.task': 0.0, 'agent.curiosity': 1.0})
    assert inputs_of(find('spiking'), curious, robot) and inputs_of(find('cls'), find('cls').settings(), robot)


def test_a_model_made_before_robots_said_whether_they_give_a_reward_still_matches_its_robot() -> None:
    made = config()
    content = json.loads(made.to_json())
    del content['robot']['has_reward']
    older = ModelConfig.from_json(json.dumps(content), 'config.json')
    assert older.shapes == {'state': (2,)}
    older.check_robot(made.robot)
    assert json.loads(older.to_json()) == content, 'so that its hash stays'


def test_each_brain_says_in_which_modes_it_acts(open_run) -> None:
    for mode in find('spiking').modes:
        check_mode(find('spiking'), mode)
    for other in ('manual', 'follow'):  # not acted in by any brain
        check_mode(find('cls'), other)
    with pytest.raises(UserError, match=r"mode of brain 'cls'; expected random or curiosity; found 'greedy'"):
        check_mode(find('cls'), 'greedy')


def test_a_state_of_another_size_is_refused(open_run) -> None:
    run = open_run()
    other = make_online_learner(config(**{'agent.hidden': 8}))
    with pytest.raises(UserError, match="weights of this model's config"):
        run.learner.load_bytes(other.to_bytes())


def test_without_a_task_a_robot_needs_no_reward(open_run) -> None:
    run = open_run(**{'world.model': 'mlp', 'world.ensemble': 2, 'agent.task': 0.0, 'agent.curiosity': 1.0})
    cart, act = run.cart, run.learner.act
    for _ in range(41):
        learner = run.learner
        transition = cart.step(act(cart.observation(), NO_JOINTS, 'curiosity', learner.total_steps), float('nan'))
        run.session.learn(learner.learn(transition), NOW)
        if learner.wants_sleep:
            run.sleep()
    assert run.learner.cycles == 2 and run.session.consolidator.learner_state()['actor.output.weight'].any()


@pytest.mark.parametrize('is_on', [True, False])
def test_a_sleep_rolls_the_actor_back_where_real_returns_got_worse(open_run, is_on) -> None:
    run = open_run(
        **{'sleep.wake_steps_per_cycle': 200, 'world.model': 'mlp', 'gate.is_on': is_on, 'gate.horizon': 3}
    ).train(400)
    consolidator, dreamed = run.session.consolidator, run.session.consolidator.agent.state()
    first = {name.removeprefix('kept.'): t for name, t in consolidator.learner_state().items() if name[:5] == 'kept.'}
    run.train(199)
    better = 100.0 + torch.arange(20, dtype=torch.float64)
    consolidator.gate.load({**consolidator.gate.state(), 'gate.kept': better})
    sleep = consolidator.begin_sleep(run.learner.state(), Goal({'sws': -1, 'rem': -1}))
    assert list(sleep.run()) == []
    online = sleep.finish()
    assert ('rolled back' if is_on else 'kept') in sleep.verdict.text and sleep.verdict.metrics['actor_high'] < 0
    assert consolidator.sleeps_rolled_back == is_on and not sleep.verdict.rolled_back
    expected = first if is_on else dreamed
    assert not torch.equal(first['actor.output.weight'], dreamed['actor.output.weight'])
    assert torch.equal(online['actor.output.weight'], expected['actor.output.weight'])
    sleep.roll_back()
    assert torch.equal(consolidator.agent.state()['actor.output.weight'], dreamed['actor.output.weight'])
    assert consolidator.sleeps_rolled_back == 0


def test_the_gate_keeps_the_actor_that_acted_where_learning_went_on_awake(open_run) -> None:
    run = open_run(**{'world.model': 'mlp', 'agent.wake_interval': 1, 'gate.horizon': 1}).train(40)
    consolidator, acting = run.session.consolidator, run.learner.state()
    run.train(19)
    assert not torch.equal(consolidator.agent.state()['actor.output.weight'], acting['actor.output.weight'])
    consolidator.gate.load({**consolidator.gate.state(), 'gate.steps': torch.tensor([[1.0, 1, 1, 1]] * 200).double()})
    consolidator.judge_actor(1)
    kept = consolidator.learner_state()['kept.actor.output.weight']
    assert torch.equal(kept, acting['actor.output.weight'])


def test_steps_of_another_mode_are_not_those_of_the_actor(open_run) -> None:
    run = open_run().train(30)
    learner, cart = run.learner, run.cart
    own = learner.act(cart.observation(), NO_JOINTS, 'curiosity', learner.total_steps)
    assert learner.learn(cart.step(own)).metrics['by_actor'] == 1.0
    own = learner.act(cart.observation(), NO_JOINTS, 'curiosity', learner.total_steps)
    assert learner.learn(cart.step(1.0 - own)).metrics['by_actor'] == 0.0


def test_windows_do_not_span_steps_that_a_restarted_consolidator_missed(open_run) -> None:
    run = open_run(**{'world.model': 'gru', 'world.window': 2}).train(10)
    consolidator = run.session.consolidator
    before = len(consolidator.memory.starts(2))
    run.learner.total_steps += 5
    consolidator.adopt(run.learner)
    experience = run.learner.learn(run.cart.step(np.float32([1.0])))
    assert not experience.transition.boundary
    consolidator.learn(experience)
    assert len(consolidator.memory.starts(2)) == before


def test_settings_with_which_no_sleep_could_learn_are_refused() -> None:
    brain = find('spiking')
    with pytest.raises(
        UserError, match=r"'world.capacity'; expected 131 or more, for 128 windows of 4 steps; found 130"
    ):
        brain.check(brain.settings.from_flat({'world.capacity': 130, 'world.window': 4}))
    with pytest.raises(UserError, match=r"'agent.curiosity'; expected 0, or 'world.ensemble' of 2 or more"):
        brain.check(brain.settings.from_flat({'agent.curiosity': 0.5}))


@pytest.mark.parametrize('steps', [0, 20, 40])
def test_a_model_is_saved_and_opened_whatever_the_gate_kept(open_run, steps) -> None:
    run = open_run(**{'world.model': 'mlp', 'gate.horizon': 1}).train(steps)
    run.session.save(run.learner.to_bytes(), NOW)
    saved = run.hash()
    run.session.folder.close()
    assert open_run().hash() == saved

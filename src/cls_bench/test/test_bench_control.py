"""`bench control`: when a task is solved, runs of agents, and the report."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.envs.registration import register, registry
import numpy as np
import pytest
from rich.console import Console
import torch

from cls_bench.control import agents, brain_run, environments, peers, planner_run, report, runner
from cls_bench.control.plots import draw
from cls_bench.control.solving import Bounds, is_undecided, Round, Rounds, solved_round
from cls_bench.control.table import show
from cls_cli import entry
from cls_common.errors import UserError
from cls_learning.brains.spiking.settings import SpikingBrainSettings
from cls_learning.brains.spiking.world import World

BOUNDS = Bounds(475.0, 450.0)
# Small networks and short sleeps.
TINY = {
    'warmup': 20, 'world.hidden': 8, 'world.batch_size': 8, 'agent.hidden': 8, 'agent.starts': 4, 'agent.horizon': 2,
    'sleep.wake_steps_per_cycle': 25, 'sleep.sws_steps': 2, 'sleep.rem_steps': 2,
}  # fmt: skip


def rounds_of(*returns: float) -> list[Round]:
    return [Round(200 * k, value, 1.0 * k, value >= BOUNDS.solved) for k, value in enumerate(returns, 1)]


@pytest.mark.parametrize(
    'returns, steps',
    [
        ((100, 480, 460, 451, 20), 400),
        ((480, 500, 500), 200),
        # A dip after the first success: the next success counts.
        ((480, 500, 440, 500, 500, 500), 800),
        ((480, 450, 500, 460, 500), 600),
        # Never above, or above and never for long.
        ((100, 200, 300, 474), None),
        ((480, 20, 480, 20, 480, 20), None),
        # The rounds that must follow are missing: not solved.
        ((100, 480), None),
        ((100, 480, 480), None),
        ((), None),
    ],
)
def test_a_task_is_solved_by_the_first_success_that_two_rounds_keep(returns: tuple[float, ...], steps: int) -> None:
    found = solved_round(rounds_of(*returns), BOUNDS)
    assert (found and found.steps) == steps


@pytest.mark.parametrize(
    'returns, expected',
    [((480,), True), ((480, 460), True), ((480, 440), False), ((480, 460, 460), False), ((300,), False), ((), False)],
)
def test_a_success_is_undecided_until_two_rounds_followed_or_one_failed(
    returns: tuple[float, ...], expected: bool
) -> None:
    assert is_undecided(rounds_of(*returns), BOUNDS) == expected


def run_rounds(budget: int, *returns: tuple[float, ...]) -> tuple[Rounds, list[int]]:
    """Runs rounds every 200 steps with the means of each; returns them and the numbers of episodes that were run."""
    left, asked, now = [value for each in returns for value in each], [], [0.0]

    def mean_return(episodes: int) -> float:
        asked.append(episodes)
        now[0] += 100.0  # an evaluation takes longer than learning
        return left.pop(0)

    rounds = Rounds(BOUNDS, budget, mean_return, lambda: now[0])
    for steps in range(200, 200 * len(returns) + 1, 200):
        now[0] += 1.0
        assert rounds.add(steps) == (steps == 200 * len(returns)), steps
    assert not left
    return rounds, asked


def test_a_hundred_episodes_confirm_what_twenty_found_and_the_time_of_episodes_does_not_count() -> None:
    rounds, asked = run_rounds(5000, (300,), (500, 470), (480, 490), (460,), (451,))
    assert asked == [20, 20, 100, 20, 100, 20, 20]
    assert rounds.metrics() == {
        'solved_steps': 600, 'seconds': 3.0,
        'return_at': {'200': 300, '400': 470, '600': 490, '800': 460, '1000': 451},
    }  # fmt: skip


def test_a_run_ends_at_its_budget_unless_a_success_is_undecided() -> None:
    assert run_rounds(600, (1,), (2,), (3,))[0].metrics()['solved_steps'] is None
    assert run_rounds(600, (1,), (2,), (480, 480), (460,), (460,))[0].metrics()['solved_steps'] == 600
    assert run_rounds(600, (1,), (2,), (480, 480), (440,))[0].metrics()['solved_steps'] is None


class Levers(gymnasium.Env[Any, Any]):
    """Two numbers and two levers; lever 1 gives a reward of 1. An episode has 4 steps."""

    observation_space = gymnasium.spaces.Box(-10.0, 10.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    resets = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        type(self).resets += 1
        self.steps = 0
        return self._observation(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return self._observation(), float(action), False, self.steps == 4, {}

    def _observation(self) -> Any:
        return self.np_random.normal(size=2).astype(np.float32)


@pytest.fixture(autouse=True)
def _levers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    register('BenchLevers-v0', entry_point=Levers)
    levers = environments.ControlEnvironment('gym:BenchLevers-v0', Bounds(3.9, 3.5), 25, 25)
    monkeypatch.setitem(environments.ENVIRONMENTS, 'levers', levers)  # type: ignore[arg-type]
    monkeypatch.setitem(agents.AGENTS, 'tiny', agents.Agent('brain', TINY))  # type: ignore[arg-type]
    yield
    del registry['BenchLevers-v0']


def test_a_run_of_the_brain_is_evaluated_after_each_sleep_and_repeats_itself() -> None:
    agent, levers = agents.find('tiny'), environments.find('levers')
    first, second = (brain_run.run(agent, levers, 3) for _ in range(2))
    steps = list(map(int, first['return_at']))
    assert steps == [25 * k for k in range(1, len(steps) + 1)] and steps[-1] >= 25
    assert all(0.0 <= value <= 4.0 for value in first['return_at'].values())
    assert 0.0 < first['spike_rate'] < 1.0 and first['seconds'] > 0.0 and first['model_error'] > 0.0
    assert first['ops_learn'] > first['ops_act'] > 0
    assert {**first, 'seconds': 0.0} == {**second, 'seconds': 0.0}


def test_the_planner_pulls_the_lever_that_brings_reward() -> None:
    torch.manual_seed(0)
    rows = {
        'before': torch.randn(100, 2), 'after': torch.randn(100, 2), 'terminal': torch.zeros(100),
        'action': torch.randint(2, (100, 1)) * 2.0 - 1.0,
    }  # fmt: skip
    rows['reward'] = (rows['action'][:, 0] > 0).float()
    learner = planner_run.Planner(2, (2,), seed=1)
    learner.learn(rows, 60)
    generator = torch.Generator().manual_seed(2)
    assert (learner.plan(torch.randn(8, 2), generator) == 1.0).float().mean() > 0.8
    values = planner_run.mean_return(learner, environments.find('levers'), 5, 2)
    assert values > 2.5 and planner_run.mean_return(learner, environments.find('levers'), 5, 2) == values


def test_continuous_actions_stay_what_was_planned_and_discrete_ones_take_their_values() -> None:
    learner = planner_run.Planner(1, (0, 3, 2), seed=1)
    units = torch.tensor([[0.3, 0.3, 0.3], [-0.9, -0.6, -0.1]])
    snapped = learner._snap(units)
    assert torch.equal(snapped[:, 0], units[:, 0])
    assert snapped[:, 1].tolist() == [0.0, -1.0] and snapped[:, 2].tolist() == [1.0, -1.0]


def request(folder: Path, *names: str, **changes: Any) -> runner.ControlRequest:
    values: dict[str, Any] = {'environments': ('levers',), 'seeds': 1, 'runs_peers': True, 'jobs': 1, 'folder': folder}
    return runner.ControlRequest(agents=names, **values | changes)


def test_what_is_finished_is_not_run_again(tmp_path: Path) -> None:
    labels: list[str] = []
    first = runner.run(request(tmp_path, 'tiny'), lambda label, _: labels.append(label))
    assert labels == ['levers tiny seed 0']
    resets = Levers.resets
    assert runner.run(request(tmp_path, 'tiny'), lambda label, _: labels.append(label)).found == first.found
    assert Levers.resets == resets and len(labels) == 1


@pytest.mark.parametrize(
    'names, changes, expected',
    [
        (('unknown',), {}, "unknown agent 'unknown'; expected one of spiking"),
        (('tiny',), {'environments': ('nowhere',)}, "unknown environment 'nowhere'"),
    ],
)
def test_unknown_names_are_refused_before_anything_runs(
    tmp_path: Path, names: tuple[str, ...], changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UserError) as error:
        runner.run(request(tmp_path, *names, **changes), lambda *_: None)
    assert expected in str(error.value)


def test_peers_that_can_not_be_installed_have_the_figures_of_an_earlier_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('CLS_ROOT', str(tmp_path))  # here are no pinned packages
    found = runner.run(request(tmp_path, 'ppo', environments=('CartPole-v1',)), lambda *_: None)
    kept = peers.read_figures()
    assert found.peers_date == kept['date'] and len(kept['date']) == 10
    assert {job.agent for job in found.found} == {'ppo'}
    asked = request(tmp_path, 'ppo', environments=('CartPole-v1',), runs_peers=False)
    assert runner.run(asked, lambda *_: None).found == found.found


def result(steps: int | None, seconds: float = 30.0, rate: float | None = None) -> dict[str, Any]:
    return {
        'solved_steps': steps, 'seconds': seconds, 'spike_rate': rate, 'ops_act': None, 'ops_learn': None,
        'return_at': {'200': 100.0, '400': 500.0} if steps else {'200': 50.0},
    }  # fmt: skip


def results(environment: str = 'CartPole-v1', **by_agent: list[dict[str, Any]]) -> runner.ControlResults:
    found = {
        runner.ControlJob(agent, environment, seed): metrics
        for agent, runs in by_agent.items()
        for seed, metrics in enumerate(runs)
    }
    return runner.ControlResults(request(Path(), *by_agent), found, '2026-01-02' if 'ppo' in by_agent else '')


def test_rows_are_medians_worst_seeds_and_intervals() -> None:
    steps = [600, 800, 400, None, 1000, 600]
    found = report.document(results(spiking=[result(each, rate=0.1) for each in steps], mlp=[result(None)] * 3))
    spiking, mlp = found['rows']
    assert (spiking['agent'], spiking['seeds'], spiking['solved']) == ('spiking', 6, 5)
    assert spiking['solved_steps'] == 700 and spiking['solved_worst'] is None
    assert spiking['solved_steps_ci'] == [400, None]
    assert spiking['return_at'] == {'200': pytest.approx(550 / 6)}
    assert spiking['spike_rate'] == pytest.approx(0.1) and spiking['spike_rate_ci'] is not None
    assert (mlp['solved_steps'], mlp['solved'], mlp['spike_rate']) == (None, 0, None)
    assert [run['seed'] for run in found['runs'] if run['agent'] == 'spiking'] == list(range(6))


def test_each_target_is_met_missed_or_not_run() -> None:
    def met(**by_agent: list[dict[str, Any]]) -> list[bool | None]:
        return [each['met'] for each in report.document(results(**by_agent))['targets']]

    good, peer = [result(800, 40.0, 0.08)] * 2, [result(10_000)]
    assert met(spiking=good, ppo=peer, dqn=[result(30_000)]) == [True] * 5
    assert met(spiking=good, ppo=peer, dqn=[result(3000)]) == [True] * 4 + [False]
    assert met(spiking=[result(None, 30.0, 0.3)], ppo=peer) == [False] * 5
    assert met(spiking=good, ppo=[result(None)]) == [True] * 4 + [None]
    assert met(mlp=good) == [None] * 5


def test_the_swing_up_is_judged_by_its_steps_and_beside_the_twin() -> None:
    def met(**runs: tuple[int | None, float]) -> list[bool | None]:
        found = {
            name: [{**result(steps), 'return_at': {'1000': best, '2000': 30.0}}] for name, (steps, best) in runs.items()
        }
        return [each['met'] for each in report.document(results('cart_pole', **found))['targets']]

    assert met(spiking=(18_000, 760.0), gru=(9000, 900.0)) == [True, True]
    assert met(spiking=(None, 700.0), gru=(9000, 900.0)) == [False, False]
    assert met(spiking=(None, 860.0)) == [False, None]
    assert met(gru=(9000, 900.0)) == [None, None]


def test_the_targets_stand_above_the_table_and_say_where_peers_come_from(tmp_path: Path) -> None:
    found = report.document(results(spiking=[result(800, 40.0, 0.3), result(None, 40.0, 0.3)], ppo=[result(10_240)]))
    console = Console(width=200, record=True, file=(tmp_path / 'out').open('w'))
    show(found, console)
    lines = console.export_text().splitlines()
    assert [line.split()[0] for line in lines[:5]] == ['missed'] * 5
    assert 'worst seed: never (target <= 2000)' in lines[1]
    assert any('peer figures of 2026-01-02' in line for line in lines)
    assert lines[-1].split()[:4] == ['CartPole-v1', 'ppo', '1', 'of'] and '10,240' in lines[-1]
    files = draw(found, tmp_path / 'plots')
    assert [file.name for file in files] == ['control_returns_CartPole-v1.png', 'control_steps_CartPole-v1.png']
    assert all(file.stat().st_size > 5000 for file in files)


def test_the_command_line_refuses_an_unknown_agent_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.main(['bench', 'control', '--agent', 'unknown', '--cache-dir', str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: unknown agent 'unknown'") and said.count('\n') == 1


def test_world_models_have_as_many_parameters_within_five_percent() -> None:
    def parameters(agent: agents.Agent) -> int:
        settings = SpikingBrainSettings.from_flat(dict(agent.settings))
        return sum(each.numel() for each in World(settings.world, size=4, action_size=2, seed=0).parameters())

    counts = {name: parameters(agent) for name, agent in agents.BRAINS.items()}
    assert all(abs(count / counts['spiking'] - 1) <= 0.05 for count in counts.values()), counts

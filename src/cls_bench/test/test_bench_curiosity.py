"""Benchmark of exploration: environments, explorers, metrics, report and command."""

from dataclasses import replace
import io
import json
from pathlib import Path
import re
from typing import Any

from click.testing import CliRunner
from hypothesis import given, settings, strategies
import numpy as np
import pytest
from rich.console import Console
import torch

from cls_bench.curiosity import explorers, report, walk
from cls_bench.curiosity.environments import ENVIRONMENTS, GridEnvironment, PER_CELL
from cls_bench.curiosity.plots import draw
from cls_bench.curiosity.runner import ExplorationRequest, run
from cls_bench.curiosity.table import show
from cls_bench.curiosity.views import FRAMES, SceneRenderer, Views
from cls_bench.learning.statistics import median_interval
from cls_cli.commands.bench import command
from cls_cli.entry import main
from cls_learning.config import LearningSettings
from cls_learning.rewards.cells import JointCells

# Small enough to be encoded and explored in a second.
SMALL = GridEnvironment(name='small', limits_deg=(40.0, 20.0), steps=40, start='corner')


def blind(environment: GridEnvironment) -> Views:
    """Views of zeros."""
    return Views(torch.zeros(*environment.shape, 4), torch.zeros(0, FRAMES, 4), torch.full(environment.shape, -1))


def trajectory_of(name: str, environment: GridEnvironment, number: int) -> walk.Trajectory:
    explorer = explorers.make(name, environment, 4, number)
    return walk.walk(explorer, environment, blind(environment), environment.starts_at(number, 0), number)


# ---- environments


@pytest.mark.parametrize('name', ENVIRONMENTS)
def test_policy_and_benchmark_count_the_same_cells(name: str) -> None:
    """No pose lies on the edge of a cell, where rounding would decide."""
    environment = ENVIRONMENTS[name]
    cells = JointCells(environment.robot(), LearningSettings().policy.cell_deg)
    assert cells.count == environment.is_free.size
    for index in environment.poses()[::7, ::5].reshape(-1, 2):
        here = cells.cell_of(np.zeros(4, np.float32), np.radians(environment.degrees(index)))
        assert here == np.ravel_multi_index(tuple(index // PER_CELL), environment.is_free.shape)


@pytest.mark.parametrize('seed', range(8))
def test_five_to_ten_percent_of_poses_see_half_noise(seed: int) -> None:
    assert 0.05 <= walk.noise_share(ENVIRONMENTS['noise'], seed) <= 0.10


def test_on_screen_agrees_with_rendered_images() -> None:
    """The share of an image that changes from frame to frame is compared with `on_screen`."""
    environment, seed = ENVIRONMENTS['noise'], 3
    renderer = SceneRenderer(environment, seed)
    draws = np.random.default_rng(0)
    poses = environment.poses().reshape(-1, 2)
    near = poses[environment.sees_screen(poses, seed)]
    unlike = []
    for index in [*draws.choice(near, 25), *draws.choice(poses, 10)]:
        one, other = (renderer.view(index, frame).astype(int) for frame in (0, 1))
        changed = (np.abs(one - other).max(-1) > 15).mean()
        if not environment.sees_screen(index, seed):
            assert changed < 0.01
        elif abs(changed - 0.5) > 0.06:
            unlike.append((changed > 0.5) != environment.on_screen(index, seed))
    assert len(unlike) > 15 and not any(unlike)
    assert np.array_equal(renderer.view(near[0], 2), renderer.view(near[0], 2))


@settings(max_examples=200, deadline=None)
@given(data=strategies.data())
def test_no_move_passes_the_wall(data: strategies.DataObject) -> None:
    environment = ENVIRONMENTS['passage']
    free = environment.poses()[np.repeat(np.repeat(environment.is_free, PER_CELL, 0), PER_CELL, 1)]
    start = free[data.draw(strategies.integers(0, len(free) - 1))]
    unit = strategies.floats(-20, 20, width=32)
    end = environment.move(start, np.array([data.draw(unit), data.draw(unit)], np.float32))
    assert environment.is_free[tuple(end // PER_CELL)] and np.abs(end - start).max() <= 4
    wall = np.flatnonzero(~environment.is_free.all(1)) * PER_CELL
    # The wall is thicker than any move is long.
    assert not (min(start[0], end[0]) < wall[0] and max(start[0], end[0]) >= wall[-1] + PER_CELL)


def test_walks_start_where_each_environment_defines() -> None:
    at = {
        name: np.stack([environment.starts_at(n, n % 3) for n in range(12)])
        for name, environment in ENVIRONMENTS.items()
    }
    assert np.abs(ENVIRONMENTS['room'].degrees(at['room'])).max() < 2.5
    assert (np.abs(ENVIRONMENTS['corner'].degrees(at['corner'])) == [88.75, 38.75]).all()
    assert len(np.unique(at['corner'], axis=0)) == 4
    assert (ENVIRONMENTS['passage'].degrees(at['passage'])[:, 0] < -10).all()
    for name, before_it in (('noise', False), ('screen', True)):
        assert {bool(ENVIRONMENTS[name].on_screen(i, n % 3)) for n, i in enumerate(at[name])} == {before_it}
        assert len(np.unique(at[name], axis=0)) > 8


# ---- explorers and figures


def test_coverage_counts_cells_once() -> None:
    at = np.array([[0, 0], [1, 3], [4, 0], [0, 0], [4, 4]])
    assert walk.coverage(SMALL, at) == pytest.approx(np.array([1, 1, 2, 2, 3]) / 32)


@pytest.mark.parametrize('name', ['room', 'passage'])
def test_greedy_explorer_covers_almost_one_cell_a_step(name: str) -> None:
    """0.98 of the room at 200 steps; random actions stay below half of that."""
    environment = replace(ENVIRONMENTS[name], steps=200)
    greedy, random = (
        walk.coverage(environment, trajectory_of(name, environment, 0).at)[-1] for name in ('greedy', 'random')
    )
    assert greedy >= 0.98 and random < 0.5 * greedy


def test_visit_count_finds_the_gap_in_the_wall() -> None:
    environment = replace(ENVIRONMENTS['passage'], steps=500)
    for number in range(2):
        assert walk.coverage(environment, trajectory_of('visit_count', environment, number).at)[-1] > 0.9


def test_steps_out_of_the_corner_and_to_the_other_side() -> None:
    corner, passage = (replace(ENVIRONMENTS[name], steps=3) for name in ('corner', 'passage'))
    z, action = torch.zeros(4, 4), torch.zeros(3, 2)
    out = np.array([[0, 0], [6, 5], [8, 6], [12, 12]])
    assert walk.path_metrics(corner, walk.Trajectory(out, z, action), 0)['corner_steps'] == 2
    stuck = walk.Trajectory(out[[0, 0, 1, 1]], z, action)
    assert walk.path_metrics(corner, stuck, 0)['corner_steps'] == 3, 'the length of the walk if it never leaves'
    across = np.array([[30, 17], [34, 17], [38, 17], [40, 17]])
    assert walk.path_metrics(passage, walk.Trajectory(across, z, action), 0)['other_side_steps'] == 3


def test_noise_ratio_is_time_over_share() -> None:
    environment = replace(ENVIRONMENTS['noise'], steps=4)
    poses = environment.poses().reshape(-1, 2)
    on, off = poses[environment.on_screen(poses, 0)][0], poses[~environment.on_screen(poses, 0)][0]
    at = np.stack([on, off, off, on, on])
    metrics = walk.path_metrics(environment, walk.Trajectory(at, torch.zeros(5, 4), torch.zeros(4, 2)), 0)
    share = walk.noise_share(environment, 0)
    assert metrics['noise_ratio'] == pytest.approx(0.5 / share)
    assert metrics['noise_ratio_late'] == pytest.approx(1.0 / share)


@pytest.mark.parametrize('name', explorers.ALL)
def test_a_walk_is_deterministic_in_its_number(name: str) -> None:
    """The same explorer and number give the same walk, another number gives another; networks included."""
    environment = replace(SMALL, steps=12)
    views = replace(
        blind(environment),
        plain=torch.from_numpy(np.random.default_rng(0).normal(size=(*environment.shape, 4))).float(),
    )
    paths = []
    for number in (0, 0, 1):
        explorer = explorers.make(name, environment, 4, number)
        paths.append(walk.walk(explorer, environment, views, environment.starts_at(0, 0), number).at)
    assert np.array_equal(paths[0], paths[1])
    assert name == 'greedy' or not np.array_equal(paths[0], paths[2])


# ---- run, report, command


def test_a_run_reports_its_walks_and_a_second_run_uses_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller = replace(SMALL, limits_deg=(20.0, 10.0))
    monkeypatch.setitem(ENVIRONMENTS, 'small', smaller)  # type: ignore[arg-type]
    request = ExplorationRequest(
        rewards=('random', 'rnd'),
        environments=('small',),
        encoders=('thumbnail',),
        starts=2,
        seeds=2,
        steps=0,
        jobs=1,
        folder=tmp_path,
    )
    labels: list[str] = []
    first = report.document(run(request, lambda label, share: labels.append(label)))
    assert len(labels) == 2 + 4 and 'views of scene 1' in labels[1] and 'rnd, start 1' in labels[-1]
    labels.clear()
    assert report.document(run(request, lambda label, share: labels.append(label))) == first and not labels

    rows = {row['reward']: row for row in first['rows']}
    assert rows['rnd']['coverage_over_random'] == pytest.approx(rows['rnd']['coverage'] / rows['random']['coverage'])
    assert rows['random']['skill_over_random'] == 0.0 and rows['rnd']['noise_ratio'] is None
    assert len(rows['rnd']['model_skill_ci']) == 2 and rows['rnd']['coverage_200'] is None
    assert all(json.dumps(value) for value in rows['rnd'].values())

    text = io.StringIO()
    show(first, Console(file=text, width=240))
    assert 'rnd' in text.getvalue() and 'not run' in text.getvalue()
    files = draw(first, tmp_path / 'plots')
    assert [file.name for file in files] == ['coverage_small_thumbnail.png', 'model_thumbnail.png']
    assert all(file.stat().st_size > 1000 for file in files)


def test_targets_are_checked_against_the_rows() -> None:
    rows: list[dict[str, Any]] = [
        {
            'reward': 'visit_count',
            'world': 'noise',
            'coverage_200_over_random': 2.5,
            'coverage_500': 0.97,
            'noise_ratio': 1.0,
            'skill_over_random_ci': [-0.1, 0.2],
        },
        {'reward': 'reference', 'world': 'noise', 'noise_ratio': 3.0, 'skill_over_random_ci': [0.01, 0.02]},
        {'reward': 'greedy', 'world': 'noise', 'skill_over_random_ci': [0.3, 0.4]},
    ]
    checked = report.targets(rows)
    assert [target['met'] for target in checked] == [True, False, True, False, None, None, True]
    assert checked[-1]['value'] == 0.01 and 'reference in noise' in checked[-1]['target']


def test_the_interval_of_a_median_uses_ranks() -> None:
    """Of ten values the second and the ninth: 97.9 % (Conover, Practical Nonparametric Statistics, 3.2)."""
    values = [3.0, 1.0, 2.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0]
    assert median_interval(values) == [2.0, 9.0]
    assert median_interval(values[:5]) is None


@pytest.mark.parametrize(
    'arguments, complaint',
    [
        (['--world', 'moon'], r"unknown world 'moon'.*noise"),
        (['--reward', 'fun'], r"unknown reward 'fun'.*visit_count"),
        (['--encoder', 'eagle'], r"unknown encoder 'eagle'"),
    ],
)
def test_unknown_names_are_refused_in_one_line(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['bench', 'curiosity', *arguments, '--cache-dir', str(tmp_path)]) != 0
    error = capsys.readouterr().err
    assert re.search(complaint, error) and len(error.strip().splitlines()) <= 3


def test_help_names_the_explorers() -> None:
    shown = CliRunner().invoke(command, ['curiosity', '--help']).output
    assert '--reward' in shown and 'greedy' in shown

"""The bench of curiosity: its worlds are what they say, its explorers go where they say, its rows add up."""

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
from cls_bench.curiosity.plots import draw
from cls_bench.curiosity.runner import Request, run
from cls_bench.curiosity.table import show
from cls_bench.curiosity.views import FRAMES, Scenery, Views
from cls_bench.curiosity.worlds import PER_CELL, World, WORLDS
from cls_cli.commands.bench import command
from cls_cli.entry import main
from cls_learning.config import LearningSettings
from cls_learning.rewards.cells import JointCells

# As the worlds of the bench, but seen and walked through in a second.
SMALL = World(name='small', limits_deg=(40.0, 20.0), steps=40, start='corner')


def blind(world: World) -> Views:
    """Views in which there is nothing to see."""
    return Views(torch.zeros(*world.shape, 4), torch.zeros(0, FRAMES, 4), torch.full(world.shape, -1))


def walked(name: str, world: World, number: int) -> walk.Walked:
    explorer = explorers.make(name, world, 4, number)
    return walk.walk(explorer, world, blind(world), world.starts_at(number, 0), number)


# ---- worlds


@pytest.mark.parametrize('name', WORLDS)
def test_the_policy_and_the_bench_count_the_same_cells(name: str) -> None:
    """No pose lies on the edge of a cell, where rounding would choose one."""
    world = WORLDS[name]
    cells = JointCells(world.robot(), LearningSettings().policy.cell_deg)
    assert cells.count == world.is_free.size
    for index in world.poses()[::7, ::5].reshape(-1, 2):
        here = cells.here(np.zeros(4, np.float32), np.radians(world.degrees(index)))
        assert here == np.ravel_multi_index(tuple(index // PER_CELL), world.is_free.shape)


@pytest.mark.parametrize('seed', range(8))
def test_five_to_ten_in_a_hundred_poses_see_half_noise(seed: int) -> None:
    assert 0.05 <= walk.noise_share(WORLDS['noise'], seed) <= 0.10


def test_the_screen_is_where_the_arithmetic_says() -> None:
    """Of real pictures: the share of a view that changes from frame to frame, against what `on_screen` says."""
    world, seed = WORLDS['noise'], 3
    scenery = Scenery(world, seed)
    draws = np.random.default_rng(0)
    poses = world.poses().reshape(-1, 2)
    near = poses[world.sees_screen(poses, seed)]
    unlike = []
    for index in [*draws.choice(near, 25), *draws.choice(poses, 10)]:
        one, other = (scenery.view(index, frame).astype(int) for frame in (0, 1))
        changed = (np.abs(one - other).max(-1) > 15).mean()
        if not world.sees_screen(index, seed):
            assert changed < 0.01
        elif abs(changed - 0.5) > 0.06:
            unlike.append((changed > 0.5) != world.on_screen(index, seed))
    assert len(unlike) > 15 and not any(unlike)
    assert np.array_equal(scenery.view(near[0], 2), scenery.view(near[0], 2))


@settings(max_examples=200, deadline=None)
@given(data=strategies.data())
def test_nobody_goes_through_the_wall(data: strategies.DataObject) -> None:
    world = WORLDS['passage']
    free = world.poses()[np.repeat(np.repeat(world.is_free, PER_CELL, 0), PER_CELL, 1)]
    start = free[data.draw(strategies.integers(0, len(free) - 1))]
    unit = strategies.floats(-20, 20, width=32)
    end = world.move(start, np.array([data.draw(unit), data.draw(unit)], np.float32))
    assert world.is_free[tuple(end // PER_CELL)] and np.abs(end - start).max() <= 4
    wall = np.flatnonzero(~world.is_free.all(1)) * PER_CELL
    # It is thicker than any move is long: nobody is on one side, and next on the other.
    assert not (min(start[0], end[0]) < wall[0] and max(start[0], end[0]) >= wall[-1] + PER_CELL)


def test_starts_are_where_each_world_says() -> None:
    at = {name: np.stack([world.starts_at(n, n % 3) for n in range(12)]) for name, world in WORLDS.items()}
    assert np.abs(WORLDS['room'].degrees(at['room'])).max() < 2.5
    assert (np.abs(WORLDS['corner'].degrees(at['corner'])) == [88.75, 38.75]).all()
    assert len(np.unique(at['corner'], axis=0)) == 4
    assert (WORLDS['passage'].degrees(at['passage'])[:, 0] < -10).all()
    for name, before_it in (('noise', False), ('screen', True)):
        assert {bool(WORLDS[name].on_screen(i, n % 3)) for n, i in enumerate(at[name])} == {before_it}
        assert len(np.unique(at[name], axis=0)) > 8


# ---- explorers and figures


def test_coverage_counts_cells_once() -> None:
    at = np.array([[0, 0], [1, 3], [4, 0], [0, 0], [4, 4]])
    assert walk.coverage(SMALL, at) == pytest.approx(np.array([1, 1, 2, 2, 3]) / 32)


@pytest.mark.parametrize('name', ['room', 'passage'])
def test_who_knows_everything_covers_a_cell_a_step(name: str) -> None:
    """The upper line of the learning probe: 0.98 of the room at 200 steps; chance stays below half of that."""
    world = replace(WORLDS[name], steps=200)
    greedy, chance = (walk.coverage(world, walked(who, world, 0).at)[-1] for who in ('greedy', 'random'))
    assert greedy >= 0.98 and chance < 0.5 * greedy


def test_visit_count_finds_the_way_through_the_wall() -> None:
    world = replace(WORLDS['passage'], steps=500)
    for number in range(2):
        assert walk.coverage(world, walked('visit_count', world, number).at)[-1] > 0.9


def test_steps_out_of_the_corner_and_to_the_other_side() -> None:
    corner, passage = (replace(WORLDS[name], steps=3) for name in ('corner', 'passage'))
    z, action = torch.zeros(4, 4), torch.zeros(3, 2)
    out = np.array([[0, 0], [6, 5], [8, 6], [12, 12]])
    assert walk.figures_of(corner, walk.Walked(out, z, action), 0)['corner_steps'] == 2
    stuck = walk.Walked(out[[0, 0, 1, 1]], z, action)
    assert walk.figures_of(corner, stuck, 0)['corner_steps'] == 3, 'never: the length of the walk'
    across = np.array([[30, 17], [34, 17], [38, 17], [40, 17]])
    assert walk.figures_of(passage, walk.Walked(across, z, action), 0)['other_side_steps'] == 3


def test_noise_ratio_is_time_over_share() -> None:
    world = replace(WORLDS['noise'], steps=4)
    poses = world.poses().reshape(-1, 2)
    on, off = poses[world.on_screen(poses, 0)][0], poses[~world.on_screen(poses, 0)][0]
    at = np.stack([on, off, off, on, on])
    figures = walk.figures_of(world, walk.Walked(at, torch.zeros(5, 4), torch.zeros(4, 2)), 0)
    share = walk.noise_share(world, 0)
    assert figures['noise_ratio'] == pytest.approx(0.5 / share)
    assert figures['noise_ratio_late'] == pytest.approx(1.0 / share)


@pytest.mark.parametrize('name', explorers.ALL)
def test_a_walk_is_a_matter_of_its_number(name: str) -> None:
    """The same explorer and start walk the same, another start otherwise; all the way through their networks."""
    world = replace(SMALL, steps=12)
    views = replace(blind(world), plain=torch.from_numpy(np.random.default_rng(0).normal(size=(*world.shape, 4)))
                    .float())  # fmt: skip
    paths = []
    for number in (0, 0, 1):
        explorer = explorers.make(name, world, 4, number)
        paths.append(walk.walk(explorer, world, views, world.starts_at(0, 0), number).at)
    assert np.array_equal(paths[0], paths[1])
    assert name == 'greedy' or not np.array_equal(paths[0], paths[2])


# ---- the whole


def test_from_pictures_to_the_report_and_nothing_is_done_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORLDS, 'small', SMALL)  # type: ignore[arg-type]
    request = Request(
        rewards=('random', 'rnd'), worlds=('small',), encoders=('thumbnail',), starts=2, seeds=2,
        steps=0, jobs=1, folder=tmp_path,
    )  # fmt: skip
    told: list[str] = []
    first = report.document(run(request, lambda label, share: told.append(label)))
    assert len(told) == 2 + 4 and 'views of scene 1' in told[1] and 'rnd, start 1' in told[-1]
    told.clear()
    assert report.document(run(request, lambda label, share: told.append(label))) == first and not told

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


def test_targets_are_judged_by_the_rows() -> None:
    rows: list[dict[str, Any]] = [
        {'reward': 'visit_count', 'world': 'noise', 'coverage_200_over_random': 2.5, 'coverage_500': 0.97,
         'noise_ratio': 1.0, 'skill_over_random_ci': [-0.1, 0.2]},
        {'reward': 'reference', 'world': 'noise', 'noise_ratio': 3.0, 'skill_over_random_ci': [0.01, 0.02]},
        {'reward': 'greedy', 'world': 'noise', 'skill_over_random_ci': [0.3, 0.4]},
    ]  # fmt: skip
    judged = report.targets(rows)
    assert [target['met'] for target in judged] == [True, False, True, False, None, None, True]
    assert judged[-1]['value'] == 0.01 and 'reference in noise' in judged[-1]['target']


def test_the_interval_of_a_median_goes_by_ranks() -> None:
    """Of ten values the second and the ninth: 97.9 % (Conover, Practical Nonparametric Statistics, 3.2)."""
    values = [3.0, 1.0, 2.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0]
    assert report._median_interval(values) == [2.0, 9.0]
    assert report._median_interval(values[:5]) is None


@pytest.mark.parametrize(
    'arguments, complaint',
    [
        (['--world', 'moon'], r"unknown world 'moon'.*noise"),
        (['--reward', 'fun'], r"unknown reward 'fun'.*visit_count"),
        (['--encoder', 'eagle'], r"unknown encoder 'eagle'"),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['bench', 'curiosity', *arguments, '--cache-dir', str(tmp_path)]) != 0
    error = capsys.readouterr().err
    assert re.search(complaint, error) and len(error.strip().splitlines()) <= 3


def test_help_names_the_rows() -> None:
    shown = CliRunner().invoke(command, ['curiosity', '--help']).output
    assert '--reward' in shown and 'greedy' in shown

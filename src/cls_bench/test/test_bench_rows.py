"""Rows of the bench: each lives a tiny life in a linear world, within what it may keep and spend."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from bench_world import MATRIX, ROBOT, task, world
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from cls_bench.learning import rows
from cls_bench.learning.network import Network
from cls_bench.learning.plan import LIVES, SMALLEST
from cls_bench.learning.rows.der import DerRow
from cls_bench.learning.rows.ewc import EwcRow, fisher
from cls_bench.learning.rows.product import default_budget, ProductRow, stored
from cls_bench.learning.rows.replay import ReplayRow
from cls_bench.learning.sequential import waking_batch
from cls_bench.learning.stream import Kept, steps_of_life, virtual_pairs
from cls_common.errors import UserError
from cls_learning.config import LearningSettings

# Long pieces: a memory of 60 steps has few unbroken windows.
SHORT_NIGHTS = 'sleep.sws_steps=3,sleep.rem_steps=3,sleep.tether_steps=2,network.slow_hidden=16,memory.piece_length=10'
# Fast's size where Slow's would only take longer.
LITTLE = {
    'er': ReplayRow('er', slow_size=False, spends='waking'),
    'er_pairs': ReplayRow('er_pairs', slow_size=False, spends='samples', pairs=True),
    'der': DerRow('der', slow_size=False, spends='waking'),
    'ewc': EwcRow('ewc', slow_size=False, spends='waking'),
    **{name: rows.find(name) for name in ('retrieval_change', 'retrieval_absolute_capped', 'ridge', 'fast_only')},
    **{name: rows.find(f'{name},{SHORT_NIGHTS}') for name in ('default', 'reference', 'no_sleep')},
}


@pytest.fixture(autouse=True, scope='module')
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize('name', LITTLE)
def test_a_row_lives_within_its_means(name: str) -> None:
    one = task(LITTLE[name].grid[0])
    found = LITTLE[name].run(one)
    assert found['skill'] <= 1.0 and found['stored'] <= max(one.plan.total, 2 * SMALLEST)
    if 'matrix' in found:
        assert len(found['matrix']) == one.plan.scenes
        assert found['skill'] == pytest.approx(sum(found['matrix'][-1]) / one.plan.scenes)


@pytest.mark.parametrize('name', ['er_pairs', 'default'])
def test_a_life_is_the_same_to_the_bit_when_lived_again(name: str) -> None:
    first, second = (LITTLE[name].run(task(LITTLE[name].grid[0])) for _ in range(2))
    assert {**first, 'night_seconds': 0} == {**second, 'night_seconds': 0}


def test_what_is_simple_is_learned() -> None:
    # A linear world is a line's home, and the twin that sees no actions can't live in it.
    line, blind = (rows.find(name).run(task(rows.find(name).grid[0])) for name in ('ridge', 'action_blind'))
    assert line['skill'] > 0.99 > 0.3 > blind['skill'] and blind['shuffled_drop'] == 0.0


def test_nights_are_scored_one_by_one() -> None:
    row = rows.find(f'default,{SHORT_NIGHTS}')
    figures = row.run(task({}))
    assert len(figures['sleep_gain']) == 2 and figures['rolled_back'] == 0
    # Two scenes of 60 steps; each night 3 x 32 and 3 dreams of 3 x 32.
    assert (figures['steps'], figures['sample_gradients']) == (120 + 12, 120 + 2 * (96 + 288))
    assert figures['earlier_scenes']['slow_error'] > 0 and len(figures['fast_lived']) == 4


def test_budgets_are_those_of_the_probe() -> None:
    # Learning probe, 7.5 and 11.5: what the default recipe's Slow spends, that its opponents get as well.
    recipe = LearningSettings()
    if (recipe.sleep.sws_steps, recipe.sleep.rem_steps, recipe.sleep.rem_k) == (200, 200, 3):
        assert default_budget(LIVES['short']) == (9_000, 261_000)
        assert default_budget(LIVES['long']) == (18_000, 522_000)
    assert waking_batch((1024, 1024)) < waking_batch((256,))


@pytest.mark.parametrize('life', sorted(LIVES))
@pytest.mark.parametrize('preset', ['default', 'reference'])
def test_a_recipe_keeps_no_more_than_its_share(life: str, preset: str) -> None:
    plan = LIVES[life]
    for share in plan.shares:
        settings = ProductRow(preset, preset=preset).settings(plan, share)
        window = 0 if plan.window_counts else plan.window
        assert stored(settings) <= round(share * plan.total) + max(window, 1)
        # As much sleep as the plan says, in pieces that the window covers.
        sleep, whole = settings.sleep, LearningSettings().sleep
        parts, rest = divmod(plan.cycle, sleep.wake_steps_per_cycle)
        assert rest == 0 and (parts * sleep.sws_steps, parts * sleep.rem_steps) == (whole.sws_steps, whole.rem_steps)
        assert sleep.wake_steps_per_cycle <= plan.window if settings.fast.recent else parts == 1


@given(st.integers(0, 40), st.integers(1, 60), st.integers(0, 3))
def test_memory_keeps_its_size_and_no_step_twice(window: int, capacity: int, seed: int) -> None:
    steps: Any = SimpleNamespace(episode=np.repeat(np.arange(3), [10, 60, 30]))
    kept = Kept(max(window, 1), capacity, seed)
    for index in range(100):
        kept.add(index, steps)
        everything = kept.everything().tolist()
        assert len(everything) == len(set(everything)) <= max(window, 1) + capacity
        assert kept.recent[-1] == index
    counts = np.bincount(steps.episode[kept.older], minlength=3)
    # No episode holds two more than another that lost some.
    assert counts.max() - counts[1] <= 1


def test_virtual_pairs_are_steps_that_could_have_been() -> None:
    steps = steps_of_life(world(scenes=2, steps=60))
    start, end = virtual_pairs(steps, np.arange(0, 120, 3), 50, np.random.default_rng(0))
    z, action, z_next = steps.pair(start, end)
    assert len(z) > 30 and float(action.abs().max()) <= 10.0 and (start != end).all()
    assert (steps.scene[start // 2] == steps.scene[end // 2]).all()
    assert torch.allclose(z_next, z + action @ MATRIX.T, atol=1e-4)


def test_fisher_is_the_mean_of_squares_and_not_the_square_of_the_mean() -> None:
    network = Network(robot=ROBOT, z_size=16, hidden=(4,), seed=0, rate=0.1)
    z = torch.zeros(2, 16)
    # Opposite errors: gradients that cancel in the mean.
    z_next = torch.stack([torch.ones(16), -torch.ones(16)])
    found = fisher(network, z, torch.zeros(2, 2), z_next)
    assert torch.allclose(found[-1], torch.ones(16))


def test_unknown_names_are_one_line() -> None:
    for name in ('nobody', 'ridge,sleep.rem_k=2', 'default,sleep.rem_k', 'default,sleep.nothing=1'):
        with pytest.raises(UserError):
            row = rows.find(name)
            row.depends_on(LIVES['short'], 0.2)


def test_a_changed_recipe_differs_in_that_alone() -> None:
    names = ('default', 'default,sleep.rem_k=6')
    plain, changed = (rows.find(name).depends_on(LIVES['short'], 0.2)['settings'] for name in names)
    assert {name for name in plain if plain[name] != changed[name]} == {'sleep.rem_k'}


def test_every_row_of_the_issue_is_there() -> None:
    found = set(rows.all_rows())
    assert found >= {'default', 'reference', 'fast_only', 'no_sleep', 'distill_only', 'real_only', 'er_slow', 'er_fast',
                     'er_slow_samples', 'er_fast_samples', 'er_slow_pairs', 'der', 'ewc', 'action_blind', 'ridge',
                     'retrieval_change', 'retrieval_absolute', 'joint_equal', 'joint_converged'}  # fmt: skip
    assert replace(LIVES['short'], scenes=3).total == 3000

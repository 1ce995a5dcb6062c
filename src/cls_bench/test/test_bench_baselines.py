"""Baselines: each runs on a tiny stream in a linear environment, within its memory and budget."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from bench_environment import environment, MATRIX, ROBOT, task
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from cls_bench.learning import baselines
from cls_bench.learning.baselines.der import DerBaseline
from cls_bench.learning.baselines.ewc import EwcBaseline, fisher
from cls_bench.learning.baselines.recipe import default_budget, RecipeBaseline, stored
from cls_bench.learning.baselines.replay import ReplayBaseline
from cls_bench.learning.continual import waking_batch
from cls_bench.learning.network import Network
from cls_bench.learning.protocol import SMALLEST, STREAMS
from cls_bench.learning.stream_data import CappedMemory, stitched_pairs, stream_steps
from cls_common.errors import UserError
from cls_learning.config import LearningSettings

# Long segments: a memory of 60 steps has few unbroken windows.
SHORT_SLEEPS = 'sleep.sws_steps=3,sleep.rem_steps=3,sleep.tether_steps=2,network.slow_hidden=16,memory.piece_length=10'
# Fast's size, since Slow's takes longer.
SMALL = {
    'er': ReplayBaseline('er', slow_size=False, spends='waking'),
    'er_pairs': ReplayBaseline('er_pairs', slow_size=False, spends='samples', pairs=True),
    'der': DerBaseline('der', slow_size=False, spends='waking'),
    'ewc': EwcBaseline('ewc', slow_size=False, spends='waking'),
    **{name: baselines.find(name) for name in ('retrieval_change', 'retrieval_absolute_capped', 'ridge', 'fast_only')},
    **{name: baselines.find(f'{name},{SHORT_SLEEPS}') for name in ('default', 'reference', 'no_sleep')},
}


@pytest.fixture(autouse=True, scope='module')
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize('name', SMALL)
def test_a_baseline_stays_within_its_memory(name: str) -> None:
    one = task(SMALL[name].grid[0])
    found = SMALL[name].run(one)
    assert found['skill'] <= 1.0 and found['stored'] <= max(one.protocol.total, 2 * SMALLEST)
    if 'matrix' in found:
        assert len(found['matrix']) == one.protocol.scenes
        assert found['skill'] == pytest.approx(sum(found['matrix'][-1]) / one.protocol.scenes)


@pytest.mark.parametrize('name', ['er_pairs', 'default'])
def test_a_run_is_deterministic_to_the_bit(name: str) -> None:
    first, second = (SMALL[name].run(task(SMALL[name].grid[0])) for _ in range(2))
    assert {**first, 'night_seconds': 0} == {**second, 'night_seconds': 0}


def test_ridge_solves_a_linear_environment_and_action_blind_does_not() -> None:
    ridge, blind = (baselines.find(name).run(task(baselines.find(name).grid[0])) for name in ('ridge', 'action_blind'))
    assert ridge['skill'] > 0.99 > 0.3 > blind['skill'] and blind['shuffled_drop'] == 0.0


def test_every_sleep_is_scored() -> None:
    baseline = baselines.find(f'default,{SHORT_SLEEPS}')
    metrics = baseline.run(task({}))
    assert len(metrics['sleep_gain']) == 2 and metrics['rolled_back'] == 0
    # Two scenes of 60 steps; each sleep takes 3 x 32 samples in SWS and 3 x 3 x 32 in REM.
    assert (metrics['steps'], metrics['sample_gradients']) == (120 + 12, 120 + 2 * (96 + 288))
    assert metrics['earlier_scenes']['slow_error'] > 0 and len(metrics['fast_lived']) == 4


def test_default_budget_counts_the_steps_and_samples_of_slow() -> None:
    recipe = LearningSettings()
    if (recipe.sleep.sws_steps, recipe.sleep.rem_steps, recipe.sleep.rem_k) == (200, 200, 3):
        assert default_budget(STREAMS['short']) == (9_000, 261_000)
        assert default_budget(STREAMS['long']) == (18_000, 522_000)
    assert waking_batch((1024, 1024)) < waking_batch((256,))


@pytest.mark.parametrize('stream', sorted(STREAMS))
@pytest.mark.parametrize('preset', ['default', 'reference'])
def test_a_recipe_keeps_no_more_than_its_share(stream: str, preset: str) -> None:
    protocol = STREAMS[stream]
    for share in protocol.shares:
        settings = RecipeBaseline(preset, preset=preset).settings(protocol, share)
        window = 0 if protocol.window_counts else protocol.window
        assert stored(settings) <= round(share * protocol.total) + max(window, 1)
        # As much sleep as in the protocol, in parts that the window covers.
        sleep, whole = settings.sleep, LearningSettings().sleep
        parts, rest = divmod(protocol.cycle, sleep.wake_steps_per_cycle)
        assert rest == 0 and (parts * sleep.sws_steps, parts * sleep.rem_steps) == (whole.sws_steps, whole.rem_steps)
        assert sleep.wake_steps_per_cycle <= protocol.window if settings.fast.recent else parts == 1


@given(st.integers(0, 40), st.integers(1, 60), st.integers(0, 3))
def test_memory_keeps_its_size_and_no_step_twice(window: int, capacity: int, seed: int) -> None:
    steps: Any = SimpleNamespace(episode=np.repeat(np.arange(3), [10, 60, 30]))
    kept = CappedMemory(max(window, 1), capacity, seed)
    for index in range(100):
        kept.add(index, steps)
        everything = kept.everything().tolist()
        assert len(everything) == len(set(everything)) <= max(window, 1) + capacity
        assert kept.recent[-1] == index
    counts = np.bincount(steps.episode[kept.older], minlength=3)
    # No episode holds two more than another that lost some.
    assert counts.max() - counts[1] <= 1


def test_stitched_pairs_are_possible_steps_of_one_scene() -> None:
    steps = stream_steps(environment(scenes=2, steps=60))
    start, end = stitched_pairs(steps, np.arange(0, 120, 3), 50, np.random.default_rng(0))
    z, action, z_next = steps.pair(start, end)
    assert len(z) > 30 and float(action.abs().max()) <= 10.0 and (start != end).all()
    assert (steps.scene[start // 2] == steps.scene[end // 2]).all()
    assert torch.allclose(z_next, z + action @ MATRIX.T, atol=1e-4)


def test_fisher_is_the_mean_of_squared_gradients() -> None:
    network = Network(robot=ROBOT, z_size=16, hidden=(4,), seed=0, rate=0.1)
    z = torch.zeros(2, 16)
    # Opposite errors: gradients that cancel in the mean.
    z_next = torch.stack([torch.ones(16), -torch.ones(16)])
    found = fisher(network, z, torch.zeros(2, 2), z_next)
    assert torch.allclose(found[-1], torch.ones(16))


def test_unknown_names_and_settings_are_refused() -> None:
    for name in ('unknown', 'ridge,sleep.rem_k=2', 'default,sleep.rem_k', 'default,sleep.nothing=1'):
        with pytest.raises(UserError):
            baseline = baselines.find(name)
            baseline.depends_on(STREAMS['short'], 0.2)


def test_a_changed_recipe_differs_in_that_alone() -> None:
    names = ('default', 'default,sleep.rem_k=6')
    plain, changed = (baselines.find(name).depends_on(STREAMS['short'], 0.2)['settings'] for name in names)
    assert {name for name in plain if plain[name] != changed[name]} == {'sleep.rem_k'}


def test_every_baseline_of_the_table_is_registered() -> None:
    found = set(baselines.all_baselines())
    assert found >= {
        'default',
        'reference',
        'fast_only',
        'no_sleep',
        'distill_only',
        'real_only',
        'er_slow',
        'er_fast',
        'er_slow_samples',
        'er_fast_samples',
        'er_slow_pairs',
        'der',
        'ewc',
        'action_blind',
        'ridge',
        'retrieval_change',
        'retrieval_absolute',
        'joint_equal',
        'joint_converged',
    }
    assert replace(STREAMS['short'], scenes=3).total == 3000

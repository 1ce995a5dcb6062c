"""`bench developmental`: measures of pictures, runs of the brain, its peer, and the report."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
import pytest
from rich.console import Console
import torch

from cls_bench.developmental import brain_run, lewm, lewm_run, recipes, report, room_run, runner
from cls_bench.developmental.dot_walks import DOT, evaluation_walks, learning_walks, Walks
from cls_bench.developmental.metrics import distance, Exact, object_place, score
from cls_bench.developmental.plots import draw
from cls_bench.developmental.recipes import Recipe
from cls_bench.developmental.table import show
from cls_bench.learning.protocol import STREAMS
from cls_bench.targets import target
from cls_cli import entry
from cls_common.errors import UserError
from cls_sim.worlds.toroidal_dot import advance, render, start_rows

# Small networks and short sleeps.
TINY = {
    'network.patch': 32, 'network.width': 8, 'network.layers': 1, 'network.heads': 0, 'network.members': 2,
    'wake.batch_size': 2, 'sleep.reconstruct_steps': 2, 'sleep.predict_steps': 2, 'sleep.dream_steps': 1,
    'sleep.dream_length': 3, 'sleep.batch_size': 2,
}  # fmt: skip


class Outcomes:
    """Predicts the outcomes of the actions, or of the opposite ones."""

    context = 2

    def __init__(self, is_right: bool = True) -> None:
        self._is_right = is_right

    def rollout(self, walks: Walks, actions: NDArray[np.int64]) -> NDArray[np.float32]:
        taken = actions[:, self.context - 1 :]
        columns = walks.columns[:, self.context - 1, None] + np.cumsum(taken if self._is_right else 1 - taken, 1) * 27
        return (render(columns, walks.rows[:, None]) / np.float32(255)).astype(np.float32)


def walks(count: int = 4, context: int = 1) -> Walks:
    return evaluation_walks(count, context, 10, np.random.default_rng(0), unseen=True)


def test_walks_start_in_rows_that_were_not_seen_and_try_both_actions_equally_often() -> None:
    unseen, seen = walks(context=2), learning_walks(5, np.random.default_rng(1))
    assert not set(unseen.rows) & set(start_rows(DOT)) and set(seen.rows) <= set(start_rows(DOT))
    assert unseen.actions[:, 1].mean() == 0.5 and unseen.actions.shape == (4, 11)
    assert seen.actions.shape == (5, DOT.episode)
    assert np.array_equal(unseen.columns[:, 1:], advance(unseen.columns[:, :-1], unseen.actions))
    assert np.array_equal(unseen.pictures(3)[0] * 255, render(unseen.columns[0, 3], unseen.rows[0]))


@pytest.mark.parametrize(
    'name, one, moved, ten', [('black', -0.0016, -0.0016, -0.0016), ('copy', -0.0016, -1.003234, None),
                              ('blind', 0.499192, 0.499192, None)]
)  # fmt: skip
def test_black_copied_and_blind_predictions_have_their_exact_scores(
    name: str, one: float, moved: float, ten: float | None
) -> None:
    found = score(Exact(name), walks())
    assert found['r2'] == pytest.approx(one, abs=2e-5) and found['r2_moved'] == pytest.approx(moved, abs=2e-5)
    assert found['r2_at']['1'] == found['r2'] and found['r2_gap'] == 0.0 and found['nearest_action'] == 0.5
    assert ten is None or found['r2_at']['10'] == pytest.approx(ten, abs=2e-5)


def test_half_a_dot_is_better_than_copying_and_worse_with_each_step() -> None:
    at = score(Exact('blind'), walks())['r2_at']
    assert 0.5 > at['1'] > at['3'] > at['10'] > 0.0


def test_true_outcomes_have_the_largest_gap_and_opposite_ones_the_smallest() -> None:
    right, wrong = (score(Outcomes(is_right), walks(context=2)) for is_right in (True, False))
    assert right['r2_at'] == {'1': 1.0, '3': 1.0, '10': 1.0}
    assert (right['nearest_action'], right['object_error_px'], right['object_found']) == (1.0, 0.0, 1.0)
    assert right['r2_gap'] == pytest.approx(2.003234, abs=1e-5) == -wrong['r2_gap']
    assert wrong['nearest_action'] == 0.0 and wrong['object_error_px'] == pytest.approx(27.0)


@pytest.mark.parametrize('place', [(100, 60), (2, 221), (223, 0)])
def test_the_place_of_an_object_is_its_middle_also_across_edges(place: tuple[int, int]) -> None:
    picture = render(*place).astype(np.float32) / 255
    # A dimmer one elsewhere does not count.
    other = 0.3 * render(place[0] + 90, place[1] + 90).astype(np.float32) / 255
    assert distance(object_place(picture + other), place) == pytest.approx(0.0, abs=1e-5)
    assert distance(object_place(np.roll(picture, (3, -4), (0, 1))), place) == pytest.approx(5.0, abs=1e-5)


def test_a_black_picture_has_no_object() -> None:
    assert object_place(np.full((224, 224, 3), 0.05, np.float32)) is None and distance(None, (1, 2)) is None
    assert score(Exact('black'), walks(2))['object_error_px'] is None


def test_a_run_on_the_dot_ends_after_its_seconds_and_is_measured() -> None:
    recipe = Recipe('brain', settings={**TINY, 'sleep.wake_steps_per_cycle': 6}, walks=4)
    found = brain_run.run(recipe, 0.6, 0)
    assert 0.6 <= found['processor_seconds'] < 5.0 and found['steps'] >= 6 and found['sleeps'] >= 1
    assert found['restarts'] >= 1 and set(found['r2_at']) == {'1', '3', '10'}
    assert found['r2_unseen'] == found['r2_at']['1'] and found['r2_gap'] is not None
    assert next(iter(found['r2_over_time'])) == '0.06' and 'pose_gain_1' not in found


def test_a_run_in_the_room_has_gains_of_the_pose_and_what_is_forgotten() -> None:
    protocol = replace(STREAMS['short'], scenes=2, steps=24, sleeps_per_scene=1, test_walks=1, test_steps=16)
    recipe = Recipe('brain', settings={**TINY, 'network.patch': 28})
    found = room_run.run(recipe, protocol, 7)
    assert (found['steps'], found['sleeps'], found['restarts']) == (48, 2, 2)
    first, last = found['matrix']
    assert found['forgetting'] == max(first[0], last[0]) - last[0] and found['bwt'] == last[0] - first[0]
    # With so few pictures poses may not be readable.
    assert all(found[f'pose_gain_{k}'] is None or np.isfinite(found[f'pose_gain_{k}']) for k in (1, 5))


def test_tokens_are_predicted_as_the_brain_predicts_pictures() -> None:
    """The room's predictor, on tokens, agrees with the rollouts of the model, on pictures."""
    recipe = Recipe('brain', settings=TINY)
    with brain_run.opened_brain(recipe, 'toroidal_dot', 3, {}, {}) as training, training.loop as loop:
        training.run(6)
        learner = loop.learner
        predictor = room_run.TokenPredictor(learner)  # type: ignore[arg-type]
        few = evaluation_walks(3, 1, 4, np.random.default_rng(0), unseen=True)
        expected = brain_run.ModelPredictor(learner)  # type: ignore[arg-type]
        expected.context = 1
        pictures = expected.rollout(few, few.actions)
        z = predictor.encode(few.frames(0))
        path = predictor.dream(z, torch.from_numpy(few.actions[..., None].astype(np.float32)))
        model = learner.fast  # type: ignore[attr-defined]
        with torch.inference_mode():
            coded = model.autoencoder.encode(torch.from_numpy(pictures[:, -1]).movedim(-1, 1)).flatten(1)
        assert torch.allclose(path[:, -1], coded, atol=1e-4)


def test_the_peer_gets_the_pictures_of_the_walks() -> None:
    own = learning_walks(2, np.random.default_rng(0))
    arrays = lewm._arrays(own)
    frames = lewm_run.frames_of(arrays['frames'][:, 3])
    small = own.pictures(3)[..., 0].reshape(2, 56, 4, 56, 4).mean((2, 4))
    assert frames.shape == (2, 3, 56, 56) and np.allclose(frames[:, 1], small)
    assert arrays['places'][1, 7].tolist() == [own.columns[1, 7], own.rows[1]]
    assert lewm_run.signed(own.actions[:, :2]).unique().tolist() in ([-1.0, 1.0], [1.0], [-1.0])


def test_a_place_that_an_embedding_holds_linearly_is_read_from_it() -> None:
    generator = np.random.default_rng(0)
    places = generator.integers(224, size=(500, 2))
    angles = torch.from_numpy(places).float() * (2 * np.pi / 224)
    z = torch.cat([angles.sin(), angles.cos()], 1) @ torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    probe = lewm_run.fit(z[:400], places[:400])
    assert lewm_run.error(probe, z[400:], places[400:]) < 0.5
    assert lewm_run.error(probe, z[400:], (places[400:] + 112) % 224) == pytest.approx(112 * np.sqrt(2), abs=0.5)


def request(folder: Path, *rows: tuple[str, str], **changes: Any) -> runner.DevelopmentalRequest:
    values: dict[str, Any] = {'seeds': 1, 'seconds': 1.0, 'length': 100, 'runs_peers': False, 'jobs': 1}
    return runner.DevelopmentalRequest(rows=rows, folder=folder, **values | changes)


def test_what_is_finished_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipes.RECIPES['dot'], 'black', Recipe('exact', walks=2))  # type: ignore[arg-type]
    labels: list[str] = []
    for _ in range(2):
        found = runner.run(request(tmp_path, ('dot', 'black')), lambda label, _: labels.append(label))
        assert [job.label for job in found.found] == ['dot black seed 0']
    assert labels == ['dot black seed 0']


@pytest.mark.parametrize(
    'worlds, names, expected',
    [(['nowhere'], [], "unknown world 'nowhere'"), (['dot'], ['unknown'], "unknown recipe 'unknown'; expected one of")],
)
def test_unknown_names_are_refused(worlds: list[str], names: list[str], expected: str) -> None:
    with pytest.raises(UserError) as error:
        recipes.rows(worlds, names)
    assert expected in str(error.value)


def test_planners_of_the_corridor_share_one_run(tmp_path: Path) -> None:
    planners = [{'recipe': 'flat', 'reached': 0.0}, {'recipe': 'macro', 'reached': 0.9}]
    asked = request(tmp_path, ('corridor', 'macro'), ('dot', 'black'), seeds=2)
    found: dict[runner.DevelopmentalJob, runner.Metrics] = {
        runner.DevelopmentalJob('corridor', 'flat', 1): {'planners': planners},
        runner.DevelopmentalJob('dot', 'black', 0): {'r2': 0.0},
    }
    assert {job.label: metrics for job, metrics in runner._by_planner(asked, found).items()} == {
        'dot black seed 0': {'r2': 0.0}, 'corridor macro seed 1': planners[1]
    }  # fmt: skip
    assert len({runner._run_of(row) for row in recipes.rows(['corridor'], [])}) == 1


def result(r2: float, **changes: Any) -> dict[str, Any]:
    figures = {
        'r2': r2, 'r2_unseen': r2, 'r2_at': {'1': r2, '3': r2, '10': r2 - 0.1}, 'r2_gap': 2 * r2,
        'nearest_action': 1.0, 'object_error_px': 0.5, 'seconds': 310.0, 'processor_seconds': 300.1,
        'r2_over_time': {'30': 0.0, '300': r2}, 'seconds_a_step': 0.1, 'steps': 3000,
    }  # fmt: skip
    return figures | changes


def results(**by_row: list[dict[str, Any]]) -> runner.DevelopmentalResults:
    found: dict[runner.DevelopmentalJob, runner.Metrics] = {
        runner.DevelopmentalJob(*row.split('__'), seed): metrics  # type: ignore[arg-type]
        for row, runs in by_row.items()
        for seed, metrics in enumerate(runs)
    }
    return runner.DevelopmentalResults(request(Path()), found, '2026-01-02' if 'dot__lewm' in by_row else '')


def test_rows_have_every_figure_of_the_form_and_means_over_seeds() -> None:
    peer = {'nearest_action': 0.7, 'object_error_px': 12.0, 'probe_error_px': 9.0}
    found = report.document(results(dot__lewm=[peer], dot__default=[result(0.9), result(0.98)]))
    own, other = found['rows']
    assert (own['world'], own['recipe'], own['seeds']) == ('dot', 'default', 2)
    assert own['r2_unseen'] == pytest.approx(0.94) and own['r2_at']['10'] == pytest.approx(0.84)
    assert own['pose_gain_1'] is None and own['forgetting'] is None
    assert (other['recipe'], other['r2_unseen'], other['object_error_px']) == ('lewm', None, 12.0)
    assert [(run['recipe'], run['seed']) for run in found['runs']] == [('lewm', 0), ('default', 0), ('default', 1)]


def test_each_target_is_met_missed_or_not_run() -> None:
    def met(**by_row: list[dict[str, Any]]) -> list[bool | None]:
        return [each['met'] for each in report.document(results(**by_row))['targets']]

    room = {'pose_gain_1': 0.9, 'pose_gain_5': 0.7, 'forgetting': 0.01}
    assert met(dot__default=[result(0.96)]) == [True] * 5
    assert met(dot__default=[result(0.6, nearest_action=0.98, processor_seconds=400.0)]) == [False] * 5
    assert met(dot__reference=[result(0.96)]) == [None] * 5
    assert met(room__sleep=[room]) == [True, False, True]
    assert met(dot__black=[result(0.0)], room__fifo=[room]) == [None] * 8
    flat, macro = {'reached': 0.1, 'planning_ms': 20.0}, {'reached': 0.8, 'planning_ms': 9.0}
    assert met(corridor__flat=[flat], corridor__macro=[macro]) == [True] * 3
    assert met(corridor__flat=[macro], corridor__macro=[flat]) == [False] * 3
    assert met(corridor__macro=[macro]) == [True, None, None]


def test_a_target_says_how_it_compares() -> None:
    assert target('error', 0.1, '<=', 0.2) == {'target': 'error', 'value': 0.1, 'bound': '<= 0.2', 'met': True}
    assert target('error', 0.3, '<=', 0.2)['met'] is False and target('share', None, '>=', 1)['met'] is None


def test_targets_stand_above_a_table_for_each_world_and_plots_are_drawn(tmp_path: Path) -> None:
    room = {'pose_gain_1': 0.9, 'pose_gain_5': 0.7, 'forgetting': 0.01, 'own_scene': 0.9, 'bwt': 0.0}
    found = report.document(
        results(dot__default=[result(0.9)], dot__lewm=[{'nearest_action': 0.7}], room__sleep=[room])
    )
    console = Console(width=240, record=True, file=(tmp_path / 'out').open('w'))
    show(found, console)
    lines = [line.split() for line in console.export_text().splitlines() if line]
    assert [line[0] for line in lines[:8]] == ['missed', 'met', 'met', 'met', 'met', 'met', 'missed', 'met']
    assert ['default', '1', '0.900', '0.900', '0.900', '0.800'] in [line[:6] for line in lines]
    assert ['figures', 'of', 'torch-world', 'of', '2026-01-02'] in lines and lines[-1][:3] == ['sleep', '1', '0.900']
    files = draw(found, tmp_path / 'plots')
    assert len(files) == 3 and all(file.stat().st_size > 5000 for file in files)


def test_the_command_line_refuses_an_unknown_recipe_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.main(['bench', 'developmental', '--recipe', 'unknown', '--cache-dir', str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: unknown recipe 'unknown'") and said.count('\n') == 1

"""Named environments: their images, episodes, protocol, and a run in two of them."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
import io
import json
from pathlib import Path

from bench_environment import Z_SIZE
import numpy as np
import pytest
from rich.console import Console
import torch

from cls_bench.learning import baselines, named_environments
from cls_bench.learning.environment import environment_of, Pairs, SceneData, steps_of, Walk
from cls_bench.learning.evaluator import Evaluator
from cls_bench.learning.jobs import LearningRequest
from cls_bench.learning.metrics.pose import gain, PoseErrors
from cls_bench.learning.metrics.skill import dreams, skill_of
from cls_bench.learning.plots import draw_environments
from cls_bench.learning.predictor import OneStepPredictor
from cls_bench.learning.protocol import StreamProtocol, STREAMS
from cls_bench.learning.report import document, write
from cls_bench.learning.runner import run
from cls_bench.learning.scene_data import NOISE, paths, shots
from cls_bench.learning.stream_data import stream_steps
from cls_bench.learning.table import show_environments
from cls_cli.entry import main
from cls_common.errors import UserError
from cls_learning.config import LearningSettings
from cls_learning.types import History
from cls_sim.robots import make
from cls_sim.worlds.room import RoomEnv

Images = dict[str, list[np.ndarray]]


def small_protocol(name: str, steps: int = 40) -> StreamProtocol:
    return replace(named_environments.protocol_of(name, steps), test_walks=1, test_steps=6, pairs=2)


@lru_cache(maxsize=2)  # the room, with which all others are compared, and one of these
def render(protocol: StreamProtocol, scene: int = 0, seed: int = 3) -> Images:
    images: Images = {}
    for name, image in shots(protocol, paths(protocol, seed, scene), seed, scene):
        images.setdefault(name, []).append(image.astype(int))
    return images


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).mean())


def test_unnamed_rooms_are_rendered_as_the_room_environment_does() -> None:
    protocol = replace(STREAMS['short'], scenes=2, steps=20, test_walks=1, test_steps=6, pairs=2)
    env, frame, images = RoomEnv(scene=1, seed=3, noise_sigma=NOISE), 0, render(protocol, scene=1)
    for name, path in paths(protocol, 3, 1).items():
        for pose, image in zip(path.poses, images[name], strict=True):
            np.testing.assert_array_equal(image, env.view(pose, 0.0, frame))
            frame += 1


@pytest.mark.parametrize('name', named_environments.ENVIRONMENTS)
def test_images_of_each_environment_differ_from_the_room(name: str) -> None:
    protocol = small_protocol(name)
    assert protocol.total == 40 and protocol.environment == name
    images, room = render(protocol), render(small_protocol('room', protocol.steps))
    same = all(np.array_equal(a, b) for a, b in zip(images['learning'], room['learning']))
    assert same == (name in ('room', 'change'))  # the first half of `change` is the room


def test_images_are_late_in_learning_walks_only() -> None:
    late, room = render(small_protocol('late')), render(small_protocol('room'))
    for before, image in zip(room['learning'], late['learning'][1:]):
        assert difference(before, image) < 2 * NOISE
    for name in ('test_0', 'pairs', 'noise_4', 'exposure'):
        assert len(late[name]) == len(room[name])
        assert all(difference(a, b) < 6.0 for a, b in zip(late[name], room[name])), name


def test_the_learning_walk_is_what_the_simulator_shows_with_the_same_settings() -> None:
    protocol = small_protocol('change')
    robot = make('sim', named_environments.simulation(protocol, 3, 0, NOISE))
    images = [robot.reset().image]
    for scene in (0, 1):
        for action in paths(protocol, 3, scene)['learning'].commanded:
            images.append(robot.step(action).image)
    first, second = (render(protocol, scene)['learning'] for scene in (0, 1))
    assert len(images) == protocol.total + 1
    for image, expected in zip(first, images):
        np.testing.assert_array_equal(image, expected)
    for image, expected in zip(second, images[protocol.steps :]):
        assert difference(image, expected) < 2 * NOISE


def test_a_late_body_walks_as_the_simulator_does_in_learning_and_in_tests() -> None:
    protocol = small_protocol('late_body')
    found, images = paths(protocol, 3, 0), render(protocol)
    for name in ('learning', 'test_0'):
        path = found[name]
        settings = named_environments.simulation(protocol, 3, 0, NOISE)
        start = dict(zip(('start_pan', 'start_tilt'), path.poses[0].tolist()))
        robot = make('sim', replace(settings, **start))
        steps = [robot.reset(), *(robot.step(action) for action in path.commanded)]
        np.testing.assert_allclose(np.degrees([step.joints for step in steps]), path.poses, atol=1e-6)
        np.testing.assert_array_equal([step.applied for step in steps[1:]], path.applied)
        for step, image in zip(steps, images[name], strict=True):
            assert difference(step.image, image) < 2 * NOISE  # type: ignore[arg-type]
        np.testing.assert_array_equal(path.poses[0], path.poses[1])  # the first action shows one step later


def test_metrics_of_single_steps_are_left_out_where_a_body_acts_late() -> None:
    scenes = [(scene, '') for scene in one_walk(1, True)]
    for acts_late in (False, True):
        metrics = Evaluator(environment_of(0, scenes, True, acts_late)).final_metrics(HistoryRecorder())
        assert all((metrics[name] is None) == acts_late for name in ('uniform_skill', 'skill_by_move', 'still_error'))


class HistoryRecorder(OneStepPredictor):
    """Predicts no change, and keeps the histories that it was given."""

    def __init__(self) -> None:
        self.before: list[History] = []

    def dream(self, z: torch.Tensor, actions: torch.Tensor, before: History | None = None) -> torch.Tensor:
        assert before is None or len(before.z) == len(z)
        self.before += [] if before is None else [before]
        return super().dream(z, actions, before)

    def predict(self, z: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return z


def test_a_model_is_given_the_steps_of_the_walk_before_each_one_it_predicts() -> None:
    walk = Walk(
        torch.arange(5.0)[:, None].expand(5, Z_SIZE),
        torch.zeros(5, 2, dtype=torch.float64),
        torch.zeros(4, 2),
        torch.arange(4.0)[:, None].expand(4, 2),
    )
    model = HistoryRecorder()
    skill_of(model, steps_of([walk, walk]))
    dreams(model, walk, 2)
    for before, starts in zip(model.before, ([0, 1, 2, 3] * 2, [0, 1, 2]), strict=True):
        for row, start in enumerate(starts):
            known = before.known[row]
            assert before.z[row, known, 0].tolist() == [float(i) for i in range(start)]
            assert before.action[row, known, 0].tolist() == [float(i) for i in range(start)]


def test_each_half_of_a_change_is_tested_in_its_room() -> None:
    protocol = small_protocol('change')
    for scene in (0, 1):
        room = RoomEnv(scene=scene, seed=3, noise_sigma=0.0)
        images, walk = render(protocol, scene), paths(protocol, 3, scene)
        for name in ('test_0', 'pairs', 'noise_4'):
            for pose, image in zip(walk['test_0' if name == 'noise_4' else name].poses, images[name]):
                assert difference(image, room.view(pose, 0.0, 0).astype(int)) < 6.0


def one_walk(stretches: int, is_one_episode: bool) -> tuple[SceneData, ...]:
    def scene(number: int) -> SceneData:
        z = torch.full((5, Z_SIZE), float(number))
        still = torch.zeros(4, 2)
        learning = Walk(z, torch.zeros(5, 2, dtype=torch.float64), still, still)
        return SceneData(learning, (learning,), Pairs(z[:-1], still, z[1:]), {})

    return environment_of(0, [(scene(number), '') for number in range(stretches)], is_one_episode).scenes


def test_stretches_of_one_walk_are_one_episode_to_a_learner() -> None:
    for is_one, boundaries in ((True, [0]), (False, [0, 4])):
        environment = environment_of(0, [(scene, '') for scene in one_walk(2, is_one)], is_one)
        transitions = [t for place in (0, 1) for t in environment.transitions(place)]
        assert [i for i, t in enumerate(transitions) if t.boundary] == boundaries
        assert np.array_equal(transitions[4].z, transitions[3].z_next) == is_one
        steps = stream_steps(environment)
        assert steps.scene.tolist() == [0] * 4 + [1] * 4
        assert steps.episode.tolist() == ([0] * 8 if is_one else steps.scene.tolist())


def test_a_stretch_starts_where_the_previous_one_ended() -> None:
    protocol = small_protocol('change')
    np.testing.assert_array_equal(
        paths(protocol, 3, 1)['learning'].poses[0], paths(protocol, 3, 0)['learning'].poses[-1]
    )


@pytest.mark.parametrize('name', named_environments.ENVIRONMENTS)
def test_a_named_environment_keeps_the_settings_of_the_recipe(name: str) -> None:
    protocol, recipe = named_environments.protocol_of(name), LearningSettings()
    baseline = baselines.find('default')
    assert isinstance(baseline, baselines.recipe.RecipeBaseline)
    settings = baseline.settings(protocol, protocol.shares[0])
    assert settings.to_flat() | {'policy.kind': ''} == recipe.to_flat() | {'policy.kind': ''}
    assert protocol.total == 2000 and protocol.cycle == recipe.sleep.wake_steps_per_cycle
    assert protocol.capacity(protocol.shares[0]) == protocol.total


def test_values_of_all_environments_are_tuned_in_the_room() -> None:
    tuned = {
        named_environments.tuning_protocol(named_environments.protocol_of(name))
        for name in named_environments.ENVIRONMENTS
    }
    assert tuned == {named_environments.protocol_of('room')}


@pytest.mark.parametrize(('true', 'expected'), [(4.0, 0.5), (7.9, None), (46.0, None)])
def test_pose_gain_is_none_where_true_embeddings_do_not_give_the_pose(true: float, expected: float | None) -> None:
    assert gain(PoseErrors(true=true, predicted=(10.0 + true) / 2, copied=10.0)) == expected


@pytest.mark.parametrize('arguments', [['moon'], ['room', '--scenes', '2'], ['room', '--protocol', 'long']])
def test_wrong_options_are_refused_in_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['bench', 'learning', '--cache-dir', str(tmp_path / 'cache'), '--world', *arguments]) == 2
    assert capsys.readouterr().err.count('\n') == 1 and not (tmp_path / 'cache').exists()


def test_an_unknown_environment_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r'moon.*photo'):
        named_environments.protocol_of('moon')


FREQUENT_SLEEP = 'default,sleep.wake_steps_per_cycle=20,sleep.sws_steps=2,sleep.rem_steps=2,sleep.tether_steps=2'


@pytest.fixture(scope='module')
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    protocols = tuple(small_protocol(name, steps=60) for name in ('tiles', 'change'))
    cache = tmp_path_factory.mktemp('cache')
    request = LearningRequest(
        protocols, (f'{FREQUENT_SLEEP},network.slow_hidden=16', 'retrieval_change'), ('thumbnail',), 1, 1, cache
    )
    labels: list[str] = []
    results = run(request, lambda label, *_: labels.append(label))
    assert sum('tuning retrieval' in label and label.startswith('room') for label in dict.fromkeys(labels)) == 5
    labels.clear()
    assert run(request, lambda label, *_: labels.append(label)) == results and not labels
    yield {'worlds': {each.protocol.environment: document(each) for each in results}}


@pytest.mark.timeout(300)  # importing torch is slow on a busy machine
def test_a_run_in_named_environments_scores_around_each_sleep(report: dict) -> None:
    assert list(report['worlds']) == ['tiles', 'change']
    for name, each in report['worlds'].items():
        recipe, retrieval = each['rows']
        scores = recipe['sleep_scores']
        assert len(scores) == 3 and set(scores[0]) == {'before', 'after', 'fast_before', 'fast_after'}
        assert recipe['first_sleep_before'] == scores[0]['before']
        assert recipe['first_sleep_after'] == scores[0]['after']
        assert recipe['after_sleep_worst'] == min(score['after'] for score in scores)
        assert recipe['over_best'] == pytest.approx(recipe['skill'] - retrieval['skill'])
        assert retrieval['first_sleep_after'] is None
        assert len(recipe['matrix']) == (2 if name == 'change' else 1)


def test_the_report_of_environments_is_written_printed_and_plotted(report: dict, tmp_path: Path) -> None:
    write(tmp_path / 'report.json', report)
    assert json.loads((tmp_path / 'report.json').read_text()) == report
    text = io.StringIO()
    show_environments(report, Console(file=text, width=300))
    assert all(word in text.getvalue() for word in ('tiles', 'change', 'thumbnail', 'retrieval_change'))
    assert all(file.stat().st_size > 1000 for file in draw_environments(report, tmp_path / 'plots'))

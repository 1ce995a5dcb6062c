"""Worlds of the bench by name: what the camera sees in them, what learners may know, and a run through two of them."""

from collections.abc import Iterator
from dataclasses import replace
import io
import json
from pathlib import Path

from bench_world import Z_SIZE
import numpy as np
import pytest
from rich.console import Console
import torch

from cls_bench.learning import rows, worlds
from cls_bench.learning.judge import Judge
from cls_bench.learning.metrics.pose import gain, PoseErrors
from cls_bench.learning.metrics.skill import dreams, skill_of
from cls_bench.learning.plan import LIVES, Plan
from cls_bench.learning.plots import draw_worlds
from cls_bench.learning.predictor import OneStep
from cls_bench.learning.report import document, write
from cls_bench.learning.runner import Request, run
from cls_bench.learning.scenes import NOISE, paths, shots
from cls_bench.learning.stream import steps_of_life
from cls_bench.learning.table import show_worlds
from cls_bench.learning.world import Pairs, Scene, steps_of, Walk, world_of
from cls_cli.entry import main
from cls_common.errors import UserError
from cls_learning.config import LearningSettings
from cls_learning.types import History
from cls_sim.robots import make
from cls_sim.worlds.room import RoomEnv

Images = dict[str, list[np.ndarray]]


def little(name: str, steps: int = 40) -> Plan:
    return replace(worlds.plan_of(name, steps), test_walks=1, test_steps=6, pairs=2)


def seen(plan: Plan, scene: int = 0, seed: int = 3) -> Images:
    images: Images = {}
    for name, image in shots(plan, paths(plan, seed, scene), seed, scene):
        images.setdefault(name, []).append(image.astype(int))
    return images


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).mean())


def test_rooms_without_a_name_are_seen_as_the_room_itself_shows_them() -> None:
    plan = replace(LIVES['short'], scenes=2, steps=20, test_walks=1, test_steps=6, pairs=2)
    env, frame, images = RoomEnv(scene=1, seed=3, noise_sigma=NOISE), 0, seen(plan, scene=1)
    for name, path in paths(plan, 3, 1).items():
        for pose, image in zip(path.poses, images[name], strict=True):
            np.testing.assert_array_equal(image, env.view(pose, 0.0, frame))
            frame += 1


@pytest.mark.parametrize('name', worlds.WORLDS)
def test_each_world_differs_from_the_room_in_what_the_camera_sees(name: str) -> None:
    plan = little(name)
    assert plan.total == 40 and plan.world == name
    images, room = seen(plan), seen(little('room', plan.steps))
    same = all(np.array_equal(a, b) for a, b in zip(images['learning'], room['learning']))
    assert same == (name in ('room', 'change'))  # the first half of `change` is the room


def test_late_images_are_learned_from_and_not_tested_on() -> None:
    late, room = seen(little('late')), seen(little('room'))
    for before, image in zip(room['learning'], late['learning'][1:]):
        assert difference(before, image) < 2 * NOISE
    for name in ('test_0', 'pairs', 'noise_4', 'exposure'):
        assert len(late[name]) == len(room[name])
        assert all(difference(a, b) < 6.0 for a, b in zip(late[name], room[name])), name


def test_the_learning_walk_is_what_the_simulator_shows_with_the_same_settings() -> None:
    plan = little('change')
    robot = make('sim', worlds.simulation(plan, 3, 0, NOISE))
    images = [robot.reset().image]
    for scene in (0, 1):
        for action in paths(plan, 3, scene)['learning'].commanded:
            images.append(robot.step(action).image)
    first, second = (seen(plan, scene)['learning'] for scene in (0, 1))
    assert len(images) == plan.total + 1
    for image, expected in zip(first, images):
        np.testing.assert_array_equal(image, expected)
    for image, expected in zip(second, images[plan.steps :]):
        assert difference(image, expected) < 2 * NOISE


def test_a_late_body_walks_as_the_simulator_does_in_learning_and_in_tests() -> None:
    plan = little('late_body')
    found, images = paths(plan, 3, 0), seen(plan)
    for name in ('learning', 'test_0'):
        path = found[name]
        settings = worlds.simulation(plan, 3, 0, NOISE)
        start = dict(zip(('start_pan', 'start_tilt'), path.poses[0].tolist()))
        robot = make('sim', replace(settings, **start))
        steps = [robot.reset(), *(robot.step(action) for action in path.commanded)]
        np.testing.assert_allclose(np.degrees([step.joints for step in steps]), path.poses, atol=1e-6)
        np.testing.assert_array_equal([step.applied for step in steps[1:]], path.applied)
        for step, image in zip(steps, images[name], strict=True):
            assert difference(step.image, image) < 2 * NOISE  # type: ignore[arg-type]
        np.testing.assert_array_equal(path.poses[0], path.poses[1])  # the first action shows one step later


def test_figures_of_single_steps_are_left_out_where_a_body_acts_late() -> None:
    scenes = [(scene, '') for scene in one_walk(1, True)]
    for acts_late in (False, True):
        figures = Judge(world_of(0, scenes, True, acts_late)).final(Shown())
        assert all((figures[name] is None) == acts_late for name in ('uniform_skill', 'skill_by_move', 'still_error'))


class Shown(OneStep):
    """Copies, and knows what it was shown before each step."""

    def __init__(self) -> None:
        self.before: list[History] = []

    def dream(self, z: torch.Tensor, actions: torch.Tensor, before: History | None = None) -> torch.Tensor:
        assert before is None or len(before.z) == len(z)
        self.before += [] if before is None else [before]
        return super().dream(z, actions, before)

    def predict(self, z: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return z


def test_a_model_is_shown_the_steps_of_the_walk_before_each_one_it_predicts() -> None:
    walk = Walk(
        torch.arange(5.0)[:, None].expand(5, Z_SIZE), torch.zeros(5, 2, dtype=torch.float64), torch.zeros(4, 2),
        torch.arange(4.0)[:, None].expand(4, 2),
    )  # fmt: skip
    model = Shown()
    skill_of(model, steps_of([walk, walk]))
    dreams(model, walk, 2)
    for before, starts in zip(model.before, ([0, 1, 2, 3] * 2, [0, 1, 2]), strict=True):
        for row, start in enumerate(starts):
            known = before.known[row]
            assert before.z[row, known, 0].tolist() == [float(i) for i in range(start)]
            assert before.action[row, known, 0].tolist() == [float(i) for i in range(start)]


def test_each_half_of_a_change_is_tested_in_its_own_room() -> None:
    plan = little('change')
    for scene in (0, 1):
        room = RoomEnv(scene=scene, seed=3, noise_sigma=0.0)
        images, walk = seen(plan, scene), paths(plan, 3, scene)
        for name in ('test_0', 'pairs', 'noise_4'):
            for pose, image in zip(walk['test_0' if name == 'noise_4' else name].poses, images[name]):
                assert difference(image, room.view(pose, 0.0, 0).astype(int)) < 6.0


def one_walk(stretches: int, is_one_episode: bool) -> tuple[Scene, ...]:
    def scene(number: int) -> Scene:
        z = torch.full((5, Z_SIZE), float(number))
        still = torch.zeros(4, 2)
        learning = Walk(z, torch.zeros(5, 2, dtype=torch.float64), still, still)
        return Scene(learning, (learning,), Pairs(z[:-1], still, z[1:]), {})

    return world_of(0, [(scene(number), '') for number in range(stretches)], is_one_episode).scenes


def test_stretches_of_one_walk_are_one_episode_to_a_learner() -> None:
    for is_one, boundaries in ((True, [0]), (False, [0, 4])):
        world = world_of(0, [(scene, '') for scene in one_walk(2, is_one)], is_one)
        transitions = [t for place in (0, 1) for t in world.transitions(place)]
        assert [i for i, t in enumerate(transitions) if t.boundary] == boundaries
        assert np.array_equal(transitions[4].z, transitions[3].z_next) == is_one
        steps = steps_of_life(world)
        assert steps.scene.tolist() == [0] * 4 + [1] * 4
        assert steps.episode.tolist() == ([0] * 8 if is_one else steps.scene.tolist())


def test_a_stretch_goes_on_where_the_one_before_it_ended() -> None:
    plan = little('change')
    np.testing.assert_array_equal(paths(plan, 3, 1)['learning'].poses[0], paths(plan, 3, 0)['learning'].poses[-1])


@pytest.mark.parametrize('name', worlds.WORLDS)
def test_a_robot_in_use_has_the_recipe_as_it_is(name: str) -> None:
    plan, recipe = worlds.plan_of(name), LearningSettings()
    row = rows.find('default')
    assert isinstance(row, rows.product.ProductRow)
    settings = row.settings(plan, plan.shares[0])
    assert settings.to_flat() | {'policy.kind': ''} == recipe.to_flat() | {'policy.kind': ''}
    assert plan.total == 2000 and plan.cycle == recipe.sleep.wake_steps_per_cycle
    assert plan.capacity(plan.shares[0]) == plan.total


def test_values_are_chosen_in_the_room_for_all_worlds() -> None:
    tuned = {worlds.tuning_plan(worlds.plan_of(name)) for name in worlds.WORLDS}
    assert tuned == {worlds.plan_of('room')}


@pytest.mark.parametrize(('true', 'expected'), [(4.0, 0.5), (7.9, None), (46.0, None)])
def test_no_pose_is_read_where_embeddings_do_not_tell_it(true: float, expected: float | None) -> None:
    assert gain(PoseErrors(true=true, predicted=(10.0 + true) / 2, copied=10.0)) == expected


@pytest.mark.parametrize('arguments', [['moon'], ['room', '--scenes', '2'], ['room', '--life', 'long']])
def test_mistakes_are_one_line(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['bench', 'learning', '--cache', str(tmp_path / 'cache'), '--world', *arguments]) == 2
    assert capsys.readouterr().err.count('\n') == 1 and not (tmp_path / 'cache').exists()


def test_an_unknown_world_is_named_with_those_that_are_known() -> None:
    with pytest.raises(UserError, match=r'moon.*photo'):
        worlds.plan_of('moon')


SLEEPY = 'default,sleep.wake_steps_per_cycle=20,sleep.sws_steps=2,sleep.rem_steps=2,sleep.tether_steps=2'


@pytest.fixture(scope='module')
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    plans = tuple(little(name, steps=120) for name in ('tiles', 'change'))
    cache = tmp_path_factory.mktemp('cache')
    request = Request(plans, (f'{SLEEPY},network.slow_hidden=16', 'retrieval_change'), ('thumbnail',), 1, 1, cache)
    told: list[str] = []
    results = run(request, lambda label, *_: told.append(label))
    assert sum('tuning retrieval' in label and label.startswith('room') for label in dict.fromkeys(told)) == 5
    told.clear()
    assert run(request, lambda label, *_: told.append(label)) == results and not told
    yield {'worlds': {each.plan.world: document(each) for each in results}}


@pytest.mark.timeout(300)  # its processes import torch and torchvision, on a machine that may be busy
def test_from_worlds_by_name_to_figures_around_each_sleep(report: dict) -> None:
    assert list(report['worlds']) == ['tiles', 'change']
    for name, each in report['worlds'].items():
        recipe, retrieval = each['rows']
        scores = recipe['sleep_scores']
        assert len(scores) == 6 and set(scores[0]) == {'before', 'after', 'fast_before', 'fast_after'}
        assert recipe['first_sleep_before'] == scores[0]['before']
        assert recipe['first_sleep_after'] == scores[0]['after']
        assert recipe['after_sleep_worst'] == min(score['after'] for score in scores)
        assert recipe['over_best'] == pytest.approx(recipe['skill'] - retrieval['skill'])
        assert retrieval['first_sleep_after'] is None
        assert len(recipe['matrix']) == (2 if name == 'change' else 1)


def test_the_report_of_worlds_is_written_printed_and_drawn(report: dict, tmp_path: Path) -> None:
    write(tmp_path / 'report.json', report)
    assert json.loads((tmp_path / 'report.json').read_text()) == report
    text = io.StringIO()
    show_worlds(report, Console(file=text, width=300))
    assert all(word in text.getvalue() for word in ('tiles', 'change', 'thumbnail', 'retrieval_change'))
    assert all(file.stat().st_size > 1000 for file in draw_worlds(report, tmp_path / 'plots'))

"""Environments of other packages: found like by gymnasium, converted where unambiguous, else refused in one line."""

from collections.abc import Callable, Iterator
from pathlib import Path
import sys
from typing import Any

import gymnasium
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_sim.bodies.image_conversion import ImageConverter
from cls_sim.robots import make, SimulatedRobot, SimulatorSettings
from cls_sim.worlds.delayed import DelayedObservations

MODULE = 'little_envs'


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The module is importable but not yet imported, and nothing of it is registered."""
    known = dict(gymnasium.registry)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    sys.modules.pop(MODULE, None)
    yield
    sys.modules.pop(MODULE, None)
    gymnasium.registry.clear()
    gymnasium.registry.update(known)


def robot(env_id: str, seed: int = 0) -> SimulatedRobot:
    return make(f'gym:{MODULE}:{env_id}', SimulatorSettings(seed=seed))


@pytest.fixture
def giving() -> Callable[..., SimulatedRobot]:
    def build(**gives: Any) -> SimulatedRobot:
        gymnasium.register('Gives-v0', f'{MODULE}:Gives', kwargs=gives)
        return robot('Gives-v0')

    return build


def refusal(work: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as caught:
        work()
    assert '\n' not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    'env_id, name',
    [
        ('Plain-v0', 'Plain-v0'),
        ('Plain', 'Plain-v2'),
        ('little/Spaced-v1', 'little/Spaced-v1'),
        ('little/Spaced', 'little/Spaced-v1'),
    ],
)
def test_an_id_with_module_and_namespace_and_without_version_is_found(env_id: str, name: str) -> None:
    made = robot(env_id)
    assert made.info.name == f'gym:{MODULE}:{name}'
    assert made.info.modalities == ('camera', 'state')
    assert made.reset().image is not None and made.step([1]).reward == 0.5


def test_a_version_may_be_left_out_of_gymnasiums_own_ids() -> None:
    assert make('gym:CartPole', SimulatorSettings()).info.name == 'gym:CartPole-v1'


def test_missing_modules_and_environments_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "a Python module 'no_such_envs'" in refusal(lambda: make('gym:no_such_envs:A-v0', SimulatorSettings()))
    assert 'Plain-v0' in refusal(lambda: robot('Plane-v0'))
    assert 'MODULE:' in refusal(lambda: make('gym:Plane-v0', SimulatorSettings()))
    assert 'unknown robot' in refusal(lambda: robot('not an id'))
    (tmp_path / 'broken_envs.py').write_text('import math\n\nmath.no_such_thing\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    line = refusal(lambda: make('gym:broken_envs:A-v0', SimulatorSettings()))
    assert "'gym:broken_envs:A-v0'" in line and 'broken_envs.py:3' in line
    (tmp_path / 'needy_envs.py').write_text('import no_such_library\n')
    line = refusal(lambda: make('gym:needy_envs:A-v0', SimulatorSettings()))
    assert "No module named 'no_such_library'" in line and 'needy_envs.py:1' in line


@pytest.mark.parametrize('env_id, truncates', [('OldForms-v0', False), ('OldCut-v0', True), ('OldShort-v0', True)])
def test_interfaces_of_older_versions_are_converted(env_id: str, truncates: bool) -> None:
    made = robot(env_id, seed=7)
    np.testing.assert_array_equal(made.reset().observations['state'], [7, 7, 7])  # by its seed()
    ends = [(step.terminal, step.truncated) for step in (made.step([0]) for _ in range(20)) if step.restart]
    assert ends[0] == (not truncates, truncates)


def test_an_environment_without_a_seed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    made = robot('OldForms-v0')
    environment = sys.modules[MODULE].OldForms
    del environment.seed
    environment.drawn = 1
    made.reset()
    assert 'takes no seed' in caplog.text


GREY = np.linspace(0, 255, 24 * 32).reshape(24, 32).astype(np.uint8)
RGB = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], 2)
OPAQUE = np.concatenate([RGB, np.full((24, 32, 1), 255, np.uint8)], 2)


@pytest.mark.parametrize(
    'picture, same_as',
    [
        (RGB / 255.0, RGB),
        ((RGB / 255).astype(np.float32), RGB),
        (RGB.astype(np.float64), RGB),
        (RGB.astype(np.int64), RGB),
        (OPAQUE, RGB),
        ([GREY, RGB], RGB),
        (RGB.tolist(), RGB),
        (np.moveaxis(RGB, 2, 0), RGB),
        (GREY, np.repeat(GREY[:, :, None], 3, 2)),
        (GREY[:, :, None], np.repeat(GREY[:, :, None], 3, 2)),
        (GREY[None], np.repeat(GREY[:, :, None], 3, 2)),
        (GREY > 100, np.repeat((GREY > 100)[:, :, None] * np.uint8(255), 3, 2)),
        (OPAQUE * np.array([1, 1, 1, 0], np.uint8), RGB * 0),
    ],
)
def test_images_of_every_common_form_are_converted_alike(
    giving: Callable[..., SimulatedRobot], picture: Any, same_as: np.ndarray
) -> None:
    shown = giving(picture=picture).reset().image
    np.testing.assert_array_equal(shown, ImageConverter('twin', 'render()').read(same_as))
    assert shown.dtype == np.uint8 and shown.shape == (224, 224, 3)


@pytest.mark.parametrize(
    'picture, found',
    [
        (None, 'None'),
        ([], 'a list of 0'),
        ('+--+', "'+--+'"),
        (np.zeros((0, 5, 3)), '(0, 5, 3)'),
        (np.full((24, 32, 3), np.nan), 'nan'),
        (np.full((24, 32, 3), -1.0), 'from -1 to -1'),
        (np.full((24, 32, 3), 700), 'from 700'),
        (np.zeros((24, 32, 7)), '(24, 32, 7)'),
        ([[1, 2], [3]], 'a list of 2'),
        (np.zeros((2, 24, 32, 3)), '(2, 24, 32, 3)'),
        ({'rgb': RGB}, 'a dict of rgb'),
        (3.5, '3.5'),
    ],
)
def test_an_invalid_image_names_the_environment_and_the_value(
    giving: Callable[..., SimulatedRobot], picture: Any, found: str
) -> None:
    made = giving(picture=picture)
    line = refusal(made.reset)
    assert "'gym:little_envs:Gives-v0'" in line and 'render()' in line and found in line


def test_images_that_change_their_range_are_refused() -> None:
    pictures = ImageConverter('r', 'render()')
    assert pictures.read(np.zeros((20, 20, 3))).max() == 0  # black does not define the range
    assert pictures.read(np.full((20, 20, 3), 0.5)).max() == 128
    assert 'from 200 to 200' in refusal(lambda: pictures.read(np.full((20, 20, 3), 200.0)))


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_float_images_are_converted_without_loss(picture: np.ndarray) -> None:
    shown = ImageConverter('r', 'render()', 1.0).read(picture / 255.0)
    np.testing.assert_array_equal(shown, ImageConverter('r', 'render()').read(picture))


@pytest.mark.parametrize(
    'space, picture',
    [
        (spaces.Box(0, 1, (24, 32, 3), np.float32), (RGB / 255).astype(np.float32)),
        (spaces.Box(0, 255, (24, 32, 3), np.float32), RGB.astype(np.float32)),
        (spaces.Box(0, 255, (3, 24, 32), np.uint8), np.moveaxis(RGB, 2, 0)),
        (spaces.Box(0, 255, (24, 32, 3), np.uint8), RGB / 255.0),  # does not match its space
    ],
)
def test_an_image_observation_is_the_camera(
    giving: Callable[..., SimulatedRobot], space: spaces.Space, picture: np.ndarray
) -> None:
    made = giving(space=space, observation=picture)
    assert made.info.modalities == ('camera',)
    np.testing.assert_array_equal(made.reset().image, ImageConverter('twin', 'render()').read(RGB))


@pytest.mark.parametrize(
    'space, modalities',
    [
        (spaces.Box(0, 255, (4, 84, 84), np.uint8), ('camera', 'state')),  # may be four grey pictures in a row
        (spaces.Box(-1, 1, (24, 32, 3), np.float32), ('camera', 'state')),
        (spaces.Box(0, 1, (3, 4, 3), np.float32), ('camera', 'state')),
    ],
)
def test_an_ambiguous_observation_is_a_state(
    giving: Callable[..., SimulatedRobot], space: spaces.Space, modalities: tuple[str, ...]
) -> None:
    assert giving(space=space).info.modalities == modalities


@pytest.mark.parametrize(
    'reward, value',
    [(np.array([2.5]), 2.5), (np.float32(1.5), 1.5), (np.array([[3]]), 3.0), (True, 1.0), (None, float('nan'))],
)
def test_rewards_of_one_number_are_converted(giving: Callable[..., SimulatedRobot], reward: Any, value: float) -> None:
    made = giving(reward=reward)
    made.reset()
    assert made.step([0]).reward == pytest.approx(value, nan_ok=True)


OBSERVED = np.zeros(3, np.float32)


@pytest.mark.parametrize(
    'gives, found',
    [
        ({'reward': np.zeros(2)}, 'reward from step()'),
        ({'reward': 'much'}, "found 'much'"),
        ({'step': OBSERVED}, 'float32 (3,)'),
        ({'step': (OBSERVED, 1.0)}, 'a tuple of 2'),
        ({'step': None}, 'None'),
        ({'step': (OBSERVED, 1.0, None, False, {})}, 'end of an episode'),
        ({'step': (np.zeros(4), 1.0, False, False, {})}, 'observation; expected finite numbers of Box'),
        ({'step': (OBSERVED * np.nan, 1.0, False, False, {})}, 'observation'),
        ({'step': (None, 1.0, False, False, {})}, 'found None'),
        ({'step': ({'a': 1}, 1.0, False, False, {})}, 'a dict of a'),
    ],
)
def test_an_invalid_result_of_step_is_refused(
    giving: Callable[..., SimulatedRobot], gives: dict[str, Any], found: str
) -> None:
    made = giving(**gives)
    made.reset()
    line = refusal(lambda: made.step([0]))
    assert "'gym:little_envs:Gives-v0'" in line and found in line


@pytest.mark.parametrize(
    'env_id, found',
    [
        ('FailsInReset-v0', "reset() of its environment failed; found KeyError: 'the map of the maze'"),
        ('FailsInStep-v0', 'step() of its environment failed; found ValueError'),
        ('FailsInRender-v0', 'render() of its environment failed; found RuntimeError: no display for pictures'),
        ('FailsInMaking-v0', 'making of its environment failed; found FileNotFoundError: maze.json'),
        ('Exits-v0', 'step() of its environment failed; found SystemExit'),
        ('NoSpaces-v0', 'observation_space'),
        ('NotAnEnvironment-v0', 'expected an environment of class gymnasium.Env'),
    ],
)
def test_an_error_in_an_environments_code_names_its_line(env_id: str, found: str) -> None:
    def use() -> None:
        made = robot(env_id)
        made.reset()
        made.step([0])

    line = refusal(use)
    assert f"'gym:little_envs:{env_id}'" in line and found in line
    if 'Fails' in env_id:
        source = Path(__file__).with_name('little_envs.py')
        number = int(line.split(f'{source}:')[1].split(')')[0])
        code = source.read_text().splitlines()[number - 1]
        assert 'raise' in code or '@' in code


def test_an_error_while_closing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    made = robot('FailsInClose-v0')
    made.reset()
    made.close()
    assert 'already closed' in caplog.text


@pytest.mark.parametrize('steps', [0, 2, 30])
def test_a_wrapper_delays_the_observations_of_any_environment_and_nothing_else(steps: int) -> None:
    late, prompt = DelayedObservations(gymnasium.make('CartPole-v1'), steps), gymnasium.make('CartPole-v1')
    for seed in range(3):  # of episodes
        seen, (first, _) = [prompt.reset(seed=seed)[0]], late.reset(seed=seed)
        np.testing.assert_array_equal(first, seen[0])
        ended = False
        while not ended:
            observation, *outcome = late.step(1)
            now, *expected = prompt.step(1)
            seen.append(now)
            np.testing.assert_array_equal(observation, seen[max(len(seen) - 1 - steps, 0)])
            assert outcome == expected
            ended = outcome[1]
    late.close()
    prompt.close()

"""`evaluate()`: greedy episodes of a saved model."""

from collections.abc import Iterator
import hashlib
from pathlib import Path
import shutil
from typing import Any

import cv2
import gymnasium
from gymnasium.envs.registration import register, registry
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_common.transition import Observation, Reading
from cls_training.evaluation import evaluate, EvaluationOptions, read_model
from cls_training.training import train, TrainOptions

# Small networks and short sleeps: a first sleep, that is all.
OVERRIDES = {
    'warmup': 20, 'world.hidden': 8, 'world.batch_size': 8, 'agent.hidden': 8, 'agent.starts': 4, 'agent.horizon': 2,
    'sleep.wake_steps_per_cycle': 25, 'sleep.sws_steps': 2, 'sleep.rem_steps': 2,
}  # fmt: skip


class Corridor(gymnasium.Env[Any, Any]):
    """One number, moved by two actions, rewards the action 1 with 1, and ends after 4 steps."""

    metadata = {'render_modes': ['rgb_array']}
    observation_space = gymnasium.spaces.Box(-10.0, 10.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None, reward: float = 1.0) -> None:
        self.render_mode, self._reward = render_mode, reward
        self.at, self.steps = 0.0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at, self.steps = float(self.np_random.normal()), 0
        return self._observation(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at += 2.0 * action - 1.0
        self.steps += 1
        return self._observation(), self._reward * action, self.steps == 4, False, {}

    def _observation(self) -> Any:
        return np.float32([self.at, self.steps])

    def render(self) -> Any:
        image = np.zeros((32, 32, 3), np.uint8)
        image[:, : 8 * self.steps] = (255, 0, 0)
        return image


class Blind(Corridor):
    metadata = {'render_modes': []}


class Wide(Corridor):
    observation_space = gymnasium.spaces.Box(-10.0, 10.0, (3,), np.float32)

    def _observation(self) -> Any:
        return np.float32([self.at, self.steps, 0.0])


@pytest.fixture(scope='module', autouse=True)
def _environments() -> Iterator[None]:
    own = {'Corridor': Corridor, 'Blind': Blind, 'Wide': Wide}
    for name, kind in own.items():
        register(f'Evaluate{name}-v0', entry_point=kind, reward_threshold=3.0 if kind is Corridor else None)
    register('EvaluateNothing-v0', entry_point=Corridor, kwargs={'reward': float('nan')})
    yield
    for name in (*own, 'Nothing'):
        del registry[f'Evaluate{name}-v0']


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory, _environments: None) -> Path:
    """Returns a folder with a model of the corridor that slept once."""
    folder = tmp_path_factory.mktemp('models')
    train(
        TrainOptions(
            robot='gym:EvaluateCorridor-v0', model='m', models_dir=folder, steps=30, seed=3, brain='spiking',
            overrides=OVERRIDES,
        )
    )  # fmt: skip
    return folder


def content(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob('*')) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_figures_are_those_of_the_episodes_and_the_model_is_not_changed(models: Path) -> None:
    before, done = content(models), []
    found = evaluate(EvaluationOptions(model='m', models_dir=models, episodes=5, seed=1), done.append)
    assert content(models) == before
    assert done == [1, 2, 3, 4, 5] and (found.steps, found.robot) == (30, 'gym:EvaluateCorridor-v0')
    rewards = [episode.reward for episode in found.episodes]
    assert all(0 <= reward <= 4 for reward in rewards)
    assert found.figures() == {
        'reward_mean': np.mean(rewards), 'reward_std': np.std(rewards), 'reward_min': min(rewards),
        'reward_max': max(rewards), 'length_mean': 4.0, 'success_rate': np.mean([reward >= 3.0 for reward in rewards]),
    }  # fmt: skip


def test_equal_seeds_give_equal_episodes_and_actions_are_the_most_likely_ones(models: Path) -> None:
    options = EvaluationOptions(model='m', models_dir=models, episodes=6, seed=4)
    first = evaluate(options)
    assert evaluate(options) == first
    # A model says which action is most likely in a state; an episode takes it.
    _, _, learner = read_model(models / 'm')
    state = Observation({'state': Reading(np.float32([0.5, 1.0]), 0)})
    actions = {float(learner.act(state, np.zeros(0), 'greedy', steps)[0]) for steps in range(20)}
    assert len(actions) == 1


def test_an_episode_without_an_end_is_cut(models: Path) -> None:
    found = evaluate(EvaluationOptions(model='m', models_dir=models, episodes=3, max_length=2))
    assert [episode.length for episode in found.episodes] == [2, 2, 2]


def test_a_robot_without_a_threshold_has_no_success_rate(models: Path) -> None:
    found = evaluate(EvaluationOptions(model='m', models_dir=models, episodes=1, robot='gym:EvaluateBlind-v0'))
    assert 'success_rate' not in found.figures()


def test_a_video_has_one_image_a_step_and_one_a_start(models: Path, tmp_path: Path) -> None:
    file = tmp_path / 'a.mp4'
    evaluate(EvaluationOptions(model='m', models_dir=models, episodes=2, render=file))
    reader = cv2.VideoCapture(str(file))
    images = []
    while (read := reader.read())[0]:
        images.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    assert len(images) == 2 * (1 + 4) and list(tmp_path.iterdir()) == [file]
    # The bar of the picture grows with each step of an episode; it is red.
    widths = [int((image[112, :, 0] > 128).sum()) for image in images]
    assert widths[:5] == sorted(widths[:5]) and widths[5] < widths[4] and widths[4] > 200
    assert images[4][112, 100, 2] < 60


@pytest.mark.parametrize(
    'changes, expected',
    [
        ({'model': 'other'}, "model 'other'; expected a folder with config.json"),
        ({'robot': 'gym:EvaluateNothing-v0'}, "robot 'gym:EvaluateNothing-v0'; expected a finite reward"),
        ({'robot': 'gym:EvaluateWide-v0'}, 'expected 2 numbers; found 3'),
        ({'robot': 'gym:Pendulum-v1'}, 'expected actions of'),
        ({'robot': 'square'}, "robot 'square'; expected a robot that gives a reward; found none"),
        ({'robot': 'nothing'}, "unknown robot 'nothing'"),
        ({'robot': 'gym:EvaluateBlind-v0', 'render': Path('a.mp4')}, 'can not be drawn'),
    ],
)
def test_what_cannot_be_evaluated_is_one_clear_line(
    models: Path, changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    before = content(models)
    if 'render' in changes:
        changes = {**changes, 'render': tmp_path / changes['render']}
    with pytest.raises(UserError) as error:
        evaluate(EvaluationOptions(**({'model': 'm', 'models_dir': models} | changes)))
    assert expected in str(error.value) and '\n' not in str(error.value)
    assert content(models) == before and not list(tmp_path.iterdir())


def test_a_model_that_was_never_saved_and_one_without_greedy_mode_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / 'models'
    options: dict[str, Any] = {'models_dir': folder, 'steps': 1, 'seed': 1, 'encoder': 'identity'}
    train(TrainOptions(robot='gym:EvaluateCorridor-v0', model='seer', **options))
    with pytest.raises(UserError, match="a greedy mode; found the brain 'cls'"):
        evaluate(EvaluationOptions(model='seer', models_dir=folder))
    options |= {'brain': 'spiking', 'overrides': OVERRIDES, 'encoder': ''}
    train(TrainOptions(robot='gym:EvaluateCorridor-v0', model='new', **options))
    for path in (folder / 'new' / 'generations').rglob('*.safetensors'):
        path.write_bytes(b'torn')
    with pytest.raises(UserError, match='the checksum of its manifest'):
        evaluate(EvaluationOptions(model='new', models_dir=folder))
    shutil.rmtree(folder / 'new' / 'generations')
    with pytest.raises(UserError, match="model 'new' was never saved"):
        evaluate(EvaluationOptions(model='new', models_dir=folder))


def test_a_robot_is_drawn_only_where_images_are_needed(
    models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn = []
    monkeypatch.setattr(Corridor, 'render', lambda self: drawn.append(self.steps) or np.zeros((32, 32, 3), np.uint8))
    evaluate(EvaluationOptions(model='m', models_dir=models, episodes=1))
    assert drawn == []
    evaluate(EvaluationOptions(model='m', models_dir=models, episodes=1, render=tmp_path / 'a.mp4'))
    # And the start of the next episode, in which nothing is done.
    assert drawn == [0, 1, 2, 3, 4, 0]

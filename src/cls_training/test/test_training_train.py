"""`train()`: a brain trained in one process over a simulated robot."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cls_cli.entry import main
from cls_common.errors import UserError
from cls_learning.brain import ONLINE
from cls_learning.model_store.folder import ModelFolder
from cls_learning.model_store.listing import list_models, read_config, weights_hash
from cls_learning.policies.contract import EndOfActionsError
from cls_learning.runtime.learner_session import make_online_learner
from cls_training.train_loop import SLEEP_KEPT, TrainProgress
from cls_training.training import opened, Proposal, train, TrainOptions

# Small networks and short sleeps: the loop around them is tested.
OVERRIDES = {
    'network.slow_hidden': 64, 'sleep.wake_steps_per_cycle': 25, 'sleep.sws_steps': 3, 'sleep.rem_steps': 3,
    'sleep.tether_steps': 2, 'sleep.batch_size': 16, 'fast.recent': 3, 'fast.older': 4, 'memory.piece_length': 10,
}  # fmt: skip


def options(folder: Path, **changes: Any) -> TrainOptions:
    values = {
        'robot': 'square', 'model': 'm', 'models_dir': folder, 'steps': 60, 'seed': 5, 'overrides': OVERRIDES,
    } | changes  # fmt: skip
    return TrainOptions(**values)


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[TrainProgress]]:
    """Trains a model for 60 steps and two sleeps; returns its folder, hash and reports."""
    folder = tmp_path_factory.mktemp('models')
    reports: list[TrainProgress] = []
    return folder, train(options(folder), reports.append), reports


def test_equal_seeds_give_equal_weights(trained: tuple[Path, str, list[TrainProgress]], tmp_path: Path) -> None:
    folder, first, _ = trained
    assert len(first) == 64 and first == weights_hash(folder / 'm')
    assert train(options(tmp_path)) == first
    assert train(options(tmp_path, model='other', seed=6)) != first


def test_the_command_line_gives_the_same_hash(
    trained: tuple[Path, str, list[TrainProgress]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, first, _ = trained
    assert main(['models', 'hash', 'm', '--models-dir', str(folder)]) == 0
    assert capsys.readouterr().out.strip() == first


def test_progress_is_reported_step_by_step(trained: tuple[Path, str, list[TrainProgress]]) -> None:
    _, _, reports = trained
    assert [r.step for r in reports if r.phase == 'wake'] == list(range(1, 61))
    assert [(r.step, r.phase) for r in reports if r.phase != 'wake'] == [
        (step, phase) for step in (25, 50) for phase in ('sws', 'rem', 'tether', SLEEP_KEPT)
    ]
    headlines = {'skill_fast', 'skill_slow', 'held_out_skill_slow', 'forgetting_slow', 'action_use_slow'}
    assert set(reports[-1].measure()) == headlines


def test_the_next_run_adds_steps_to_the_model(trained: tuple[Path, str, list[TrainProgress]], tmp_path: Path) -> None:
    """With the encoder, seed and recipe of the model."""
    first = train(options(tmp_path, steps=30))
    config = (tmp_path / 'm' / 'config.json').read_bytes()
    second = train(TrainOptions(robot='square', model='m', models_dir=tmp_path, steps=10))
    (model,) = list_models(tmp_path)
    assert (model.total_steps, model.cycles, model.encoder, model.robot) == (40, 1, 'retina', 'square')
    assert second == weights_hash(tmp_path / 'm') != first
    assert (tmp_path / 'm' / 'config.json').read_bytes() == config


def test_an_action_is_carried_out_as_it_was_confirmed(tmp_path: Path) -> None:
    small = options(tmp_path, steps=3)
    actions = []
    with opened(small, lambda _: None) as run, run.loop:
        run.loop.learned = lambda experience, _: actions.append(experience.transition.action_commanded.tolist())
        run.confirm = lambda proposal: np.array([7.0, len(actions)], np.float32)
        run.run(3)
    assert [pan for pan, _ in actions] == [7.0, 7.0, 7.0]


def test_a_run_that_the_user_ends_is_saved(trained: tuple[Path, str, list[TrainProgress]], tmp_path: Path) -> None:
    asked = []

    def confirm(proposal: Proposal) -> Any:
        asked.append(proposal.learner.total_steps)
        if len(asked) == 31:
            raise EndOfActionsError('ended by the user')
        return proposal.action

    ended = train(options(tmp_path), confirm=confirm)
    assert asked == list(range(31)) and list_models(tmp_path)[0].total_steps == 30
    assert ended == train(options(tmp_path, model='other', steps=30))


def test_the_origin_of_each_setting_is_kept(trained: tuple[Path, str, list[TrainProgress]]) -> None:
    config = read_config(trained[0] / 'm')
    assert config['seed'] == 5 and config['encoder']['name'] == 'retina' and config['encoder']['size'] == 512
    assert config['values']['sleep.rem_steps'] == 3 and config['origins']['sleep.rem_steps'] == 'parameter'
    assert config['values']['sleep.rem_k'] == 3 and config['origins']['sleep.rem_k'] == 'default'


@pytest.mark.parametrize(
    'changes, text',
    [
        ({'preset': 'best'}, "unknown preset 'best'; expected one of default, reference"),
        ({'overrides': {'fast.speed': 1}}, "unknown parameter 'fast.speed'"),
        ({'overrides': {'fast.ring': 0}}, "parameter 'fast.ring'; expected 1 to any; found 0"),
        ({'overrides': {'policy.kind': 'psychic'}}, "unknown policy 'psychic'"),
        ({'overrides': {'network.world_model': 'oracle'}}, "unknown world model 'oracle'; expected one of event_gru"),
        ({'overrides': {'sleep.phases': 'sws nap'}}, "unknown sleep phase 'nap'"),
        ({'robot': 'dog'}, "unknown robot 'dog'"),
        ({'encoder': 'eyes'}, 'eyes'),
        ({'encoder': 'identity'}, "expected a robot with one; found 'square', which senses camera"),
        ({'model': '../m'}, 'model name'),
    ],
)
def test_unknown_names_are_refused_and_create_no_model(changes: dict[str, Any], text: str, tmp_path: Path) -> None:
    """Also those that only a later sleep uses: a recipe is frozen when the model is created."""
    with pytest.raises(UserError) as caught:
        train(options(tmp_path / 'models', **changes))
    assert text in str(caught.value) and '\n' not in str(caught.value)
    assert list_models(tmp_path / 'models') == []


@pytest.mark.parametrize(
    'changes, text',
    [
        ({'seed': 6}, "seed of the existing model 'm'; expected 5"),
        ({'encoder': 'identity'}, "encoder for the existing model 'm'; expected retina; found identity"),
        ({'preset': 'reference'}, "for the existing model 'm'"),
        ({'overrides': {'sleep.rem_k': 4}}, "parameter 'sleep.rem_k' for the existing model 'm'; expected 3"),
        ({'robot': 'gym:CartPole-v1'}, 'Choose another model name for another robot'),
    ],
)
def test_options_that_do_not_fit_the_model_are_refused(
    changes: dict[str, Any], text: str, trained: tuple[Path, str, list[TrainProgress]]
) -> None:
    folder, first, _ = trained
    with pytest.raises(UserError) as caught:
        train(options(folder, **changes))
    assert text in str(caught.value)
    assert weights_hash(folder / 'm') == first


def test_a_cycle_with_too_few_transitions_has_no_sleep(tmp_path: Path) -> None:
    """The run continues, as in the graph."""
    overrides = OVERRIDES | {'sleep.wake_steps_per_cycle': 10, 'sleep.batch_size': 32}
    train(options(tmp_path, steps=35, overrides=overrides))
    (model,) = list_models(tmp_path)
    assert model.cycles == 0 and model.total_steps == 35


def test_a_robot_with_episodes_and_vectors(tmp_path: Path) -> None:
    """Actions without joints, episodes that end, vectors as embeddings."""
    train(options(tmp_path, robot='gym:CartPole-v1', encoder='identity', steps=60))
    (model,) = list_models(tmp_path)
    assert (model.total_steps, model.cycles, model.problem) == (60, 2, '')
    config = read_config(tmp_path / 'm')
    assert config['encoder']['size'] == 4 and config['robot']['joint_names'] == []


def test_a_model_without_its_config_is_not_overwritten(tmp_path: Path) -> None:
    """A model folder without config.json keeps its weights."""
    first = train(options(tmp_path, steps=30))
    (tmp_path / 'm' / 'config.json').rename(tmp_path / 'config.json')
    with pytest.raises(UserError, match='no config'):
        train(options(tmp_path, steps=30))
    (tmp_path / 'config.json').rename(tmp_path / 'm' / 'config.json')
    assert weights_hash(tmp_path / 'm') == first


def test_going_back_a_generation_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(options(tmp_path, steps=60))
    newest = max((tmp_path / 'm' / 'generations').glob('[0-9]*'))
    (newest / 'consolidator.safetensors').write_bytes(b'torn')
    train(options(tmp_path, steps=1))
    assert 'went back one generation' in caplog.text and newest.name in caplog.text


def test_late_images_of_a_simulated_robot_are_re_paired_by_a_measured_or_a_given_delay(tmp_path: Path) -> None:
    small = {'network.slow_hidden': 32, 'fast.recent': 3, 'fast.older': 4}
    chosen = {'robot': 'sim', 'models_dir': tmp_path, 'steps': 135, 'seed': 5, 'simulator': {'faults.image_lag': 1}}
    weights = {}
    for delay in (-1, 1, 0):
        model = f'm{delay + 1}'
        weights[delay] = train(TrainOptions(model=model, overrides={**small, 'image_delay': delay}, **chosen))
        folder = ModelFolder(tmp_path, model)
        found = folder.load()
        assert found is not None and folder.config is not None
        learner = make_online_learner(folder.config)
        learner.load_bytes(found[1][ONLINE])
        folder.close()
        assert learner.image_delay == abs(delay)
    assert len(set(weights.values())) == 3

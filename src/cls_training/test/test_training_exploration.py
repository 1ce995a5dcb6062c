"""Exploring sessions and models: steps, views, training through the consolidator, the notebook, and reports."""

from html.parser import HTMLParser
import importlib.util
import json
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any

from dot_session import record_dot
import numpy as np
import pytest

from cls_cli.entry import main
from cls_common.errors import UserError
from cls_learning.brains.developmental.inspection import views
from cls_learning.model_store.folder import ModelFolder
from cls_learning.model_store.listing import weights_hash
from cls_learning.model_store.training_log import read_rows
from cls_learning.runtime.learner_session import LearnerSession
from cls_sim.robots import make, SimulatorSettings
from cls_training.exploration import models, sessions
from cls_training.exploration.pictures import show
from cls_training.exploration.robot_test import try_actions
from cls_training.exploration.training import Training
from cls_training.report.model_page import model_page
from cls_training.report.page import Page, render
from cls_training.report.session_page import session_page
from cls_training.training import train, TrainOptions

ROOT = Path(__file__).resolve().parents[3]
SMALL = {
    'network.size': 32, 'network.patch': 8, 'network.width': 16, 'network.heads': 2, 'network.layers': 1,
    'network.context': 3, 'wake.batch_size': 2, 'wake.kept': 20, 'sleep.wake_steps_per_cycle': 30,
    'sleep.batch_size': 4, 'sleep.reconstruct_steps': 2, 'sleep.predict_steps': 3, 'sleep.dream_steps': 1,
    'sleep.dream_length': 3, 'memory.segment': 6,
}  # fmt: skip
ACTIONS = [0, 1, 1, 1, 0, 1, 1, 0, 1, 1]


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model `models/dot` after 60 steps, and two sessions of its robot."""
    folder = tmp_path_factory.mktemp('explored')
    train(
        TrainOptions(robot='toroidal_dot', model='dot', models_dir=folder / 'models', steps=60, seed=1, mode='random',
                     brain='developmental', overrides=SMALL)
    )  # fmt: skip
    (folder / 'sessions').mkdir()
    record_dot(folder / 'sessions' / 'one', ACTIONS)
    record_dot(folder / 'sessions' / 'two', [0, 0], seed=2)
    return folder


@pytest.fixture
def dot(place: Path, tmp_path: Path) -> Path:
    """A copy of the model."""
    return Path(shutil.copytree(place / 'models' / 'dot', tmp_path / 'dot'))


def test_sessions_are_listed_and_read_with_their_actions(place):
    found = sessions.list_sessions([place / 'sessions'])
    assert [(each.name, each.robot, each.steps) for each in found] == [
        ('one', 'toroidal_dot', 10), ('two', 'toroidal_dot', 2)
    ]  # fmt: skip
    session = sessions.read_session(found[0].path, (32, 32))
    assert [int(step.action_commanded[0]) for step in session.steps] == ACTIONS
    assert session.captions[:2] == ['action=0', 'action=1'] and session.frames[0].shape == (32, 32, 3)
    # The dot moves with action 1 alone.
    moved = [bool((step.before['camera'] != step.after['camera']).any()) for step in session.steps]
    assert moved == [action == 1 for action in ACTIONS]


def test_a_window_needs_enough_steps_in_a_row(place):
    session = sessions.read_session(place / 'sessions' / 'one', (32, 32))
    assert session.starts(3) == list(range(2, 10))
    assert [int(step.action_commanded[0]) for step in session.window(4, 3)] == [1, 1, 0]
    with pytest.raises(UserError, match='step 1 of one; expected 3 steps in a row; found 2 since a gap'):
        session.window(1, 3)
    with pytest.raises(UserError, match='step 10 of one; expected 0 to 9'):
        session.window(10, 1)


def test_actions_are_counted_over_one_and_all_sessions(place):
    one, two = (place / 'sessions' / name for name in ('one', 'two'))
    shares = [(each.text, each.count, each.percent) for each in sessions.action_shares([one, two])]
    assert [share[:2] for share in shares] == [('action=1', 7), ('action=0', 5)]
    assert [share[2] for share in shares] == pytest.approx([58.333, 41.667], abs=1e-3)
    assert [each.count for each in sessions.action_shares([two])] == [2]


def test_models_are_found_by_the_robot_of_a_session(place):
    assert models.models_for(sessions.robot_of(place / 'sessions' / 'one'), place / 'models') == ['dot']
    other = make('stub', SimulatorSettings(robot='stub'))
    assert models.models_for(other.info, place / 'models') == []
    other.close()


@pytest.fixture(scope='module')
def seen(place: Path) -> tuple[Any, Any, Any]:
    """The model's networks, its session, and the steps that end in step 5."""
    saved = models.read_saved(place / 'models' / 'dot')
    session = sessions.read_session(place / 'sessions' / 'one', (32, 32))
    return models.networks_of(saved), session, models.as_steps(saved, session.window(5, 3))


def test_a_step_is_reconstructed_and_predicted_beside_the_truth(seen):
    model, _, steps = seen
    found, one = views.reconstruct(model, steps.pictures[0, -1]), views.predict(model, steps)
    picture = steps.pictures[0, -1]
    assert found.squared_error == pytest.approx(float((found.drawn - picture).square().mean()))
    assert found.figure.shape == (40, 32 * 3 + 16, 3)
    assert one.history == 3 and (one.actual == picture).all() and (one.last == steps.pictures[0, -2]).all()
    assert one.squared_error == pytest.approx(float((one.predicted - picture).square().mean()))
    assert one.copy_error > 0
    shorter = views.predict(model, steps, history=2)
    assert shorter.history == 2 and not np.allclose(shorter.predicted, one.predicted, atol=1e-7)


@pytest.mark.parametrize('history', [1, 4, 9])
def test_a_history_that_the_model_does_not_use_is_refused(seen, history):
    model, _, steps = seen
    with pytest.raises(
        UserError, match=f'history; expected 2 to 3 pictures: this model predicts from 3; found {history}'
    ):
        views.predict(model, steps, history)


def test_a_sweep_marks_the_recorded_action_and_has_the_error_of_each(seen):
    model, _, steps = seen
    found = views.sweep(model, steps)
    assert found.actions.flatten().tolist() == [-1.0, 1.0] and found.taken == ACTIONS[5]
    assert found.errors[1] == pytest.approx(float((found.pictures[1] - found.actual).square().mean()))
    # An action between the candidates is added, and is the one that is marked.
    between = steps._replace(actions=steps.actions * 0.5)
    added = views.sweep(model, between)
    assert added.taken == 2 and added.actions.flatten().tolist() == [-1.0, 1.0, 0.5]


def test_attention_and_effects_of_a_step(seen):
    model, _, steps = seen
    found = views.attend(model, steps)
    assert found is not None and found.layers[-1].shape == (1, 2, 16, 17) and found.received.shape == (16,)
    parts = found.parts
    assert np.allclose(parts.last_action + parts.last_frame, 1, atol=1e-5) and len(parts.rest) == 16
    metrics = found.metrics
    assert metrics['predictor/attn/apa_mean'] + metrics['predictor/attn/alf_mean'] == pytest.approx(1, abs=1e-5)
    effects = views.effects(model, steps, np.random.default_rng(0))
    assert effects.keys() >= {
        'predictor/counterfactual/asg', 'predictor/counterfactual/azg', 'predictor/counterfactual/r2_gap',
        'predictor/causal/without_film', 'predictor/causal/without_token', 'predictor/causal/without_action',
        'predictor/action_sensitivity/variance',
    }  # fmt: skip
    assert effects['predictor/causal/without_film'] != 0


def test_training_can_pause_and_is_learned_again_from_the_journal(dot):
    before = weights_hash(dot)
    with Training(dot, 'predict', steps=5) as training:
        for progress in training.run():
            if progress.step == 2:
                break
        assert training.done == 2
        assert [progress.step for progress in training.run()] == [3, 4, 5]
        result = training.keep()
    assert result.kept and result.steps == 5 and weights_hash(dot) != before
    assert result.after['predictor'].count == result.before['predictor'].count
    assert result.after['predictor'].change > 0 and np.isnan(result.before['predictor'].change)
    assert read_rows(dot / 'training.log')[-2]['event'] == 'sleep'
    # Without the generation that it saved, the journal gives the same weights.
    after = weights_hash(dot)
    newest = max((dot / 'generations').iterdir())
    shutil.rmtree(newest)
    folder = ModelFolder(dot.parent, dot.name)
    session = LearnerSession(folder)
    again = session.weights_sha256(session.online_bytes)
    folder.close()
    assert again == after


def test_training_ends_at_the_threshold_and_keeps_the_steps_that_were_run(dot):
    with Training.to_threshold(dot, 'reconstruct', threshold=1e9, most=50) as training:
        assert len(list(training.run())) == 1 and list(training.run()) == []
        result = training.keep()
    assert result.reached and result.steps == 1
    with Training.to_threshold(dot, 'reconstruct', threshold=0.0, most=3) as training:
        assert len(list(training.run())) == 3
        assert not training.reached


def test_training_that_is_not_kept_changes_nothing(dot):
    before = weights_hash(dot)
    with Training(dot, 'reconstruct', steps=2) as training:
        list(training.run())
        with pytest.raises(UserError, match='in use'):
            Training(dot)
    with Training(dot, 'reconstruct') as training, pytest.raises(UserError, match='found no step was run'):
        training.keep()
    assert weights_hash(dot) == before
    with pytest.raises(UserError, match="phase 'sws'"):
        Training(dot, 'sws')
    with pytest.raises(UserError, match='steps of a training; expected 1 or more; found 0'):
        Training(dot, steps=0)


def test_single_actions_of_a_robot_show_what_they_change():
    robot = make('toroidal_dot', SimulatorSettings(robot='toroidal_dot', seed=1))
    stay, move = try_actions(robot)
    robot.close()
    assert stay.changed == 0 and 0 < move.changed < 0.05
    difference = move.figure[:, -move.after.shape[1] :]
    assert (difference == np.abs(move.after.astype(int) - move.before)).all()
    assert (move.before == stay.after).all()


def test_the_notebook_is_made_of_its_script():
    done = subprocess.run(
        [sys.executable, str(ROOT / 'notebooks' / 'convert.py'), '--check'], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout


def test_the_cells_of_the_notebook_run(place, tmp_path, monkeypatch):
    notebook = json.loads((ROOT / 'notebooks' / 'explorer.ipynb').read_text(encoding='utf-8'))
    monkeypatch.chdir(shutil.copytree(place, tmp_path / 'explored'))
    names: dict[str, Any] = {}
    for cell in notebook['cells']:
        if cell['cell_type'] == 'code':
            exec(compile(''.join(cell['source']), 'explorer', 'exec'), names)
            if 'parameters' in cell['metadata'].get('tags', ()):
                names |= {'STEPS': 2, 'MOST_STEPS': 2}
    assert {path.name for path in Path('figures').iterdir()} >= {
        'reconstruction.png', 'prediction.png', 'every_action.png', 'attention.png', 'robot_test.png'
    }  # fmt: skip
    assert names['copied'].name == 'dot_1' and names['result'].steps == 2


def test_the_script_has_the_cells_of_the_notebook():
    spec = importlib.util.spec_from_file_location('convert', ROOT / 'notebooks' / 'convert.py')
    assert spec and spec.loader
    convert = importlib.util.module_from_spec(spec)
    sys.modules['convert'] = convert
    spec.loader.exec_module(convert)
    script = 'ignored\n# %% [markdown]\n# # Title\n#\n# text\n\n# %% tags=["parameters"]\nA = 1\n\n# %%\nA\n'
    assert [(cell.kind, cell.text, cell.tags) for cell in convert.cells(script)] == [
        ('markdown', '# Title\n\ntext', ()), ('code', 'A = 1', ('parameters',)), ('code', 'A', ())
    ]  # fmt: skip
    assert [cell['source'] for cell in json.loads(convert.notebook(script))['cells']] == [
        ['# Title\n', '\n', 'text'], ['A = 1'], ['A']
    ]  # fmt: skip


def test_a_figure_is_shown_and_written_as_png(tmp_path):
    picture = show(np.zeros((2, 3, 3), np.uint8), tmp_path / 'new' / 'x.png')
    assert picture._repr_png_().startswith(b'\x89PNG') and (tmp_path / 'new' / 'x.png').read_bytes()[:4] == b'\x89PNG'


class Parsed(HTMLParser):
    """What a page loads, links to and has."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.images = self.drawings = 0
        self.text = render(page)
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or '' for name, value in attrs}
        self.ids += [named['id']] if 'id' in named else []
        self.images += named.get('src', '').startswith('data:image/png;base64,')
        self.drawings += tag == 'svg'
        self.links += [named[name] for name in ('src', 'href', 'xlink:href') if name in named]


def check_is_self_contained(page: Parsed) -> None:
    assert all(link.startswith(('#', 'data:image/png;base64,')) for link in page.links)
    assert '<script' not in page.text and '@import' not in page.text and 'url(http' not in page.text
    assert {link[1:] for link in page.links if link.startswith('#')} <= set(page.ids)


def test_the_report_of_a_model_is_one_file_with_all_sections(place):
    page = model_page(place / 'models' / 'dot', 'today')
    assert [section.title for section in page.sections] == [
        'Learning curves', 'Gate and sleeps', 'Reconstructions', 'Predictions for every action', 'Attention',
        'Effect of the action', 'Distribution of actions', 'Settings',
    ]  # fmt: skip
    parsed = Parsed(page)
    check_is_self_contained(parsed)
    assert parsed.drawings > 5 and parsed.images > 10
    # The drawings of a page share no names but equal ones, and take the colour of its text.
    assert 'currentColor' in parsed.text and '#010203' not in parsed.text
    assert page.facts['Weights (SHA-256)'] == weights_hash(place / 'models' / 'dot')


def test_the_report_of_a_session_has_what_a_model_makes_of_it(place):
    path = place / 'sessions' / 'one'
    page = session_page(path, 'today', place / 'models', 'dot')
    titles = [section.title for section in page.sections]
    assert titles[:2] == ['Frames', 'Reconstructions']
    assert titles[-2:] == ['Distribution of actions', 'Distribution of actions, all sessions']
    check_is_self_contained(Parsed(page))


def test_the_command_writes_a_report_to_a_file(place, tmp_path):
    output, models_dir = tmp_path / 'one.html', str(place / 'models')
    session = str(place / 'sessions' / 'one')
    assert main(['report', session, '--models-dir', models_dir, '--output', str(output)]) == 0
    text = output.read_text(encoding='utf-8')
    assert 'Session one' in text and 'Attention' not in text
    assert re.search(r'Models of this robot</dt><dd>dot<', text) and re.search(r'Steps</dt><dd>10<', text)


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['none'], "no model 'none'"),
        (['dot', '--model', 'dot'], '--model; expected a session beside it'),
        (['.'], 'session .; expected the folder of one session'),
        (['dot', '--output', 'missing/x.html'], 'output missing/x.html; expected a path in an existing folder'),
    ],
)
def test_the_command_refuses_what_it_can_not_report(place, monkeypatch, capsys, words, message):
    monkeypatch.chdir(place)
    assert main(['report', *words]) == 2
    assert message in capsys.readouterr().err


def test_the_report_of_another_brain_says_what_it_leaves_out(tmp_path):
    recipe = {
        'sleep.wake_steps_per_cycle': 8, 'sleep.sws_steps': 1, 'sleep.rem_steps': 1, 'sleep.tether_steps': 1,
        'sleep.batch_size': 4, 'network.fast_hidden': 8, 'network.slow_hidden': 8,
    }  # fmt: skip
    train(
        TrainOptions(robot='gym:CartPole-v1', model='arm', models_dir=tmp_path, steps=10, seed=1, encoder='identity',
                     overrides=recipe)
    )  # fmt: skip
    page = model_page(tmp_path / 'arm', 'today')
    assert [section.title for section in page.sections] == [
        'Learning curves', 'Gate and sleeps', 'Not in this report', 'Settings'
    ]  # fmt: skip
    assert 'The brain of this model is cls' in re.sub(r'\s+', ' ', render(page))
    with pytest.raises(UserError, match="model 'arm'; expected the brain 'developmental'"):
        models.networks_of(models.read_saved(tmp_path / 'arm'))
    with pytest.raises(UserError, match="found the brain 'cls'"):
        Training(tmp_path / 'arm', 'sws')

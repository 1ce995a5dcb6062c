"""What version 1 of the message, journal and model formats wrote still opens: see fixtures/version_1/README.md."""

import contextlib
from dataclasses import replace
import json
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
import yaml

from cls_cli.entry import main
from cls_common.robot import to_plain
from cls_learning.model_store import journal
from cls_recording.playback.session_stream import SessionStream
from cls_recording.playback.sources import Source
from cls_recording.reader import SessionReader

FIXTURES = Path(__file__).parent / 'fixtures' / 'version_1'
SESSION = FIXTURES / 'session_20261126_002216'
EXPECTED: dict[str, Any] = json.loads((FIXTURES / 'expected.json').read_text(encoding='utf-8'))


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """A copy of the model folders, to go on with."""
    return Path(shutil.copytree(FIXTURES / 'models', tmp_path / 'models'))


def cls(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Returns what a command prints."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_every_message_of_the_session_is_read() -> None:
    with SessionReader(SESSION) as session:
        assert session.left_out == {}
        read = [event.topic for event in session.events()]
    assert {topic: read.count(topic) for topic in set(read)} == EXPECTED['messages']


def test_whether_the_robot_gave_rewards_shows_in_the_session() -> None:
    with SessionReader(SESSION) as session:
        assert session.info.robot is not None and not session.info.robot.has_reward, 'not said by this version'
        assert session.robot() == replace(session.info.robot, has_reward=True)


def test_nodes_get_the_robot_of_the_session_in_the_present_form() -> None:
    source = Source.describe(SESSION)
    with contextlib.closing(SessionStream(source, lambda robot: json.dumps(to_plain(robot)).encode())) as stream:
        assert json.loads(stream.info()) == json.loads(json.dumps(to_plain(source.robot)))


def test_the_session_is_whole_and_fit_to_learn_from(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (found,) = json.loads(cls(capsys, 'sessions', 'info', '--json', SESSION))
    assert found['verdict'] == EXPECTED['verdict']
    assert found['actions']['accepted'] == EXPECTED['steps']
    assert found['info']['robot']['name'] == 'gym:CartPole-v1'
    copy = shutil.copytree(SESSION, tmp_path / SESSION.name)
    assert 'nothing to repair' in cls(capsys, 'sessions', 'repair', copy)


def test_a_replay_of_the_session_ends_in_the_weights_of_the_recorded_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = [part for setting in EXPECTED['settings'] for part in ('--set', setting)]
    output = cls(capsys, 'replay', SESSION, '--models-dir', tmp_path, '--seed', '3', *settings)
    assert output.splitlines()[-1] == f'weights sha256 {EXPECTED["recorded_sha256"]}'


@pytest.mark.usefixtures('fresh_domain')  # `play` refuses a domain in which a learner of an earlier test is still seen
@pytest.mark.timeout(300)  # four processes load PyTorch on what may be two busy cores
def test_the_session_played_into_a_graph_ends_in_the_weights_of_the_recorded_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = tmp_path / 'small.param.yaml'
    values = {name: json.loads(value) for name, value in (text.split('=') for text in EXPECTED['settings'])}
    settings.write_text(yaml.safe_dump({'/**/slow_learner': {'ros__parameters': values}}))
    play = [sys.executable, '-m', 'cls_cli', 'play', SESSION, '--rate', '0', '--no-view']
    new_model = ['--model', 'played', '--models-dir', tmp_path, '--seed', '3', '--encoder', 'identity']
    done = subprocess.run([*play, *new_model, '--params-file', settings], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert cls(capsys, 'hash', 'played', '--models-dir', tmp_path).strip() == EXPECTED['recorded_sha256']


@pytest.mark.parametrize('model', ['journal', 'slept'])
def test_a_journal_is_read_whole(model: str) -> None:
    entries = list(journal.read(FIXTURES / 'models' / model / 'journal' / '000001.journal'))
    sleeps = [place for place, entry in enumerate(entries) if isinstance(entry, journal.SleepRecord)]
    steps = [entry for place, entry in enumerate(entries) if place not in sleeps]
    assert [entry.sequence for entry in steps] == list(range(21, EXPECTED[model]['steps'] + 1))
    assert sleeps == EXPECTED[model]['sleeps']
    assert [round(float(entry.transition.z_next.sum()), 4) for entry in steps[:2]] == EXPECTED[model]['z_next_sums']


@pytest.mark.parametrize('model', ['journal', 'slept'])
def test_a_model_goes_on_from_its_generation_and_journal(
    model: str, capsys: pytest.CaptureFixture[str], models_dir: Path
) -> None:
    assert cls(capsys, 'hash', model, '--models-dir', models_dir).strip() == EXPECTED[model]['saved_sha256']
    listed = cls(capsys, 'models', '--models-dir', models_dir)
    assert re.search(rf'^{model} +{EXPECTED[model]["steps"]} ', listed, re.MULTILINE)
    train = ('train', '--robot', 'gym:CartPole-v1', '--model', model, '--models-dir', models_dir)
    output = cls(capsys, *train, '--steps', '1', '--seed', '3')
    assert output.splitlines()[-1] == f'weights sha256 {EXPECTED[model]["next_step_sha256"]}'

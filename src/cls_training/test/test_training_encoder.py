"""`./cls encoder train`: from a recorded session to a trained encoder, and to a model that uses it."""

from dataclasses import replace
import json
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from cls_cli import entry
from cls_common import comms
from cls_common.errors import UserError
from cls_common.images import to_jpeg
from cls_common.robot import Channel, Kind, RobotInfo
from cls_common.transition import EMBEDDING
from cls_learning.brain import Input
from cls_perception import encoders
from cls_perception.settings import EncoderSettings
from cls_recording.definitions import installed
from cls_recording.session import SessionInfo
from cls_training.encoder_training.image_pairs import in_unit, read_image_pairs, robot_of
from cls_training.transition_reader import TransitionReader

NS = 1_000_000_000
STEPS = 70
ROBOT = RobotInfo(
    name='arm',
    modalities=('camera',),
    channels=(Channel('pan', Kind.RELATIVE, 'deg', -10.0, 10.0), Channel('lift', Kind.ABSOLUTE, 'deg', 0.0, 90.0)),
)


def shade(number: int) -> np.ndarray:
    """Makes image `number`, told apart by its brightness, which JPEG keeps."""
    return np.full((48, 64, 3), 20 + 3 * number % 200, np.uint8)


def record(path: Path, *, steps: int = STEPS, compressed: bool = True, robot: RobotInfo = ROBOT) -> Path:
    """Records a robot that sees image 2 i, acts, sees 2 i + 1 while it moves, and 2 i + 2 at rest."""
    types = installed().types
    path.parent.mkdir(parents=True, exist_ok=True)

    def stamp(time: int):
        return types['builtin_interfaces/msg/Time'](sec=time // NS, nanosec=time % NS)

    def image(number: int, time: int):
        header = types['std_msgs/msg/Header'](stamp=stamp(time), frame_id='camera')
        picture = shade(number)
        if compressed:
            return types[comms.COMPRESSED.type](header, 'jpeg', np.frombuffer(to_jpeg(picture), np.uint8))
        return types[comms.IMAGE.type](header, 48, 64, 'rgb8', 0, 192, picture.reshape(-1))

    def action(i: int, start: int):
        values, none = np.array([i % 20 - 10.0, 90.0 * (i % 2)], np.float32), np.zeros(0)
        return types[comms.APPLIED_ACTION.type](
            source='run', sequence=i, commanded=values, applied=values, joints_before=none, joints_after=none,
            start=stamp(start), end=stamp(start + NS // 2), error_code=0, error_msg='', reward=float('nan'),
            terminal=False, truncated=False,
        )  # fmt: skip

    picture = comms.COMPRESSED if compressed else comms.IMAGE
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for key, value in SessionInfo(name=path.name, robot=robot, total_steps=steps).to_custom_data().items():
            writer.set_custom_data(key, value)
        open_ = {
            t.name: writer.add_connection('/' + t.name, t.type, typestore=installed())
            for t in (picture, comms.APPLIED_ACTION)
        }

        def write(topic: comms.Topic, time: int, message: object) -> None:
            writer.write(open_[topic.name], time, installed().serialize_cdr(message, topic.type))

        for i in range(steps):
            at = (i + 1) * NS
            write(picture, at, image(2 * i, at))
            write(picture, at + NS // 4, image(2 * i + 1, at + NS // 4))
            write(comms.APPLIED_ACTION, at + NS // 2 + 2, action(i, at + 1))
        write(picture, (steps + 1) * NS, image(2 * steps, (steps + 1) * NS))
    return path


@pytest.fixture(scope='module')
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp('sessions') / 'arm' / 'first')


@pytest.mark.parametrize('compressed', [True, False])
def test_image_pairs_are_the_images_before_and_after_each_action(tmp_path, compressed):
    path = record(tmp_path / 'one', steps=12, compressed=compressed)
    counts: list[int] = []
    pairs = read_image_pairs([path], robot_of(path), 1000, counts.append)
    assert counts == list(range(1, 13))
    # Images taken during the motion belong to no step.
    assert pairs.images.shape == (13, 3, 96, 96)
    for i, (before, after) in enumerate(zip(pairs.before, pairs.after)):
        assert abs(int(pairs.images[before].float().mean()) - int(shade(2 * i).mean())) <= 2
        assert abs(int(pairs.images[after].float().mean()) - int(shade(2 * i + 2).mean())) <= 2
    assert pairs.actions[:2].tolist() == [[-1.0, -1.0], pytest.approx([-0.9, 1.0])]


def test_the_number_of_steps_is_limited_and_sessions_are_not_joined(tmp_path):
    paths = [record(tmp_path / name, steps=10) for name in ('one', 'two')]
    assert len(read_image_pairs(paths, ROBOT, 7).before) == 7
    both = read_image_pairs(paths, ROBOT, 1000)
    assert len(both.before) == 20 and both.before[10] == 11 and both.after[9] == 10


def test_sessions_of_another_robot_are_refused(tmp_path):
    other = RobotInfo(name='leg', modalities=('camera',), channels=ROBOT.channels[:1])
    with pytest.raises(UserError, match="expected robot 'arm'"):
        read_image_pairs([record(tmp_path / 'leg', steps=2, robot=other)], ROBOT, 10)


def test_a_model_learns_from_recordings_of_another_robot_only_when_that_is_accepted(session, tmp_path, capsys):
    twin = record(tmp_path / 'twin' / 'one', steps=6, robot=replace(ROBOT, name='twin'))
    model = ['--models-dir', str(tmp_path / 'models'), '--model', 'm']
    small = ['--set', 'network.slow_hidden=16', '--set', 'network.fast_hidden=16', '--encoder', 'early_resnet18']
    assert entry.main(['replay', str(session), str(twin), *model, *small]) == 2  # also of a new model
    assert "expected 'arm'; found 'twin'" in capsys.readouterr().err
    assert not (tmp_path / 'models').exists()
    assert entry.main(['replay', str(session), '--steps', '3', *model, *small]) == 0
    capsys.readouterr()
    for command in ('replay', 'play'):
        assert entry.main([command, str(twin), *model]) == 2
        said = capsys.readouterr().err
        assert "expected 'arm'; found 'twin'" in said and '--accept-robot' in said and said.count('\n') == 1
    assert entry.main(['replay', str(twin), '--accept-robot', *model]) == 0
    assert json.loads((tmp_path / 'models' / 'm' / 'config.json').read_text())['accepted_robots'] == ['twin']


def test_actions_come_in_units_of_their_range():
    assert in_unit(ROBOT, np.array([5.0, 90.0], np.float32)).tolist() == pytest.approx([0.5, 1.0])
    fixed = RobotInfo(name='rock', modalities=(), channels=(Channel('x', Kind.ABSOLUTE, '', 3.0, 3.0),))
    assert np.isfinite(in_unit(fixed, np.array([3.0], np.float32))).all()


def test_from_a_session_to_a_model_with_a_frozen_encoder(session, tmp_path, capsys):
    models, out = tmp_path / 'models', tmp_path / 'encoder.safetensors'
    common = ['encoder', 'train', str(session), '--models-dir', str(models)]
    trained = ['--encoder', 'joint_prediction', '--updates', '2', '--device', 'cpu', '--seed', '4']
    assert entry.main([*common, *trained, '--model', 'one', '--output', str(out)]) == 0
    said = capsys.readouterr().out
    config = json.loads((models / 'one' / 'config.json').read_text())
    assert (config['robot']['name'], config['seed']) == ('arm', 4)
    assert config['encoder']['training']['sessions'] == ['first']
    assert f'encoder {config["encoder"]["id"]}' in said and '--model one' in said

    stored = json.loads((models / 'one' / 'encoder' / 'config.json').read_text())
    encoder = encoders.load(stored, (models / 'one' / 'encoder' / 'weights.safetensors').read_bytes(), threads=1)
    assert encoder.id == config['encoder']['id']
    assert encoder.id == encoders.make(EncoderSettings(name='joint_prediction', weights=str(out), threads=1)).id
    reader = TransitionReader([session], ROBOT, [Input()], {EMBEDDING: (encoder.size,)}, encoder)
    steps = list(reader.transitions())
    assert len(steps) == STEPS and steps[0].z.shape == (512,)

    # The same encoder for a second model; the encoder of a model never changes.
    assert entry.main([*common, '--weights', str(out), '--model', 'two']) == 0
    assert json.loads((models / 'two' / 'config.json').read_text())['encoder']['id'] == encoder.id
    before = {file: file.read_bytes() for file in (models / 'one').rglob('*') if file.name.startswith('config')}
    assert entry.main([*common, *trained, '--model', 'one']) == 2
    assert 'a model keeps the encoder it was made with' in capsys.readouterr().err
    assert all(file.read_bytes() == content for file, content in before.items())


@pytest.mark.parametrize(
    ('asked', 'answer'),
    [
        (['--encoder', 'joint_prediction'], '--output FILE or --model NAME'),
        (['--output', 'x'], '--encoder NAME to be trained, or --weights'),
        (['--encoder', 'joint_prediction', '--weights', 'x', '--output', 'y'], '--encoder NAME to be trained'),
        (['--encoder', 'retina', '--output', 'x'], 'can not be trained'),
        (['--encoder', 'masked', '--output', 'x'], 'unknown encoder'),
        (['--weights', 'nowhere.safetensors', '--model', 'x'], 'nowhere.safetensors'),
    ],
)
def test_options_that_do_not_fit_are_one_line_of_error(session, tmp_path, capsys, monkeypatch, asked, answer):
    monkeypatch.chdir(tmp_path)
    assert entry.main(['encoder', 'train', str(session), *asked]) == 2
    said = capsys.readouterr().err
    assert answer in said and said.count('\n') == 1 and not (tmp_path / 'x').exists()


def test_training_with_an_untrained_encoder_names_the_command_that_trains_it(tmp_path, capsys):
    args = ['train', '--encoder', 'masked_autoencoder', '--steps', '1', '--models-dir', str(tmp_path), '--model', 'a']
    assert entry.main(args) == 2
    assert './cls encoder train SESSION --encoder masked_autoencoder --model NAME' in capsys.readouterr().err
    assert not (tmp_path / 'a' / 'config.json').exists()

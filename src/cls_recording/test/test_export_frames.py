"""`sessions export --format frames`: images before and after each step of a recorded session."""

from dataclasses import replace
from pathlib import Path
import sys

import click
import numpy as np
import pytest

from cls_cli.commands.sessions_export import command
from cls_common.errors import UserError
from cls_common.images import from_jpeg
from cls_common.robot import Channel, Kind
from cls_recording.export.frame_files import export_frames, FramesSummary

sys.path.insert(0, str(Path(__file__).parent))

from export_bags import BagMessages, colour, FRAME, picture, REACTION, ROBOT, START, walk


def assert_shows(path: Path, number: int, size: tuple[int, int] = (32, 48)) -> None:
    image = from_jpeg(path.read_bytes())
    assert image.shape == (*size, 3)
    np.testing.assert_allclose(image[16, 30].astype(int), colour(number), atol=10)
    np.testing.assert_allclose(image[16, 3].astype(int), 255, atol=10)


def rows(folder: Path) -> list[list[str]]:
    return [line.split(',') for line in (folder / 'index.csv').read_text().splitlines()]


@pytest.mark.parametrize('compressed', [False, True])
def test_without_experiences_steps_are_closed_by_the_rule_of_the_live_graph(tmp_path: Path, compressed: bool) -> None:
    output = tmp_path / 'frames'
    session = walk(3, compressed=compressed, make=lambda n: picture(n, 33, 47)).write(tmp_path / 'bag')
    assert export_frames([session], output) == FramesSummary(3, 0)
    # Step i acts on image 4 i and ends 1 ms after image 4 i + 1. A robot at rest still sees what it saw last.
    for i, (before, after) in enumerate([(0, 2), (2, 6), (6, 10)]):
        assert_shows(output / f'step_{i:06d}_before.jpg', before, (33, 47))
        assert_shows(output / f'step_{i:06d}_after.jpg', after, (33, 47))
    assert rows(output)[0] == ['step', 'action_d1', 'action_d2', 'timestamp']
    assert [row[:3] for row in rows(output)[1:]] == [
        [str(i), f'{i:.4f}', f'{-i / 2:.4f}'] for i in range(3)
    ]  # fmt: skip
    assert len(list(output.iterdir())) == 7


def test_several_sessions_become_a_folder_each(tmp_path: Path) -> None:
    one = walk(1).write(tmp_path / 'one')
    two = walk(2, start=START + 50 * FRAME).write(tmp_path / 'two')
    assert export_frames([one, two], tmp_path / 'frames') == FramesSummary(3, 0)
    assert len(rows(tmp_path / 'frames' / 'one')) == 2 and len(rows(tmp_path / 'frames' / 'two')) == 3
    with pytest.raises(UserError, match='sessions of one name'):
        export_frames([one, one], tmp_path / 'again')


def test_every_channel_has_a_column(tmp_path: Path) -> None:
    channels = tuple(Channel(name, Kind.RELATIVE, 'deg', -10.0, 10.0) for name in 'abc')
    recording = BagMessages(replace(ROBOT, channels=channels))
    recording.image(START, picture(0))
    recording.action(START + REACTION, (1.0, 2.0, 3.0), (0.0, 0.0))
    for number in (1, 2):
        recording.image(START + number * FRAME, picture(number))
    export_frames([recording.write(tmp_path / 'bag')], tmp_path / 'frames')
    assert [row[1:4] for row in rows(tmp_path / 'frames')] == [
        ['action_d1', 'action_d2', 'action_d3'], ['1.0000', '2.0000', '3.0000'],
    ]  # fmt: skip


def test_a_damaged_image_never_gives_its_place_to_another(tmp_path: Path) -> None:
    recording = walk(3, compressed=True)
    compressed = [fields for _, topic, _, fields in recording.messages if topic.endswith('compressed')]
    compressed[6]['data'] = compressed[6]['data'][:40]  # after step 1
    export_frames([recording.write(tmp_path / 'bag')], tmp_path / 'frames')
    for row in rows(tmp_path / 'frames')[1:]:
        # Whichever steps are left, each has its own action's images.
        i = round(float(row[1]))
        assert i != 1
        assert_shows(tmp_path / 'frames' / f'step_{int(row[0]):06d}_after.jpg', 4 * i + 2)


def test_what_can_not_be_exported_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    blind = BagMessages()
    blind.action(START, (1.0, 1.0), (0.0, 0.0))
    still = BagMessages()
    still.image(START, picture(0))
    nameless = walk(2)
    nameless.robot = None
    too_early = BagMessages()
    too_early.action(START, (1.0, 1.0), (0.0, 0.0))
    too_early.image(START + 2 * FRAME, picture(0))
    for name, recording, text in (
        ('blind', blind, 'camera/image_raw'), ('still', still, 'robot/applied_action'),
        ('nameless', nameless, 'robot/info'), ('too_early', too_early, 'no step can be exported'),
    ):  # fmt: skip
        with pytest.raises(UserError, match=text):
            export_frames([recording.write(tmp_path / name)], tmp_path / 'frames')
    (tmp_path / 'frames').mkdir()
    with pytest.raises(UserError, match='exists already'):
        export_frames([walk(1).write(tmp_path / 'whole')], tmp_path / 'frames')
    assert list((tmp_path / 'frames').iterdir()) == [] and list(tmp_path.glob('.*')) == []


def test_the_command_needs_no_further_packages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = str(walk(2).write(tmp_path / 'bag'))
    arguments = [session, '--format', 'frames', '--output', str(tmp_path / 'frames')]
    assert command.main(arguments, standalone_mode=False) == 0
    assert capsys.readouterr().out == f'{tmp_path / "frames"}: images of 2 steps\n'
    for option, value in (('--fps', '5'), ('--task', 'look')):
        with pytest.raises(UserError, match=option):
            command.main([*arguments, option, value], standalone_mode=False)
    with pytest.raises(click.UsageError):
        command.main([session, '--format', 'gif', '--output', str(tmp_path / 'x')], standalone_mode=False)

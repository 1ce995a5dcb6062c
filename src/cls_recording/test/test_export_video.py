"""Videos of `sessions export`, and the command itself."""

from fractions import Fraction
from pathlib import Path
import sys

import av
import click
import numpy as np
from numpy.typing import NDArray
import pytest

from cls_cli.commands.sessions_export import command
from cls_common.errors import UserError
from cls_recording.export.video import export_video, VideoFile

sys.path.insert(0, str(Path(__file__).parent))

from export_bags import BagMessages, colour, FRAME, NS, picture, START, walk

Images = NDArray[np.uint8]


def shown(path: Path) -> tuple[list[float], list[Images]]:
    with av.open(str(path)) as container:
        frames = [(frame.time, frame.to_ndarray(format='rgb24')) for frame in container.decode(video=0)]
    return [time for time, _ in frames], [image for _, image in frames]


def assert_shows(image: Images, number: int) -> None:
    np.testing.assert_allclose(image[16, 30].astype(int), colour(number), atol=4)
    np.testing.assert_allclose(image[16, 3].astype(int), 255, atol=4)


def test_images_are_shown_at_the_time_of_their_stamps(tmp_path: Path) -> None:
    recording, stamps = BagMessages(), [0, 50, 95, 160, 200, 700, 750]
    for number, stamp in enumerate(stamps):
        recording.image(START + stamp * 1_000_000, picture(number))
        if number == 3:  # as a simulator that waits shows its last image again
            recording.image(START + stamp * 1_000_000, picture(number))
    made = export_video([recording.write(tmp_path / 'bag')], tmp_path / 'video.mp4')
    times, images = shown(tmp_path / 'video.mp4')
    np.testing.assert_allclose(times, np.array(stamps) / 1000, atol=1e-4)
    for number, image in enumerate(images):
        assert_shows(image, number)
    assert made.frames == 7 and made.duration == pytest.approx(0.8)


def test_the_file_has_the_format_that_players_expect(tmp_path: Path) -> None:
    export_video([walk(3).write(tmp_path / 'bag')], tmp_path / 'video.mp4')
    with av.open(str(tmp_path / 'video.mp4')) as container:
        stream = container.streams.video[0]
        assert (stream.codec.canonical_name, stream.pix_fmt) == ('h264', 'yuv420p')
        assert float(stream.average_rate or 0) == pytest.approx(20)
        assert float(stream.duration * stream.time_base) == pytest.approx(13 / 20, abs=1e-3)
    content = (tmp_path / 'video.mp4').read_bytes()
    assert content.index(b'moov') < content.index(b'mdat')  # the index first: it plays while it loads


def test_a_given_rate_is_constant(tmp_path: Path) -> None:
    recording = BagMessages()
    for number in range(6):
        recording.image(START + number * number * FRAME, picture(number))
    made = export_video([recording.write(tmp_path / 'bag')], tmp_path / 'video.mp4', fps=25)
    np.testing.assert_allclose(shown(tmp_path / 'video.mp4')[0], np.arange(6) / 25, atol=1e-4)
    assert made.duration == pytest.approx(6 / 25)


def test_odd_sizes_padded_rows_and_bgr_are_read_correctly(tmp_path: Path) -> None:
    recording = BagMessages()
    for number in range(4):
        recording.image(
            START + number * FRAME, picture(number, 33, 47), encoding='bgr8' if number % 2 else 'rgb8', padding=number
        )
    export_video([recording.write(tmp_path / 'bag')], tmp_path / 'video.mp4')
    images = shown(tmp_path / 'video.mp4')[1]
    for number, image in enumerate(images):
        assert image.shape == (34, 48, 3)
        assert_shows(image, number)
        np.testing.assert_allclose(image[33, 47].astype(int), colour(number), atol=4)


def test_sessions_and_clocks_follow_each_other(tmp_path: Path) -> None:
    first, second = BagMessages(), BagMessages()
    for number in range(3):
        first.image(START + number * FRAME, picture(number))
    for number in range(3, 5):  # the clock was set back by 90 s, the recorder's own went on
        first.image(START - 90 * NS + number * FRAME, picture(number))
        time, *rest = first.messages[-1]
        first.messages[-1] = (time + 100 * NS, *rest)
    for number in range(2):
        second.jpeg(START + number * FRAME, picture(5 + number))
    bags = [first.write(tmp_path / 'first'), second.write(tmp_path / 'second')]
    export_video(bags, tmp_path / 'video.mp4')
    times, images = shown(tmp_path / 'video.mp4')
    np.testing.assert_allclose(times, np.arange(7) / 20, atol=1e-4)
    for number, image in enumerate(images):
        assert_shows(image, number)


def test_without_images_there_is_no_video(tmp_path: Path) -> None:
    recording = BagMessages()
    recording.action(START, (0, 0), (0, 0))
    with pytest.raises(UserError, match='holds no images'):
        export_video([walk(2).write(tmp_path / 'good'), recording.write(tmp_path / 'blind')], tmp_path / 'video.mp4')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['blind', 'good']


def test_a_failed_write_is_reported_once_and_ends_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='differ in size'), VideoFile(tmp_path / 'a.mp4', Fraction(20), 20) as video:
        video.write(picture(0))
        video.write(picture(0, 64, 64))
    assert len(shown(tmp_path / 'a.mp4')[0]) == 1


@pytest.mark.parametrize('form', ['mp4', 'lerobot'])
def test_the_command_prints_what_it_wrote(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    walk(3).write(tmp_path / 'sessions/pan_tilt/one')
    walk(2).write(tmp_path / 'sessions/pan_tilt/two')
    output = tmp_path / 'made'
    asked = [str(tmp_path / 'sessions/pan_tilt'), '--format', form, '--output', str(output)]
    assert command.main(asked, standalone_mode=False) == 0
    said = '22 images, 1.1 s' if form == 'mp4' else '5 steps in 2 episodes, 5 fps'
    assert said in capsys.readouterr().out
    assert output.exists()


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--format', 'avi'], "'avi' is not one of"),
        (['--format', 'mp4', '--fps', '0'], '0 is not in the range'),
        (['--format', 'mp4', '--task', 'Look.'], '--task; expected --format lerobot'),
        (['--format', 'mp4'], 'expected a session, or a folder of sessions'),
    ],
)
def test_wrong_options_are_one_error(options: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises((UserError, click.ClickException)) as caught:
        command.main([str(tmp_path), *options, '--output', str(tmp_path / 'made')], standalone_mode=False)
    assert words in str(caught.value)
    assert not (tmp_path / 'made').exists()


def test_broken_images_are_left_out_and_counted(tmp_path: Path) -> None:
    recording = BagMessages()
    for number in range(6):
        recording.jpeg(START + number * 100_000_000, picture(number))
    for place, size in ((1, 0), (3, -9)):
        time, topic, kind, fields = recording.messages[place]
        recording.messages[place] = (time, topic, kind, fields | {'data': fields['data'][:size]})
    made = export_video([recording.write(tmp_path / 'bag')], tmp_path / 'video.mp4')
    assert (made.frames, made.broken) == (4, 2)
    times, images = shown(tmp_path / 'video.mp4')
    np.testing.assert_allclose(times, [0.0, 0.2, 0.4, 0.5], atol=1e-4)
    for number, image in zip((0, 2, 4, 5), images):
        np.testing.assert_allclose(image[16, 30].astype(int), colour(number), atol=8)  # twice compressed

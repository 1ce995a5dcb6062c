"""Images of steps as files: named by step, whole, paired by the stamps that the step names."""

from datetime import datetime
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest

from cls_common.errors import UserError
from cls_common.images import from_jpeg, Image
from cls_common.transition import CAMERA, EMBEDDING, Experience, Observation, Reading, Transition
from cls_recording.step_frames import FrameFolder, HELD, StepFrames

NOW = datetime(2025, 1, 2, 3, 4, 5)
RECEIVED = int(NOW.timestamp() * 1e9)


def picture(number: int) -> Image:
    return np.full((60, 80, 3), (20 + 2 * number, 200 - 2 * number, 90), np.uint8)


def shown(path: Path) -> Image:
    return from_jpeg(path.read_bytes())


def rows(folder: Path) -> list[str]:
    return (folder / 'index.csv').read_text().splitlines()


def observe(stamp: int, name: str = EMBEDDING) -> Observation:
    size = (8, 8, 3) if name == CAMERA else (4,)
    reading = Reading(np.zeros(size, np.uint8 if name == CAMERA else np.float32), stamp)
    return Observation({'pose': Reading(np.zeros(2, np.float32), stamp + 3), name: reading})


def step(sequence: int, before: Observation, after: Observation, action: tuple[float, ...] = (1.0,)) -> Experience:
    values = np.array(action, np.float32)
    t = Transition(
        before=before, after=after, action_commanded=values, action_applied=values, joints=np.zeros(0),
        joints_next=np.zeros(0), boundary=False,
    )  # fmt: skip
    return Experience(transition=t, sequence=sequence, episode=0)


def whole(image: Image) -> Image:
    if image.size == 0:
        raise UserError('image')
    return image


@pytest.fixture
def frames(tmp_path: Path) -> StepFrames[Image]:
    return StepFrames(tmp_path / 'frames', whole)


def test_names_quality_and_every_channel_are_written_and_a_folder_is_continued(tmp_path: Path) -> None:
    image = picture(0)
    image[:, 40:] = (200, 80, 80)
    for number in (0, 123):
        files = FrameFolder(tmp_path / 'frames')
        files.write(number, [1.23456, -10.0, 2.0], image, image[:, ::-1], NOW)
        files.close()
    assert sorted(path.name for path in (tmp_path / 'frames').iterdir()) == [
        'index.csv', 'step_000000_after.jpg', 'step_000000_before.jpg', 'step_000123_after.jpg',
        'step_000123_before.jpg',
    ]  # fmt: skip
    assert rows(tmp_path / 'frames') == [
        'step,action_d1,action_d2,action_d3,timestamp', '0,1.2346,-10.0000,2.0000,2025-01-02 03:04:05',
        '123,1.2346,-10.0000,2.0000,2025-01-02 03:04:05',
    ]  # fmt: skip
    before, after = (shown(tmp_path / 'frames' / f'step_000123_{when}.jpg') for when in ('before', 'after'))
    assert before.shape == image.shape and np.abs(before.astype(int) - image)[:, [5, 75]].max() < 12
    assert np.abs(after.astype(int) - image[:, ::-1])[:, [5, 75]].max() < 12


def test_a_row_that_was_cut_off_is_removed(tmp_path: Path) -> None:
    for number in (4, 5):
        files = FrameFolder(tmp_path)
        files.write(number, [1.0], picture(0), picture(1), NOW)
        files.close()
        with (tmp_path / 'index.csv').open('ab') as index:
            index.write(b'6,1.0')
    assert rows(tmp_path)[1:] == ['4,1.0000,2025-01-02 03:04:05', '5,1.0000,2025-01-02 03:04:05', '6,1.0']


def test_an_index_with_other_columns_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    old = b'step,action_d1,action_d2,timestamp\r\n0,1.0000,0.0000,2025-01-01 00:00:00\r\n'
    (tmp_path / 'index.csv').write_bytes(old)
    files = FrameFolder(tmp_path)
    files.write(1, [2.0], picture(0), picture(1), NOW)
    files.close()
    assert (tmp_path / 'index_old.csv').read_bytes() == old
    assert rows(tmp_path) == ['step,action_d1,timestamp', '1,2.0000,2025-01-02 03:04:05']


@pytest.mark.parametrize('name', [EMBEDDING, CAMERA])
@pytest.mark.parametrize('step_at', [0, 1, 2])
def test_a_step_gets_the_images_it_names_whatever_comes_first(
    frames: StepFrames[Image], tmp_path: Path, name: str, step_at: int
) -> None:
    # Stamps 10 apart; between before and after lies an image of the motion.
    events = [lambda n=n: frames.add_image(10 * n, picture(n), RECEIVED) for n in (1, 2, 3)]
    events.insert(step_at, lambda: frames.add_step(step(8, observe(10, name), observe(30, name))))
    for event in events:
        event()
    frames.add_image(40, picture(40), RECEIVED)
    frames.close()
    assert (frames.written, frames.missing) == (1, 0)
    for when, number in (('before', 1), ('after', 3)):
        image = shown(tmp_path / 'frames' / f'step_000007_{when}.jpg')
        assert image.shape == (60, 80, 3)  # the camera's size, not that of what was perceived
        np.testing.assert_allclose(image[30, 40].astype(int), picture(number)[30, 40], atol=2)
    assert rows(tmp_path / 'frames')[1:] == ['7,1.0000,2025-01-02 03:04:05']


def test_steps_without_their_images_are_counted_and_the_others_written(
    frames: StepFrames[Image], tmp_path: Path
) -> None:
    frames.add_image(0, picture(0), RECEIVED)
    frames.add_step(step(1, observe(0), observe(5)))  # 5 was lost
    frames.add_image(10, np.zeros(0, np.uint8), RECEIVED)  # damaged
    frames.add_step(step(2, observe(0), observe(10)))
    frames.add_image(20, picture(2), RECEIVED)
    frames.add_step(step(3, observe(0), observe(20)))
    assert (frames.written, frames.missing) == (1, 1)
    for number in range(HELD):
        frames.add_image(30 + 10 * number, picture(3), RECEIVED)
    assert frames.missing == 2  # without a wait that does not end
    frames.add_step(step(4, observe(20), observe(10**6)))
    frames.close()
    assert (frames.written, frames.missing) == (1, 3)
    assert [row.split(',')[0] for row in rows(tmp_path / 'frames')] == ['step', '2']


def test_steps_wait_in_a_bounded_number_where_no_image_ever_comes(frames: StepFrames[Image], tmp_path: Path) -> None:
    for number in range(3 * HELD):
        frames.add_step(step(number + 1, observe(10 * number), observe(10 * number + 10)))
    assert frames.missing == 2 * HELD and not (tmp_path / 'frames').exists()


# Writes steps as fast as it can and prints each.
WRITER = """
import datetime, itertools, pathlib, sys
import numpy as np
from cls_recording.step_frames import FrameFolder

image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
files = FrameFolder(pathlib.Path(sys.argv[1]))
for number in itertools.count():
    files.write(number, [0.0], image, image, datetime.datetime.now())
    print(number, flush=True)
"""


@pytest.mark.parametrize('steps', [1, 2, 5])
def test_a_process_that_is_killed_leaves_whole_images_and_rows_only_of_steps_that_have_both(
    tmp_path: Path, steps: int
) -> None:
    child = subprocess.Popen([sys.executable, '-c', WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    for _ in range(steps):
        child.stdout.readline()
    child.kill()
    child.wait()
    child.stdout.close()
    for path in tmp_path.glob('step_*.jpg'):
        assert shown(path).shape == (480, 640, 3)
    numbers = [int(row.split(',')[0]) for row in rows(tmp_path)[1:]]
    assert numbers == list(range(len(numbers))) and len(numbers) >= steps
    for number in numbers:
        assert {path.name for path in tmp_path.glob(f'step_{number:06d}_*')} == {
            f'step_{number:06d}_before.jpg', f'step_{number:06d}_after.jpg',
        }  # fmt: skip

"""Contract of all image sources, and the camera reader."""

import itertools
import os
from pathlib import Path
import struct
import threading
import time

import cv2
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_perception import cameras
from cls_perception.camera import Camera, CameraLostError
from cls_perception.camera_reader import CameraReader, StreamStatus
from cls_perception.cameras.device import DeviceCamera
from cls_perception.repeated_frames import RepeatedFrames
from cls_perception.settings import CameraSettings
from cls_perception.video_clock import VideoClock

COUNT = 6
HEIGHT, WIDTH = 48, 64


def picture(number: int) -> np.ndarray:
    """Frame `number` of a video, encoded in its red channel."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[..., 0] = 40 * number + 20
    return image


def number_of(image: np.ndarray) -> int:
    return round((float(image[..., 0].mean()) - 20) / 40)


class FakeCapture:
    """Replaces OpenCV's capture of a device: endless frames, properties, and faults on demand."""

    def __init__(self, refuses: tuple[int, ...] = ()) -> None:
        self.values = {cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_EXPOSURE: 157.0, cv2.CAP_PROP_GAIN: 3.0}
        self.values[cv2.CAP_PROP_WB_TEMPERATURE] = 4600.0
        self.refuses = refuses
        self.set_calls: list[tuple[int, float]] = []
        self.opened = self.alive = True
        self.frames = 0

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return self.opened

    def get(self, key):
        return self.values.get(key, -1.0)

    def set(self, key, value):
        self.set_calls.append((key, value))
        if key in self.refuses:
            return False
        self.values[key] = value
        return True

    def grab(self):
        self.frames += self.alive
        return self.alive

    def retrieve(self):
        return True, picture((self.frames - 1) % COUNT)[..., ::-1]

    def release(self):
        self.opened = False


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / 'video.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 25.0, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for number in range(COUNT):
        writer.write(picture(number)[..., ::-1])
    writer.release()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / 'images'
    path.mkdir()
    (path / 'notes.txt').write_text('not an image')
    for number in range(COUNT):
        cv2.imwrite(str(path / f'{number:03}.png'), picture(number)[..., ::-1])
    return path


@pytest.fixture(params=cameras.KINDS)
def camera(request: pytest.FixtureRequest, video: Path, folder: Path) -> Camera:
    if request.param == 'device':
        made: Camera = DeviceCamera(CameraSettings(source='0'), lambda source: FakeCapture())
    else:
        source = {'video': video, 'folder': folder}[request.param]
        made = cameras.make(CameraSettings(source=str(source)))
    made.open()
    request.addfinalizer(made.close)
    return made


def test_frames_come_in_order_and_are_repeated(camera):
    numbers = []
    for _ in range(2 * COUNT + 1):
        assert camera.grab()
        image = camera.retrieve()
        assert (image.dtype, image.shape) == (np.uint8, (HEIGHT, WIDTH, 3))
        assert image[..., 1:].max() < 30  # red is red, not blue
        numbers.append(number_of(image))
    assert numbers == [n % COUNT for n in range(2 * COUNT + 1)]
    assert camera.own_rate > 0


def test_can_be_closed_twice_and_opened_again(camera):
    camera.close()
    camera.close()
    camera.open()
    assert camera.grab()
    assert camera.retrieve() is not None


def test_a_file_that_is_not_looped_ends(video, folder):
    for source in (video, folder):
        camera = cameras.make(CameraSettings(source=str(source), loop=False))
        camera.open()
        assert [camera.grab() for _ in range(COUNT + 2)] == [True] * COUNT + [False, False]


def test_files_are_resized_to_the_configured_size(video, folder):
    for source in (video, folder):
        camera = cameras.make(CameraSettings(source=str(source), width=32, height=20))
        camera.open()
        camera.grab()
        assert camera.retrieve().shape == (20, 32, 3)


@pytest.mark.parametrize('source', ['97', '/dev/video97', '/dev/v4l/by-id/none', 'no/such/video.mp4', ''])
def test_a_missing_camera_is_an_error_that_lists_the_devices(source):
    with pytest.raises(UserError, match=r'/dev/video|no /dev') as caught:
        cameras.make(CameraSettings(source=source)).open()
    assert repr(source) in str(caught.value)


def test_an_invalid_video_and_an_empty_folder_are_errors(tmp_path):
    (tmp_path / 'video.mp4').write_bytes(b'text')
    (tmp_path / 'empty').mkdir()
    for name in ('video.mp4', 'empty'):
        with pytest.raises(UserError, match=name):
            cameras.make(CameraSettings(source=str(tmp_path / name))).open()


def test_a_damaged_image_is_skipped(folder):
    (folder / '001.png').write_bytes(b'torn')
    camera = cameras.make(CameraSettings(source=str(folder)))
    camera.open()
    images = [camera.retrieve() for _ in range(3) if camera.grab()]
    assert [image is None for image in images] == [False, True, False]


def test_lost_files_are_detected(video, folder):
    for source in (video, folder):
        camera = cameras.make(CameraSettings(source=str(source)))
        camera.open()
        source.rename(source.with_name(f'gone {source.name}'))
        with pytest.raises(CameraLostError):
            for _ in range(COUNT + 1):
                camera.grab()


def test_an_unreadable_image_is_skipped_and_noted(read, folder):
    (folder / '001.png').unlink()
    (folder / '001.png').symlink_to(folder / 'gone.png')
    (folder / '002.png').write_bytes(b'torn')
    (folder / '003.png').unlink()
    (folder / '003.png').mkdir()
    os.mkfifo(folder / '0035.png')
    reading = read(cameras.make(CameraSettings(source=str(folder), frame_rate=200.0)))
    reading.until(lambda: len(reading.frames) >= 9)
    assert [number for number, _ in reading.frames[:9]] == [0, 4, 5] * 3
    stream = reading.reader.stream
    assert (stream.problem, stream.lost) == ('', 0)
    assert stream.damaged >= 8
    assert stream.notes[0].startswith('4 images can not be read, such as 001.png: ')
    assert stream.health(time.monotonic())[0] == 1


def test_a_repaired_image_is_no_longer_noted(folder):
    whole = (folder / '001.png').read_bytes()
    (folder / '001.png').write_bytes(b'torn')
    camera = cameras.make(CameraSettings(source=str(folder)))
    camera.open()
    for _ in range(COUNT):
        camera.grab()
        camera.retrieve()
    assert camera.notes
    (folder / '001.png').write_bytes(whole)
    for _ in range(2):
        camera.grab()
        assert camera.retrieve() is not None
    assert camera.notes == []


def write_video(path: Path, times: list[int]) -> None:
    """Writes an MP4 with frames at these times, ms, by replacing the durations of a 25 Hz video."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), 25.0, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for number in range(len(times)):
        writer.write(picture(number)[..., ::-1])
    writer.release()
    data = path.read_bytes().replace(b'edts', b'free')  # which would limit the video to its old duration
    at = data.index(b'stts') - 4
    size = number_at(data, at)
    gaps = [later - time for time, later in itertools.pairwise(times)] + [40]
    rows = b''.join(struct.pack('>II', 1, gap * number_at(data, at + 20) // 40) for gap in gaps)
    table = struct.pack('>I4sII', 16 + len(rows), b'stts', 0, len(gaps)) + rows
    head = bytearray(data[:at])
    for name in (b'moov', b'trak', b'mdia', b'minf', b'stbl'):
        start = head.rindex(name) - 4
        head[start : start + 4] = struct.pack('>I', number_at(head, start) + len(table) - size)
    path.write_bytes(bytes(head) + table + data[at + size :])


def number_at(data: bytes | bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 4], 'big')


TIMES = [0, 40, 80, 480, 520, 1000]


def test_the_times_of_a_video_are_those_of_its_frames(tmp_path):
    write_video(tmp_path / 'video.mp4', TIMES)
    camera = cameras.make(CameraSettings(source=str(tmp_path / 'video.mp4')))
    camera.open()
    for _ in range(2):
        times = []
        for _ in TIMES:
            assert camera.grab()
            times.append(round(1000 * camera.frame_time))
        assert times == TIMES
    camera.close()


def test_a_video_of_variable_frame_rate_is_played_at_its_own_times(read, tmp_path):
    write_video(tmp_path / 'video.mp4', TIMES)
    reading = read(cameras.make(CameraSettings(source=str(tmp_path / 'video.mp4'))))
    reading.until(lambda: len(reading.frames) >= len(TIMES))
    stamps = [stamp for _, stamp in reading.frames[: len(TIMES)]]
    assert [number for number, _ in reading.frames[: len(TIMES)]] == list(range(len(TIMES)))
    # A busy machine delays frames.
    assert stamps[3] - stamps[0] > 0.3e9
    assert stamps[5] - stamps[0] > 0.85e9


@pytest.mark.parametrize('gaps', [[0.5, 0.01, 3.0], [1.0]])
def test_a_video_clock_keeps_the_intervals_and_continues_at_a_repetition(gaps):
    clock, now, shown = VideoClock(), 100.0, []
    times = [0.0, *itertools.accumulate(gaps)]
    for frame_time in times * 2:
        now = max(now, clock.due(frame_time, now))
        shown.append(now)
    assert np.diff(shown).tolist() == pytest.approx([*gaps, gaps[-1], *gaps])


def test_a_video_clock_does_not_catch_up_after_a_long_delay():
    clock = VideoClock()
    assert clock.due(0.0, 100.0) == 100.0
    assert clock.due(0.1, 100.3) == pytest.approx(100.1), 'a little late: the video catches up'
    assert clock.due(0.2, 160.0) == 160.0
    assert clock.due(0.3, 160.0) == pytest.approx(160.1)


class FrozenDriver(FakeCapture):
    """A device that repeats one frame once it is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.is_frozen = False

    def grab(self):
        threading.Event().wait(0.005)
        self.frames += not self.is_frozen
        return True


def test_a_device_that_repeats_its_last_frame_is_a_fault_and_delivers_nothing(read):
    driver = FrozenDriver()
    reading = read(DeviceCamera(CameraSettings(source='0', frame_rate=0.0), lambda source: driver))
    reading.until(lambda: len(reading.frames) > 3)
    driver.is_frozen = True
    reading.until(lambda: reading.reader.stream.repeated >= 10)
    level, text = reading.reader.stream.health(time.monotonic())
    assert level == 2 and 'same frame' in text
    numbers = [number for number, _ in reading.frames]
    assert all(len(list(run)) <= 2 for _, run in itertools.groupby(numbers)), 'the third and later are withheld'
    assert reading.reader.stream.withheld >= 8
    driver.is_frozen = False
    seen = len(reading.frames)
    reading.until(lambda: len(reading.frames) > seen + 2)
    assert reading.reader.stream.health(time.monotonic())[0] == 0


def test_a_source_without_noise_may_repeat_its_frames(read, folder):
    driver = FrozenDriver()
    driver.frames, driver.is_frozen = 1, True
    virtual = read(DeviceCamera(CameraSettings(source='0', noiseless=True, frame_rate=0.0), lambda source: driver))
    for path in folder.glob('*.png'):
        path.write_bytes((folder / '000.png').read_bytes())
    files = read(cameras.make(CameraSettings(source=str(folder), frame_rate=200.0)))
    for reading in (virtual, files):
        reading.until(lambda reading=reading: len(reading.frames) >= 6)
        assert reading.reader.stream.health(time.monotonic())[0] == 0


def test_one_changed_pixel_makes_a_different_frame():
    repeats = RepeatedFrames()
    first, second = picture(1), picture(1)
    second[3, 4, 2] += 1
    assert [repeats.add(image) for image in (first, first.copy(), first, first, second, first)] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]


def test_a_device_with_a_new_path_is_found_by_its_stable_name(tmp_path):
    (tmp_path / 'video0').touch()
    link = tmp_path / 'by-id' / 'usb-camera'
    link.parent.mkdir()
    link.symlink_to(tmp_path / 'video0')
    asked: list[str] = []
    settings = CameraSettings(source=str(tmp_path / 'video0'))
    camera = DeviceCamera(settings, lambda source: asked.append(source) or FakeCapture(), link.parent)
    for _ in range(2):
        camera.open()
    assert asked == [settings.source, str(link)]


def device(driver: FakeCapture, **values: object) -> DeviceCamera:
    camera = DeviceCamera(CameraSettings(**{'source': '0', **values}), lambda source: driver)
    camera.open()
    return camera


def test_exposure_is_fixed_with_automatic_mode_off_first():
    driver = FakeCapture()
    camera = device(driver, frame_rate=0.0)
    assert camera.lock()
    assert camera.notes == []
    assert driver.set_calls.index((cv2.CAP_PROP_AUTO_EXPOSURE, 1.0)) < driver.set_calls.index(
        (cv2.CAP_PROP_EXPOSURE, 157.0)
    )
    assert (cv2.CAP_PROP_AUTO_WB, 0.0) in driver.set_calls
    assert {(cv2.CAP_PROP_GAIN, 3.0), (cv2.CAP_PROP_WB_TEMPERATURE, 4600.0)} <= set(driver.set_calls)


def test_settings_that_a_driver_refuses_are_noted():
    driver = FakeCapture(refuses=(cv2.CAP_PROP_GAIN, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_AUTO_WB))
    camera = device(driver, width=640)
    camera.lock()
    assert camera.notes == [
        'width 640 requested, -1 set',
        'the driver can not fix gain',
        'the driver can not fix white balance',
    ]


def test_exposure_is_restored_after_the_device_was_lost():
    drivers = [FakeCapture(), FakeCapture()]
    drivers[1].values[cv2.CAP_PROP_EXPOSURE] = 20.0  # what automatic chose in the dark
    coming = iter(drivers)
    camera = DeviceCamera(CameraSettings(source='0'), lambda source: next(coming))
    camera.open()
    camera.lock()
    camera.close()
    camera.open()
    assert drivers[1].values[cv2.CAP_PROP_EXPOSURE] == 157.0


class ReaderRecorder:
    """A camera reader with the frames it delivered."""

    def __init__(self, camera: Camera, take: bool = True) -> None:
        self.frames: list[tuple[int, int]] = []
        self.changed = threading.Condition()
        self.taking = take
        self.reader = CameraReader(camera, time.monotonic_ns, self.on_frame)

    def on_frame(self) -> None:
        frame = self.reader.take() if self.taking else None
        with self.changed:
            if frame:
                self.frames.append((number_of(frame.image), frame.stamp))
            self.changed.notify_all()

    def until(self, condition, timeout=20.0):
        end = time.monotonic() + timeout
        with self.changed:
            while not condition():
                assert time.monotonic() < end, f'{self.reader.stream}, {len(self.frames)} frames'
                self.changed.wait(0.02)


@pytest.fixture
def read(request: pytest.FixtureRequest):
    def start(camera: Camera, take: bool = True) -> ReaderRecorder:
        camera.open()
        reading = ReaderRecorder(camera, take)
        reading.reader.start()
        request.addfinalizer(lambda: (reading.reader.stop(), camera.close()))
        return reading

    return start


def test_files_are_read_at_the_requested_rate(read, folder):
    reading = read(cameras.make(CameraSettings(source=str(folder), frame_rate=50.0)))
    reading.until(lambda: len(reading.frames) >= 26)
    numbers, stamps = zip(*reading.frames[:26])
    assert list(numbers) == [n % COUNT for n in range(26)]
    assert list(stamps) == sorted(stamps)
    assert 0.4 < (stamps[25] - stamps[0]) / 1e9 < 3.0  # 25 periods of 20 ms, on a machine that may be busy
    assert reading.reader.stream.health(time.monotonic())[0] == 0


def test_frames_of_a_device_faster_than_requested_are_dropped(read):
    class Fast(FakeCapture):
        def grab(self):
            threading.Event().wait(0.002)
            return super().grab()

    camera = DeviceCamera(CameraSettings(source='0', frame_rate=20.0, lock_exposure=False), lambda source: Fast())
    reading = read(camera)
    reading.until(lambda: len(reading.frames) >= 10)
    seconds = (reading.frames[9][1] - reading.frames[0][1]) / 1e9
    assert seconds > 0.4  # 9 periods of 50 ms, not of 2 ms


def test_the_newest_frame_wins_and_the_rest_is_counted(read, folder):
    reading = read(cameras.make(CameraSettings(source=str(folder), frame_rate=200.0)), take=False)
    reading.until(lambda: reading.reader.stream.frames >= 10)
    assert reading.reader.stop()
    stream = reading.reader.stream
    frame = reading.reader.take()
    assert number_of(frame.image) == (stream.frames - 1) % COUNT
    assert stream.overwritten == stream.frames - 1
    assert reading.reader.take() is None


def test_a_lost_source_is_said_and_opened_again_when_it_is_back(read, folder):
    reading = read(cameras.make(CameraSettings(source=str(folder), frame_rate=100.0)))
    reading.until(lambda: len(reading.frames) > COUNT)
    away = folder.with_name('away')
    folder.rename(away)
    reading.until(lambda: reading.reader.stream.problem)
    level, text = reading.reader.stream.health(time.monotonic())
    assert level == 2 and str(folder) in text
    seen = len(reading.frames)
    away.rename(folder)
    reading.until(lambda: len(reading.frames) > seen + COUNT)
    stream = reading.reader.stream
    assert (stream.problem, stream.lost) == ('', 1)


def test_a_lost_device_is_reopened_with_its_fixed_settings(read):
    drivers: list[FakeCapture] = []

    def plug(source: str) -> FakeCapture:
        drivers.append(FakeCapture())
        return drivers[-1]

    reading = read(DeviceCamera(CameraSettings(source='0', frame_rate=100.0, warm_up=0.0), plug))
    reading.until(lambda: reading.reader.stream.is_locked and reading.frames)
    drivers[0].alive = False
    reading.until(lambda: len(drivers) == 2 and drivers[1].frames > 2)
    assert not drivers[0].opened
    assert (cv2.CAP_PROP_EXPOSURE, 157.0) in drivers[1].set_calls
    assert reading.reader.stream.lost == 1


def test_a_bug_in_a_driver_does_not_end_the_thread_in_silence(read, folder):
    camera = cameras.make(CameraSettings(source=str(folder), frame_rate=100.0))
    reading = read(camera)
    reading.until(lambda: reading.frames)
    good, camera.retrieve = camera.retrieve, lambda: 1 // 0
    reading.until(lambda: 'ZeroDivisionError' in reading.reader.stream.problem)
    camera.retrieve = good
    seen = len(reading.frames)
    reading.until(lambda: len(reading.frames) > seen)
    assert not reading.reader.stream.problem, 'frames come again, so nothing is wrong any more'


def test_the_end_of_a_video_is_a_warning(read, video):
    reading = read(cameras.make(CameraSettings(source=str(video), frame_rate=200.0, loop=False)))
    reading.until(lambda: reading.reader.stream.ended)
    assert len(reading.frames) == COUNT
    level, text = reading.reader.stream.health(time.monotonic())
    assert level == 1 and '`loop`' in text


def test_a_missing_frame_is_a_fault_after_the_timeout():
    stream = StreamStatus(since=100.0, timeout=2.0, rate=30.0)
    assert stream.health(101.9) == (0, '30.0 frames a second.')
    assert stream.health(102.5)[0] == 2
    assert StreamStatus(since=100.0, timeout=2.0, notes=('the driver can not fix gain',)).health(101.0) == (
        1,
        'the driver can not fix gain.',
    )

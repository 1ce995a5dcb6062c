"""Files of `sessions export --format lerobot`, compared with files that lerobot 0.6.1 writes."""

from collections.abc import Callable
from dataclasses import replace
import json
import math
import os
from pathlib import Path
import resource
import sys
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cls_common.errors import UserError
from cls_common.robot import Channel, Kind, RobotInfo
from cls_recording.export.lerobot import DatasetSummary, export_lerobot
from cls_recording.export.lerobot_files import DatasetFiles
from cls_recording.export.lerobot_schema import columns
from cls_recording.export.timeline import RecordedStep

sys.path.insert(0, str(Path(__file__).parent))

from export_bags import BagMessages, colour, picture, REACTION, ROBOT, START, STEP, walk

CAMERA = 'observation.images.camera'
FIGURES = ['count', 'max', 'mean', 'min', 'q01', 'q10', 'q50', 'q90', 'q99', 'std']


def rows(folder: Path, file: int = 0) -> dict[str, list[Any]]:
    return pq.read_table(folder / f'data/chunk-000/file-{file:03d}.parquet').to_pydict()


def episodes(folder: Path) -> dict[str, list[Any]]:
    return pq.read_table(folder / 'meta/episodes/chunk-000/file-000.parquet').to_pydict()


def seen(folder: Path, file: int = 0) -> list[tuple[float, tuple[int, ...]]]:
    """Returns time and colour of each frame of a video."""
    with av.open(str(folder / f'videos/{CAMERA}/chunk-000/file-{file:03d}.mp4')) as container:
        return [(frame.time, tuple(frame.to_ndarray(format='rgb24')[16, 30])) for frame in container.decode(video=0)]


def assert_colour(found: tuple[int, ...], number: int) -> None:
    np.testing.assert_allclose(np.array(found, int), colour(number), atol=4)


@pytest.fixture(scope='module')
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DatasetSummary]:
    folder = tmp_path_factory.mktemp('dataset')
    first = walk(12, rewards=True).write(folder / 'first')
    second = walk(6, rewards=True).write(folder / 'second')
    return folder / 'made', export_lerobot([first, second], folder / 'made', task='Look around.')


def test_a_row_holds_observation_action_and_reward(exported: tuple[Path, DatasetSummary]) -> None:
    found = rows(exported[0])
    numbers = [*range(12), *range(6)]
    np.testing.assert_allclose(found['action'], [(i, -i / 2) for i in numbers])
    np.testing.assert_allclose(found['observation.state'], [(0.1 * i, -0.05 * i) for i in numbers], atol=1e-6)
    np.testing.assert_allclose(found['next.reward'], [0.5 * i for i in numbers])
    assert found['stamp_ns'] == [START + REACTION + i * STEP for i in numbers]
    np.testing.assert_allclose(found['timestamp'], [i / 5 for i in numbers], atol=1e-6)
    assert found['frame_index'] == numbers
    assert found['episode_index'] == [0] * 12 + [1] * 6
    assert found['index'] == list(range(18))
    assert found['task_index'] == [0] * 18
    assert not any(found['next.done']) and not any(found['next.truncated'])


def test_the_image_of_a_row_is_the_newest_before_the_action(exported: tuple[Path, DatasetSummary]) -> None:
    frames = seen(exported[0])
    assert len(frames) == 18
    for row, (number, (time, found)) in enumerate(zip([*range(12), *range(6)], frames)):
        assert time == pytest.approx(row / 5)
        assert_colour(found, 4 * number)


def test_the_files_are_those_of_lerobot(exported: tuple[Path, DatasetSummary]) -> None:
    folder = exported[0]
    assert {str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file()} == {
        'README.md',
        'data/chunk-000/file-000.parquet',
        'meta/episodes/chunk-000/file-000.parquet',
        'meta/info.json',
        'meta/stats.json',
        'meta/tasks.parquet',
        f'videos/{CAMERA}/chunk-000/file-000.mp4',
    }
    pair = pa.list_(pa.float32(), 2)
    assert dict(zip(*(lambda s: (s.names, s.types))(pq.read_schema(folder / 'data/chunk-000/file-000.parquet')))) == {
        'observation.state': pair,
        'action': pair,
        'next.reward': pa.float32(),
        'next.done': pa.bool_(),
        'next.truncated': pa.bool_(),
        'stamp_ns': pa.int64(),
        'timestamp': pa.float32(),
        'frame_index': pa.int64(),
        'episode_index': pa.int64(),
        'index': pa.int64(),
        'task_index': pa.int64(),
    }
    tasks = pq.read_table(folder / 'meta/tasks.parquet')
    assert tasks.to_pydict() == {'task_index': [0], 'task': ['Look around.']}
    # pandas, used by lerobot, makes the text the index only with this metadata.
    assert json.loads(tasks.schema.metadata[b'pandas'])['index_columns'] == ['task']


def test_info_and_episodes_give_the_place_of_all_data(exported: tuple[Path, DatasetSummary]) -> None:
    info = json.loads((exported[0] / 'meta/info.json').read_text())
    features = info.pop('features')
    assert info == {
        'codebase_version': 'v3.0',
        'robot_type': 'pan_tilt',
        'fps': 5,
        'total_episodes': 2,
        'total_frames': 18,
        'total_tasks': 1,
        'chunks_size': 1000,
        'data_files_size_in_mb': 100,
        'video_files_size_in_mb': 200,
        'splits': {'train': '0:2'},
        'data_path': 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet',
        'video_path': 'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4',
    }
    assert features['action'] == {'dtype': 'float32', 'shape': [2], 'names': ['pan', 'tilt']}
    assert (features[CAMERA]['dtype'], features[CAMERA]['shape']) == ('video', [32, 48, 3])
    assert set(features) == {CAMERA, *rows(exported[0])}
    listed = episodes(exported[0])
    for name, values in {
        'episode_index': [0, 1],
        'tasks': [['Look around.']] * 2,
        'length': [12, 6],
        'dataset_from_index': [0, 12],
        'dataset_to_index': [12, 18],
        'data/chunk_index': [0, 0],
        'data/file_index': [0, 0],
        f'videos/{CAMERA}/chunk_index': [0, 0],
        f'videos/{CAMERA}/file_index': [0, 0],
        f'videos/{CAMERA}/from_timestamp': [0.0, 2.4],
        f'videos/{CAMERA}/to_timestamp': [2.4, 3.6],
        'meta/episodes/chunk_index': [0, 0],
        'meta/episodes/file_index': [0, 0],
    }.items():
        assert listed[name] == values, name


def test_statistics_are_there_for_all_and_for_each_episode(exported: tuple[Path, DatasetSummary]) -> None:
    folder = exported[0]
    statistics = json.loads((folder / 'meta/stats.json').read_text())
    assert all(sorted(figures) == FIGURES for figures in statistics.values())
    assert set(statistics) == {CAMERA, *rows(folder)}
    actions = np.array(rows(folder)['action'])
    np.testing.assert_allclose(statistics['action']['mean'], actions.mean(axis=0))
    np.testing.assert_allclose(statistics['action']['q90'], np.quantile(actions, 0.9, axis=0))
    listed = episodes(folder)
    np.testing.assert_allclose(listed['stats/action/max'], [[11, 0], [5, 0]])
    assert listed[f'stats/{CAMERA}/count'] == [[12], [6]]
    shown = np.stack([picture(4 * number) for number in [*range(12), *range(6)]]) / 255
    np.testing.assert_allclose(np.reshape(statistics[CAMERA]['mean'], 3), shown.mean(axis=(0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(np.reshape(statistics[CAMERA]['std'], 3), shown.std(axis=(0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(np.reshape(statistics[CAMERA]['min'], 3), shown.min(axis=(0, 1, 2)), atol=1e-6)


def test_the_rate_is_the_median_of_the_steps_unless_given(
    exported: tuple[Path, DatasetSummary], tmp_path: Path
) -> None:
    assert (exported[1].fps, exported[1].step_rate) == (5, pytest.approx(5.0))
    made = export_lerobot([walk(3).write(tmp_path / 'bag')], tmp_path / 'made', fps=30)
    assert made.fps == 30 and made.step_rate == pytest.approx(5.0)
    np.testing.assert_allclose(rows(tmp_path / 'made')['timestamp'], [0, 1 / 30, 2 / 30], atol=1e-6)


def test_jpeg_is_used_where_it_is_more_complete(tmp_path: Path) -> None:
    recording = walk(3, compressed=True)
    recording.image(START, picture(99))
    export_lerobot([recording.write(tmp_path / 'bag')], tmp_path / 'made')
    for number, (_, found) in enumerate(seen(tmp_path / 'made')):
        assert_colour(found, 4 * number)


def test_a_robot_without_camera_has_no_video(tmp_path: Path) -> None:
    robot = RobotInfo('gym:CartPole-v1', ('state',), (Channel('push', Kind.DISCRETE, '', 0, 1),), lock_step=True)
    recording = BagMessages(robot)
    for number in range(5):
        recording.sense(START + number * STEP, 'state', [number, 1, 2, 3])
        recording.action(START + number * STEP + 1, [number % 2], reward=1.0, terminal=number == 2)
    made = export_lerobot([recording.write(tmp_path / 'bag')], tmp_path / 'made')
    assert made.episodes == 2
    found = rows(tmp_path / 'made')
    assert found['observation.state'] == [[number, 1, 2, 3] for number in range(5)]
    assert found['action'] == [0, 1, 0, 1, 0]  # one number is no list, as in lerobot's own files
    assert found['next.done'] == [False, False, True, False, False]
    info = json.loads((tmp_path / 'made/meta/info.json').read_text())
    assert info['video_path'] is None and not (tmp_path / 'made/videos').exists()


def test_full_files_are_followed_by_others(tmp_path: Path) -> None:
    step = RecordedStep(0, 0, 0, True, np.zeros(2, np.float32), np.zeros(2), math.nan, False, False, None, {})
    numbers = [range(50 * episode, 50 * episode + 50) for episode in range(4)]
    found = columns(ROBOT, [step])
    with DatasetFiles(
        tmp_path, fps=10, task='', columns=found, has_camera=True, data_bytes=1, video_bytes=5_000
    ) as files:
        for episode in numbers:
            files.add([step] * 50, map(picture, episode))
        files.finish(ROBOT)
    listed = episodes(tmp_path)
    assert listed['data/file_index'] == [0, 1, 2, 3]
    assert [rows(tmp_path, file)['index'] for file in range(4)] == [list(episode) for episode in numbers]
    places = list(zip(listed[f'videos/{CAMERA}/file_index'], listed[f'videos/{CAMERA}/from_timestamp']))
    assert 1 < len({file for file, _ in places}) < 4
    for episode, (file, begin) in zip(numbers, places):
        shown = {round(10 * time): colours for time, colours in seen(tmp_path, file)}
        for place, number in enumerate(episode):
            assert_colour(shown[round(10 * begin) + place], number)


def no_images() -> BagMessages:
    recording = BagMessages()
    recording.action(START, (1, 1), (0, 0))
    return recording


def no_steps() -> BagMessages:
    recording = BagMessages()
    recording.image(START, picture(0))
    return recording


def nameless() -> BagMessages:
    return replace(walk(2), robot=None)


def two_sizes() -> BagMessages:
    return walk(4, make=lambda number: picture(number, 32 if number < 6 else 34))


def damaged(count: int = 1) -> BagMessages:
    recording = walk(3, compressed=True)
    images = [place for place, (_, _, kind, _) in enumerate(recording.messages) if 'Image' in kind]
    for place in images[:count]:
        time, topic, kind, fields = recording.messages[place]
        recording.messages[place] = (time, topic, kind, fields | {'data': fields['data'][:20]})
    return recording


def all_damaged() -> BagMessages:
    return damaged(1000)


def test_a_broken_image_costs_its_step(tmp_path: Path) -> None:
    done = export_lerobot([damaged().write(tmp_path / 'bag')], tmp_path / 'made')
    assert done.frames == 2 and done.left_out == {'a broken image before the action': 1}


def another_robot() -> BagMessages:
    return replace(walk(2), robot=replace(ROBOT, channels=(replace(ROBOT.channels[0], high=20.0), ROBOT.channels[1])))


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (no_images, 'holds no images'),
        (no_steps, 'holds no step'),
        (nameless, 'robot/info'),
        (two_sizes, 'differ in size'),
        (another_robot, 'of another robot'),
        (all_damaged, 'holds no images; .* that can not be decoded'),
    ],
)
def test_an_impossible_export_is_one_error_without_output(
    make: Callable[[], BagMessages], words: str, tmp_path: Path
) -> None:
    sessions = [walk(2).write(tmp_path / 'good'), make().write(tmp_path / 'bad')]
    if make in (nameless,):
        sessions = sessions[1:]
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(UserError, match=words) as caught:
        export_lerobot(sessions, tmp_path / 'made')
    assert '\n' not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / 'made').mkdir()
    (tmp_path / 'made/mine.txt').write_text('mine')
    with pytest.raises(UserError, match='exists already'):
        export_lerobot([walk(2).write(tmp_path / 'bag')], tmp_path / 'made')
    assert [path.name for path in (tmp_path / 'made').iterdir()] == ['mine.txt']


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    bag = walk(6, make=lambda _: generator.integers(0, 256, (64, 96, 3), dtype=np.uint8)).write(tmp_path / 'bag')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (0, 10_000, 30_000):
        # Files can't grow beyond the limit, which libav and Arrow meet as they would a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(UserError, match='could not be written'):
                export_lerobot([bag], tmp_path / 'made')
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert os.listdir(tmp_path) == ['bag']

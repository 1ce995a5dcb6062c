"""Columns of a LeRobotDataset v3.0, and the files that describe them.

After github.com/huggingface/lerobot: docs/source/lerobot-dataset-v3.mdx and src/lerobot/datasets (version 0.6.1).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import json
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
import pyarrow as pa  # type: ignore[import-untyped]

from cls_common.robot import RobotInfo

from .timeline import RecordedStep
from .video import PRESET, QUALITY

VERSION: Final = 'v3.0'
CAMERA: Final = 'observation.images.camera'
DATA_PATH: Final = 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet'
VIDEO_PATH: Final = 'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4'
EPISODES_PATH: Final = 'meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet'
FILES_IN_CHUNK: Final = 1000
DATA_FILE_MB: Final = 100
VIDEO_FILE_MB: Final = 200
# As in lerobot's own files: every second image is a key frame, so that random access decodes at most two.
KEY_FRAMES: Final = 2

_TYPES: Final = {'float32': pa.float32(), 'int64': pa.int64(), 'bool': pa.bool_()}


@dataclass(frozen=True, eq=False)
class Column:
    """One column of `data/`: its name, numpy type, width, names of its numbers, and how it is read from a step."""

    name: str
    dtype: str
    size: int
    names: tuple[str, ...] | None
    of: Callable[[RecordedStep], Any]

    def values(self, steps: Sequence[RecordedStep]) -> NDArray[Any]:
        """Returns the column for some steps: (N, size), (N,) where size is 1."""
        values = np.array([self.of(step) for step in steps], self.dtype)
        return values.reshape(len(steps), self.size) if self.size != 1 else values.reshape(len(steps))


def columns(robot: RobotInfo, steps: Sequence[RecordedStep]) -> list[Column]:
    """Returns the columns of observations and actions, in order; `steps` are all of the dataset."""
    found = [_state(robot)] if robot.joint_names else []
    for modality in sorted(set(robot.modalities) - {'camera'}):
        size = steps[0].senses[modality].size
        found.append(Column(_sense_name(modality, robot), 'float32', size, None, _sense(modality)))
    names = tuple(channel.name for channel in robot.channels)
    found.append(Column('action', 'float32', len(names), names, lambda step: step.action))
    if any(np.isfinite(step.reward) for step in steps):
        found.append(Column('next.reward', 'float32', 1, None, lambda step: step.reward))
    found.append(Column('next.done', 'bool', 1, None, lambda step: step.terminal or step.truncated))
    found.append(Column('next.truncated', 'bool', 1, None, lambda step: step.truncated))
    # Not below `observation.`: LeRobot feeds those columns to policies.
    found.append(Column('stamp_ns', 'int64', 1, None, lambda step: step.start))
    return found


def _state(robot: RobotInfo) -> Column:
    return Column('observation.state', 'float32', len(robot.joint_names), robot.joint_names, lambda step: step.joints)


def _sense(modality: str) -> Callable[[RecordedStep], Any]:
    return lambda step: step.senses[modality]


def _sense_name(modality: str, robot: RobotInfo) -> str:
    # LeRobot's policies expect a robot's state under this name, and an environment's under the other.
    if modality == 'state':
        return 'observation.environment_state' if robot.joint_names else 'observation.state'
    return 'observation.' + modality.replace('/', '_')


def index_columns(fps: int, episode: int, first: int, length: int) -> dict[str, NDArray[Any]]:
    """Returns LeRobot's index columns (length,) of an episode whose first row is number `first` of all."""
    numbers = np.arange(length, dtype=np.int64)
    return {
        'timestamp': (numbers / fps).astype(np.float32),
        'frame_index': numbers,
        'episode_index': np.full(length, episode, np.int64),
        'index': first + numbers,
        'task_index': np.zeros(length, np.int64),
    }


def to_table(values: dict[str, NDArray[Any]]) -> pa.Table:
    """Returns columns (N,) or (N, D) as an Arrow table, the latter as lists of a fixed length."""
    arrays = {}
    for name, column in values.items():
        flat = pa.array(column.reshape(-1), _TYPES[str(column.dtype)])
        arrays[name] = flat if column.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, column.shape[1])
    return pa.table(arrays)


def tasks_table(task: str) -> pa.Table:
    """Returns `meta/tasks.parquet`: the text is the index of a pandas frame."""
    table = pa.table({'task_index': pa.array([0], pa.int64()), 'task': [task]})
    described = [
        {'name': name, 'field_name': name, 'pandas_type': kind, 'numpy_type': dtype, 'metadata': None}
        for name, kind, dtype in (('task_index', 'int64', 'int64'), ('task', 'unicode', 'object'))
    ]
    pandas = {'index_columns': ['task'], 'column_indexes': [], 'columns': described, 'pandas_version': '2.0.0'}
    return table.replace_schema_metadata({'pandas': json.dumps(pandas)})


def features(found: Sequence[Column], image_size: tuple[int, int] | None, fps: int) -> dict[str, Any]:
    """Returns `features` of `meta/info.json`; image_size: (H, W) where there is a camera."""
    described: dict[str, Any] = {}
    if image_size:
        height, width = image_size
        described[CAMERA] = {
            'dtype': 'video',
            'shape': [height, width, 3],
            'names': ['height', 'width', 'channels'],
            'info': {
                'video.height': height,
                'video.width': width,
                'video.codec': 'h264',
                'video.pix_fmt': 'yuv420p',
                'video.is_depth_map': False,
                'video.fps': fps,
                'video.channels': 3,
                'has_audio': False,
                # The codec that lerobot uses where it re-encodes images.
                'video.g': KEY_FRAMES,
                'video.crf': QUALITY,
                'video.preset': PRESET,
            },
        }
    for column in found:
        names = list(column.names) if column.names else None
        described[column.name] = {'dtype': column.dtype, 'shape': [column.size], 'names': names}
    counted = index_columns(fps, 0, 0, 0)
    described |= {name: {'dtype': str(c.dtype), 'shape': [1], 'names': None} for name, c in counted.items()}
    return described


def info(robot: RobotInfo, described: dict[str, Any], fps: int, episodes: int, frames: int) -> dict[str, Any]:
    """Returns `meta/info.json`."""
    return {
        'codebase_version': VERSION,
        'robot_type': robot.name,
        'fps': fps,
        'total_episodes': episodes,
        'total_frames': frames,
        'total_tasks': 1,
        'chunks_size': FILES_IN_CHUNK,
        'data_files_size_in_mb': DATA_FILE_MB,
        'video_files_size_in_mb': VIDEO_FILE_MB,
        'splits': {'train': f'0:{episodes}'},
        'data_path': DATA_PATH,
        'video_path': VIDEO_PATH if CAMERA in described else None,
        'features': described,
    }

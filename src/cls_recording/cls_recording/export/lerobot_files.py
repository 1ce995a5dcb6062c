"""Writes the files of a LeRobotDataset v3.0, episode by episode."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
import json
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from cls_common.images import Image
from cls_common.robot import RobotInfo

from . import lerobot_schema as schema
from .statistics import ImageStatistics, of_vectors
from .timeline import RecordedStep
from .video import VideoFile

_MB = 1024 * 1024


class DatasetFiles:
    """A dataset that grows by whole episodes. A file holds several, up to a size limit.

    Args:
        folder: to be made.
        fps: what the dataset calls its rate: `timestamp` is `frame_index / fps`.
        task: what the robot did, in words.
        columns: of `data/`.
        has_camera: whether episodes come with images.
        data_bytes, video_bytes: no episode is added to a file that is larger.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fps: int,
        task: str,
        columns: Sequence[schema.Column],
        has_camera: bool,
        data_bytes: int = schema.DATA_FILE_MB * _MB,
        video_bytes: int = schema.VIDEO_FILE_MB * _MB,
    ) -> None:
        self._folder, self._fps, self._task, self._columns = folder, fps, task, columns
        self._has_camera = has_camera
        self._data_bytes, self._video_bytes = data_bytes, video_bytes
        self._data: pq.ParquetWriter | None = None
        self._video: VideoFile | None = None
        self._data_files = self._video_files = 0
        self._image_size: tuple[int, int] | None = None
        self._brightness = ImageStatistics()
        self._all: list[dict[str, NDArray[Any]]] = []
        self._episodes: list[dict[str, Any]] = []
        self.frames = 0

    def add(self, steps: Sequence[RecordedStep], images: Iterable[Image]) -> None:
        """Adds an episode.

        Args:
            steps: at least one.
            images: uint8 (H, W, 3) RGB for each step, even in both sizes; none where there is no camera.
        """
        number, length = len(self._episodes), len(steps)
        values = {column.name: column.values(steps) for column in self._columns}
        values |= schema.index_columns(self._fps, number, self.frames, length)
        row: dict[str, Any] = {'episode_index': number, 'tasks': [self._task], 'length': length}
        row |= self._write_data(schema.to_table(values))
        row |= {'dataset_from_index': self.frames, 'dataset_to_index': self.frames + length}
        statistics = {name: of_vectors(column) for name, column in values.items()}
        if self._has_camera:
            brightness, place = self._write_video(images)
            row |= place
            statistics[schema.CAMERA] = brightness.figures()
        row |= {f'stats/{name}/{key}': v for name, figures in statistics.items() for key, v in figures.items()}
        self._episodes.append(row | {'meta/episodes/chunk_index': 0, 'meta/episodes/file_index': 0})
        self._all.append(values)
        self.frames += length

    def finish(self, robot: RobotInfo) -> None:
        """Closes the files and writes the metadata."""
        self.close()
        columns = {name: np.concatenate([values[name] for values in self._all]) for name in self._all[0]}
        statistics = {name: of_vectors(column) for name, column in columns.items()}
        if self._has_camera:
            statistics[schema.CAMERA] = self._brightness.figures()
        described = schema.features(self._columns, self._image_size, self._fps)
        info = schema.info(robot, described, self._fps, len(self._episodes), self.frames)
        pq.write_table(pa.Table.from_pylist(self._episodes), self._path(schema.EPISODES_PATH, 0))
        pq.write_table(schema.tasks_table(self._task), self._folder / 'meta/tasks.parquet')
        for name, content in (('stats', statistics), ('info', info)):
            self._folder.joinpath(f'meta/{name}.json').write_text(json.dumps(content, indent=4), encoding='utf-8')

    def close(self) -> None:
        """Closes open files."""
        data, video = self._data, self._video
        self._data = self._video = None
        if data is not None:
            data.close()
        if video is not None:
            video.close()

    def __enter__(self) -> 'DatasetFiles':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _path(self, template: str, number: int) -> Path:
        path = self._folder / template.format(video_key=schema.CAMERA, **_place(number))
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _write_data(self, table: pa.Table) -> dict[str, Any]:
        path = self._path(schema.DATA_PATH, self._data_files)
        if self._data is None:
            self._data = pq.ParquetWriter(path, table.schema, compression='snappy')
        place = _place(self._data_files)
        self._data.write_table(table)  # one row group an episode, as lerobot writes them
        if path.stat().st_size >= self._data_bytes:
            self._data.close()
            self._data = None
            self._data_files += 1
        return {f'data/{key}': value for key, value in place.items()}

    def _write_video(self, images: Iterable[Image]) -> tuple[ImageStatistics, dict[str, Any]]:
        if self._video is None:
            path = self._path(schema.VIDEO_PATH, self._video_files)
            self._video = VideoFile(path, Fraction(self._fps), schema.KEY_FRAMES, size=self._image_size)
        video, first, brightness = self._video, self._video.frames, ImageStatistics()
        for image in images:
            # An episode begins with a key frame, so that it can be cut out without its neighbours.
            video.write(image, key_frame=video.frames == first)
            brightness.add(image)
        self._image_size = video.size
        self._brightness.merge(brightness)
        place: dict[str, Any] = dict(_place(self._video_files))
        place |= {'from_timestamp': first / self._fps, 'to_timestamp': video.frames / self._fps}
        if video.bytes_written >= self._video_bytes:
            video.close()
            self._video = None
            self._video_files += 1
        return brightness, {f'videos/{schema.CAMERA}/{key}': value for key, value in place.items()}


def _place(number: int) -> dict[str, int]:
    chunk, file = divmod(number, schema.FILES_IN_CHUNK)
    return {'chunk_index': chunk, 'file_index': file}

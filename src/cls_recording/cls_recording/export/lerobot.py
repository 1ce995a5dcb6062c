"""Sessions as a LeRobotDataset v3.0: one row for each step that the robot carried out."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, groupby, islice
import math
from pathlib import Path

from cls_common.errors import UserError
from cls_common.images import Image
from cls_common.robot import RobotInfo

from ..reader import SessionReader
from .episodes import Episode, Episodes, split, step_rate
from .frames import frames
from .lerobot_card import card
from .lerobot_files import DatasetFiles
from .lerobot_schema import columns
from .output import check_absent, no_progress, partial, ProgressCallback
from .timeline import no_images, one_robot, read_timelines, Timeline

DEFAULT_TASK = 'Explore.'


@dataclass(frozen=True)
class DatasetSummary:
    """What was written.

    Attributes:
        fps: what the dataset calls its rate; step_rate: the median that was measured, Hz, NaN where unknown.
        left_out: steps without a row, reason -> count.
    """

    episodes: int
    frames: int
    fps: int
    step_rate: float
    left_out: Counter[str]


def export_lerobot(
    sessions: Sequence[Path],
    output: Path,
    *,
    fps: int | None = None,
    task: str = DEFAULT_TASK,
    progress: ProgressCallback = no_progress,
) -> DatasetSummary:
    """Writes sessions as one LeRobotDataset v3.0.

    A row is one applied action, with images and joints before it and the outcome after it.
    LeRobot requires evenly spaced rows, but robots take steps when they are ready: `timestamp` is `frame_index / fps`,
    and the true time of each action is in `stamp_ns`. Nothing is resampled.

    Args:
        sessions: folders, in order, all of one robot.
        output: the folder to make.
        fps: the rate to claim, Hz; None: the median of the steps, rounded, since LeRobot accepts whole rates only.
        task: what the robot did, in words.
        progress: called with the number of rows done and the total.

    Raises:
        UserError: a session without steps, images or description of its robot; other robots; images that differ in
            size or are damaged; `output` exists or can't be written.
    """
    check_absent(output)
    timelines = read_timelines(sessions)
    robot = _robot(timelines)
    cut = split(timelines, robot)
    steps = [step for episode in cut.episodes for step in episode.steps]
    if not steps:
        raise UserError('no step can be exported', found=reasons(cut.left_out))
    rate = step_rate(cut.episodes)
    chosen = fps or (max(1, round(rate)) if math.isfinite(rate) else 1)
    summary = DatasetSummary(len(cut.episodes), len(steps), chosen, rate, cut.left_out)
    has_camera = bool(timelines[0].image_topic)
    found = columns(robot, steps)
    with partial(output) as folder:
        with DatasetFiles(folder, fps=chosen, task=task, columns=found, has_camera=has_camera) as files:
            for episode, images in _with_images(cut, _counted(len(steps), progress)):
                files.add(episode.steps, images)
            files.finish(robot)
        text = card(robot, [episode.timeline.path.name for episode in cut.episodes], chosen, rate, task)
        folder.joinpath('README.md').write_text(text, encoding='utf-8')
    return summary


def reasons(left_out: Counter[str]) -> str:
    """Returns the reasons why steps were left out, as text."""
    return ', '.join(f'{count} with {reason}' for reason, count in left_out.most_common())


def _robot(timelines: Sequence[Timeline]) -> RobotInfo:
    robot = one_robot(timelines)
    if robot is None:
        raise UserError('the robot is unknown', expected='topic robot/info', do='Record robot/info too.')
    has_camera = 'camera' in robot.modalities or any(timeline.image_topic for timeline in timelines)
    sizes: dict[str, int] = {}
    for timeline in timelines:
        name = timeline.path.name
        if not timeline.steps:
            raise UserError(f'session {name!r} holds no step', expected='topic robot/applied_action with actions done')
        if has_camera and not timeline.shots:
            raise no_images(timeline)
        for modality, values in (item for step in timeline.steps for item in step.senses.items()):
            if values.size != sizes.setdefault(modality, values.size):
                raise UserError(
                    f'observation/{modality} in session {name!r}',
                    expected=f'{sizes[modality]} values',
                    found=str(values.size),
                )
    return robot


def _with_images(cut: Episodes, tick: Callable[[], None]) -> Iterator[tuple[Episode, Iterator[Image]]]:
    """Yields each episode with the image before each of its steps; none where there is no camera."""
    for timeline, group in groupby(cut.episodes, key=lambda episode: episode.timeline):
        episodes = list(group)
        shots = [step.shot for episode in episodes for step in episode.steps]
        with SessionReader(timeline.path) as reader:
            images = frames(reader, timeline.image_topic, [shot.place for shot in shots if shot is not None])
            for episode in episodes:
                yield episode, _counting(islice(images, len(episode.steps)), tick)


def _counting(images: Iterator[Image], tick: Callable[[], None]) -> Iterator[Image]:
    for image in images:
        yield image
        tick()


def _counted(total: int, progress: ProgressCallback) -> Callable[[], None]:
    done = count(1)
    return lambda: progress(next(done), total)

"""Images before and after each step of sessions, as the node `frame_writer` saves them live."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cls_common import comms
from cls_common.errors import UserError
from cls_common.experience_codec import from_message
from cls_common.stamps import to_nanoseconds
from cls_common.transition import CAMERA, Experience, Reading

from ..reader import Event, SessionReader
from ..step_frames import StepFrames
from ..steps import check_image, from_senses, missing, Readings, to_image
from .output import check_absent, no_progress, partial, ProgressCallback
from .timeline import choose_image_topic

_EXPERIENCE, _APPLIED = comms.EXPERIENCE.name, comms.APPLIED_ACTION.name
# Stands for the pixels of an image while steps are closed.
_NO_PIXELS = np.zeros(0, np.float32)


@dataclass(frozen=True)
class FramesSummary:
    """Steps that were written, and steps of which an image is missing or damaged."""

    written: int
    missing: int


def export_frames(sessions: Sequence[Path], output: Path, *, progress: ProgressCallback = no_progress) -> FramesSummary:
    """Writes the images of the steps of one session to `output`, of several to one folder each within it.

    Steps and their numbers are those of the recorded experiences. Where none were recorded, actions and images are
    paired by the rule of the live graph, and steps are numbered from 0.

    Args:
        progress: called with the number of messages of steps read and the total.

    Raises:
        UserError: a session without images or without steps, two of one name, no step with both images, or `output`
            exists or can't be written.
    """
    check_absent(output)
    names = [session.resolve().name for session in sessions]
    if len(set(names)) < len(names):
        raise UserError('sessions of one name', found=', '.join(names), do='Export them by themselves.')
    written = lost = 0
    with partial(output) as folder:
        folder.mkdir()
        for session, name in zip(sessions, names):
            frames = StepFrames(folder / name if len(sessions) > 1 else folder, to_image)
            with SessionReader(session) as reader:
                _export(reader, frames, progress)
            frames.close()
            written, lost = written + frames.written, lost + frames.missing
        if not written:
            raise UserError('no step can be exported', found=f'{lost} without an image before and after')
    return FramesSummary(written, lost)


def _export(reader: SessionReader, frames: StepFrames[Event], progress: ProgressCallback) -> None:
    topic = choose_image_topic(reader)
    source = next((name for name in (_EXPERIENCE, _APPLIED) if name in reader.topics), None)
    if not topic or source is None:
        images = f'{comms.IMAGE.name} or {comms.COMPRESSED.name}'
        raise missing(reader, [images, f'{_EXPERIENCE} or {_APPLIED}'])

    def read(event: Event) -> Readings:
        check_image(event)
        stamp = to_nanoseconds(event.message.header.stamp)
        frames.add_image(stamp, event, event.time_ns)
        return {CAMERA: Reading(_NO_PIXELS, stamp)}

    steps = _recorded if source == _EXPERIENCE else _closed
    for number, step in enumerate(steps(reader, topic, read), 1):
        frames.add_step(step)
        progress(number, reader.topics[source].count)


def _recorded(reader: SessionReader, topic: str, read: Callable[[Event], Readings]) -> Iterator[Experience]:
    for event in reader.events([topic, _EXPERIENCE]):
        if event.topic == _EXPERIENCE:
            yield from_message(event.message)
            continue
        try:
            read(event)
        except UserError:
            continue  # its steps are counted as missing


def _closed(reader: SessionReader, topic: str, read: Callable[[Event], Readings]) -> Iterator[Experience]:
    robot = reader.info.robot
    if robot is None:
        raise missing(reader, [comms.ROBOT_INFO.name])
    for number, step in enumerate(from_senses(reader, [topic], (CAMERA,), read, robot), 1):
        yield Experience(transition=step, sequence=number, episode=0)

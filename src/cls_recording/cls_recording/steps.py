"""Steps of a recorded session: as they were closed live, or by the same rule from what was recorded. No ROS here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from cls_common import comms
from cls_common.errors import UserError
from cls_common.experience_codec import from_applied_action, from_message
from cls_common.images import check_compressed, check_raw, from_jpeg, Image, to_rgb
from cls_common.robot import RobotInfo
from cls_common.step_builder import StepBuilder
from cls_common.transition import Reading, Transition

from .reader import Event, SessionReader

_APPLIED, _ROBOT_INFO, _IMAGE = comms.APPLIED_ACTION.name, comms.ROBOT_INFO.name, comms.IMAGE.name
# Readings of one recorded message, by the name of the sense.
Readings = Mapping[str, Reading]


def to_image(event: Event) -> Image:
    """Reads a recorded image, plain or compressed, to uint8 (H, W, 3) RGB; raises UserError where it is broken."""
    m = event.message
    if event.topic == _IMAGE:
        return to_rgb(m.data.tobytes(), m.height, m.width, m.encoding, m.step)
    return from_jpeg(m.data.tobytes())


def check_image(event: Event) -> None:
    """Checks that a recorded image is whole, without decoding it; raises UserError where it is not."""
    m = event.message
    if event.topic == _IMAGE:
        check_raw(m.data.size, m.height, m.width, m.encoding, m.step)
    else:
        check_compressed(m.data.tobytes())


def from_experiences(events: Iterator[Event]) -> Iterator[Transition]:
    """Yields the transitions of `experience` messages; a hole in their sequence begins a new chain."""
    last = None
    for event in events:
        experience = from_message(event.message)
        follows = last is not None and experience.sequence == last + 1
        last = experience.sequence
        step = experience.transition
        yield replace(step, boundary=step.boundary or not follows)


def from_senses(
    reader: SessionReader, topics: Sequence[str], senses: tuple[str, ...], read: Callable[[Event], Readings],
    robot: RobotInfo, leave_out: Callable[[str], None] = lambda _: None,
) -> Iterator[Transition]:  # fmt: skip
    """Pairs what was sensed with what was done, as fast_learner does when it follows.

    Args:
        topics: that are read. senses: that make an observation.
        read: reads a message of `topics`; nothing: it is not ours; UserError: it is broken. Then all before it is
            cleared, so that no step is closed by another image than its own.
        leave_out: called with the problem of each broken message.
    """
    builder = StepBuilder(senses, settle_time=robot.settle_time, lock_step=robot.lock_step)
    was_described = False
    for raw in reader.raw([*topics, _APPLIED, _ROBOT_INFO]):
        step = None
        if raw.topic in topics:
            try:
                readings = read(reader.decode(raw))
            except UserError as error:
                leave_out(str(error))
                builder.reset()
                continue
            for sense, reading in readings.items():
                step = builder.add_reading(sense, reading) or step
        else:
            event = reader.decode(raw)
            if event.topic == _ROBOT_INFO:
                # Published again, the robot was restarted.
                if was_described:
                    builder.reset()
                was_described = True
            elif event.message.error_code:
                builder.break_chain()
            else:
                m = event.message
                step = builder.add_applied_action((m.source, m.sequence), from_applied_action(m), now=0.0)
        if step is not None:
            yield step


def missing(reader: SessionReader, topics: Sequence[str]) -> UserError:
    """Returns the error of a session that lacks what is needed."""
    left_out = ''.join(f'; left out {name}: {reason}' for name, reason in reader.left_out.items())
    return UserError(
        f'session {reader.path}',
        expected=f'topic {" and ".join(topics)}',
        found=(', '.join(reader.topics) or 'none') + left_out,
    )

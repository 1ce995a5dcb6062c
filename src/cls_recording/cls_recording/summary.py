"""Summarises a session from its metadata alone. No ROS here."""

from dataclasses import dataclass
from pathlib import Path

from cls_common.errors import UserError

from . import bag

WHOLE, RECORDING, DAMAGED, UNREADABLE = 'whole', 'recording', 'damaged', 'unreadable'


@dataclass(frozen=True)
class SessionSummary:
    """Summary of one session.

    Attributes:
        path, name: of its folder.
        robot: its name; empty while unknown.
        start: log time of the first message, ns; 0 while unknown.
        duration: s. steps: actions answered without error. messages: of all topics. size: bytes on disk.
        state: whole, recording, damaged (a repair may help) or unreadable.
        problem: why it can't be read now, or what a repair lost; empty where neither applies.
    """

    path: Path
    name: str
    robot: str = ''
    start: int = 0
    duration: float = 0.0
    steps: int = 0
    messages: int = 0
    size: int = 0
    state: str = WHOLE
    problem: str = ''


def summarize(path: Path) -> SessionSummary:
    """Returns the summary of a session, damaged ones included; raises no error for any content of its folder."""
    name, held = path.resolve().name, 0
    recording = bag.is_being_recorded(path)
    try:
        held = bag.size(path)
        metadata = bag.read_metadata(path)
    except (UserError, OSError) as error:
        return SessionSummary(
            path, name, size=held, state=RECORDING if recording else _state(error), problem=str(error)
        )
    state, problem = WHOLE, metadata.info.repaired and f'repaired: {metadata.info.repaired}'
    try:
        bag.check_whole(path, metadata)
    except UserError as error:
        state, problem = _state(error), str(error)
    if recording:
        state, problem = RECORDING, ''
    return SessionSummary(
        path,
        name,
        robot=metadata.info.robot.name if metadata.info.robot else '',
        start=metadata.start if metadata.message_count else 0,
        duration=metadata.duration * 1e-9 if metadata.message_count else 0.0,
        steps=metadata.info.total_steps,
        messages=metadata.message_count,
        size=held,
        state=state,
        problem=problem,
    )


def _state(error: Exception) -> str:
    return DAMAGED if isinstance(error, bag.DamagedError) else UNREADABLE

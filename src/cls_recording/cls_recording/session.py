"""Metadata of a session, and its place: `sessions/<robot>/<name>/`, a standard rosbag2 folder.

The metadata are custom data in the bag's `metadata.yaml`, so that every ROS tool preserves them. Bags that
`ros2 bag record` made have none; then everything here is unknown, and what is needed is read from the topics.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
import json
from pathlib import Path
import re
from typing import Any

from cls_common.errors import UserError
from cls_common.robot import from_plain, RobotInfo, to_plain

# Rises when custom data change in a way that older readers would misunderstand; in 1, channels have no field names.
FORMAT = 2
_PREFIX = 'cls.'
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]*')


@dataclass(frozen=True, kw_only=True)
class SessionInfo:
    """Metadata of a session.

    Attributes:
        name: of its folder. robot: from `robot/info`; None while unknown.
        start_time, end_time: ISO 8601 with offset; end_time empty while it is recorded or was cut off.
        total_steps: actions answered without error.
        encoder: its `config.json` with `id`, from encoder/get_encoder; empty while unknown.
        model, config_sha256, run_id: of the learner that ran; empty where none did.
        lost, dropped: messages that never arrived; messages refused because the recorder's queue was full.
        repaired: what a repair found, empty where there was none.
    """

    name: str
    robot: RobotInfo | None = None
    start_time: str = ''
    end_time: str = ''
    total_steps: int = 0
    encoder: Mapping[str, Any] | None = None
    model: str = ''
    config_sha256: str = ''
    run_id: str = ''
    lost: int = 0
    dropped: int = 0
    repaired: str = ''

    def with_changes(self, **changes: Any) -> 'SessionInfo':
        """Returns a copy with some values changed."""
        return replace(self, **changes)

    def to_custom_data(self) -> dict[str, str]:
        """Returns it as the custom data of `metadata.yaml`: texts by name."""
        values = {
            'format': str(FORMAT),
            'name': self.name,
            'robot_type': self.robot.name if self.robot else '',
            'robot_info': json.dumps(to_plain(self.robot)) if self.robot else '',
            'action_space': json.dumps([c.name for c in self.robot.channels]) if self.robot else '',
            'start_time': self.start_time,
            'end_time': self.end_time,
            'total_steps': str(self.total_steps),
            'encoder': json.dumps(self.encoder) if self.encoder else '',
            'model': self.model,
            'config_sha256': self.config_sha256,
            'run_id': self.run_id,
            'lost': str(self.lost),
            'dropped': str(self.dropped),
            'repaired': self.repaired,
        }
        return {_PREFIX + key: value for key, value in values.items()}

    @classmethod
    def from_custom_data(cls, name: str, data: Mapping[str, str]) -> 'SessionInfo':
        """Reads custom data; a bag without it gives only the name.

        Raises:
            UserError: written by a newer version, or damaged.
        """
        own = {key.removeprefix(_PREFIX): value for key, value in data.items() if key.startswith(_PREFIX)}
        if not own:
            return cls(name=name)
        try:
            if int(own['format']) > FORMAT:
                raise UserError(
                    f'session {name!r}',
                    expected=f'format {FORMAT} or older',
                    found=f'format {own["format"]}',
                    do='It was recorded by a newer version: update this software.',
                )
            return cls(
                name=name,
                robot=from_plain(json.loads(own['robot_info'])) if own.get('robot_info') else None,
                start_time=own['start_time'],
                end_time=own['end_time'],
                total_steps=int(own['total_steps']),
                encoder=json.loads(own['encoder']) if own.get('encoder') else None,
                model=own.get('model', ''),
                config_sha256=own.get('config_sha256', ''),
                run_id=own.get('run_id', ''),
                lost=int(own.get('lost', 0)),
                dropped=int(own.get('dropped', 0)),
                repaired=own.get('repaired', ''),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f'custom data of session {name!r}', expected='as recorded', found=repr(error)) from error


def new_name(now: datetime) -> str:
    """Returns `session_YYYYMMDD_HHMMSS`."""
    return now.strftime('session_%Y%m%d_%H%M%S')


def check_name(name: str) -> str:
    """Returns a session's name; raises UserError where it is no plain folder name."""
    if not _NAME.fullmatch(name):
        raise UserError(f'session name {name!r}', expected='letters, digits, dot, dash and underscore')
    return name


def robot_folder(sessions_dir: Path, robot: str) -> Path:
    """Returns the folder of a robot's sessions: 'gym:CartPole-v1' has `gym_CartPole-v1`."""
    return sessions_dir / (re.sub(r'[^A-Za-z0-9_.-]', '_', robot) or 'unknown')

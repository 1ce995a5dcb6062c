"""The README.md of an exported dataset."""

from collections.abc import Sequence
from itertools import groupby
import math

from cls_common.robot import RobotInfo

_CARD = """\
---
tags:
- LeRobot
task_categories:
- robotics
configs:
- config_name: default
  data_files: data/*/*.parquet
---

# {name}

{task} Recorded with the robot `{name}`; LeRobotDataset v3.0.

One row is one action that the robot carried out: the image and the joints before it, the action as applied, and what
came of it.

- `observation.state`: {state}.
- `action`: {action}.
- `next.done`: the episode ended with this step, by the robot's own rules or (`next.truncated`) cut.
- `stamp_ns`: when the action began, ns of the robot's clock. `timestamp` is `frame_index / {fps}`, as LeRobot wants it:
  the robot takes a step when it is ready, {rate}.

An episode ends where the robot's own did, where an action was lost or refused, after a pause, and with its session:

{sessions}
"""


def card(robot: RobotInfo, sessions: Sequence[str], fps: int, step_rate: float, task: str) -> str:
    """Returns the text: meaning and units of the columns, and how rows and episodes were made.

    Args:
        robot: that was recorded.
        sessions: the name of each episode's session.
        fps: what the dataset claims; step_rate: what was measured, Hz, NaN where unknown.
        task: what the robot did, in words.
    """
    channels = ', '.join(
        f'{c.name} ({c.kind.name.lower()}, {c.low:g} to {c.high:g} {c.unit}'.rstrip() + ')' for c in robot.channels
    )
    joints = ', '.join(f'{name} (rad)' for name in robot.joint_names)
    return _CARD.format(
        name=robot.name,
        task=task,
        sessions=_sources(sessions),
        action=channels,
        fps=fps,
        state=joints or 'the state that the robot reports',
        rate=_rate(step_rate),
    )


def _sources(sessions: Sequence[str]) -> str:
    lines, first = [], 0
    for name, group in groupby(sessions):
        last = first + len(list(group)) - 1
        lines.append(f'- `{name}`: ' + (f'episodes {first} to {last}' if last > first else f'episode {first}'))
        first = last + 1
    return '\n'.join(lines)


def _rate(step_rate: float) -> str:
    return f'{step_rate:.3g} times a second in the median' if math.isfinite(step_rate) else 'and took one alone here'

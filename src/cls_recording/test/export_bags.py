"""Small bags of a robot that steps five times a second, made with rosbags' own writer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer

from cls_common.images import to_jpeg
from cls_common.robot import Channel, Kind, RobotInfo
from cls_recording.definitions import installed

NS = 1_000_000_000
START = 100 * NS
STEP = NS // 5
FRAME = NS // 20
# From an action's image to its start, and from its start to its end.
REACTION, MOTION = 1_000_000, NS // 20
ROBOT = RobotInfo(
    name='pan_tilt',
    modalities=('camera',),
    channels=(Channel('pan', Kind.RELATIVE, 'deg', -10.0, 10.0), Channel('tilt', Kind.RELATIVE, 'deg', -5.0, 5.0)),
    joint_names=('pan', 'tilt'),
    joint_low=(-1.5, -1.0),
    joint_high=(1.5, 1.0),
)

Image = NDArray[np.uint8]


def colour(number: int) -> tuple[int, int, int]:
    """Returns the colour of image `number`: neighbours differ, and red is not blue."""
    return 40 + 37 * number % 180, 60 + 11 * number % 120, 220 - 7 * number % 160


def picture(number: int, height: int = 32, width: int = 48) -> Image:
    """Returns image `number`: its colour, with a white bar on the left."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = colour(number)
    image[:, :8] = 255
    return image


@dataclass
class BagMessages:
    """Messages to write to a bag, in the order of their log times.

    Attributes:
        robot: None: robot/info is not recorded.
        messages: (log time in ns, topic, type, fields).
    """

    robot: RobotInfo | None = ROBOT
    messages: list[tuple[int, str, str, dict[str, Any]]] = field(default_factory=list)
    sequence: int = 0
    images: int = 0

    def image(self, stamp: int, picture: Image, encoding: str = 'rgb8', padding: int = 0) -> None:
        """Adds a raw image, each row followed by `padding` bytes."""
        height, width, _ = picture.shape
        rows = picture[..., ::-1] if encoding == 'bgr8' else picture
        padded = np.pad(rows.reshape(height, 3 * width), ((0, 0), (0, padding)))
        self._add(
            stamp,
            'camera/image_raw',
            'sensor_msgs/msg/Image',
            header=stamp,
            height=height,
            width=width,
            encoding=encoding,
            is_bigendian=0,
            step=3 * width + padding,
            data=padded.reshape(-1),
        )
        self.images += 1

    def jpeg(self, stamp: int, picture: Image) -> None:
        """Adds a compressed image."""
        data = np.frombuffer(to_jpeg(picture), np.uint8)
        self._add(
            stamp,
            'camera/image_raw/compressed',
            'sensor_msgs/msg/CompressedImage',
            header=stamp,
            format='jpeg',
            data=data,
        )
        self.images += 1

    def sense(self, stamp: int, modality: str, values: Sequence[float]) -> None:
        """Adds an observation that is no image."""
        self._add(
            stamp,
            f'observation/{modality}',
            'cls_interfaces/msg/Observation',
            header=stamp,
            modality=modality,
            data=np.array(values, np.float32),
        )

    def action(self, start: int, applied: Sequence[float], joints: Sequence[float] = (), **changes: Any) -> None:
        """Adds what the robot did; `changes` are further fields of AppliedAction."""
        values = {
            'source': 'fast_learner',
            'sequence': self.sequence,
            'commanded': applied,
            'applied': applied,
            'joints_before': joints,
            'joints_after': joints,
            'start': start,
            'end': start + MOTION,
            'error_code': 0,
            'error_msg': '',
            'reward': float('nan'),
            'terminal': False,
            'truncated': False,
        } | changes
        self.sequence = values['sequence'] + 1
        for name in ('commanded', 'applied', 'joints_before', 'joints_after'):
            values[name] = np.array(values[name], np.float64 if name.startswith('joints') else np.float32)
        self._add(values['end'], 'robot/applied_action', 'cls_interfaces/msg/AppliedAction', **values)

    def _add(self, time: int, topic: str, kind: str, **fields: Any) -> None:
        self.messages.append((time + 1000, topic, kind, fields))

    def write(self, path: Path) -> Path:
        """Writes the bag, a plain one as `ros2 bag record` makes, and returns its folder."""
        store, messages = installed(), self.messages
        if self.robot is not None:
            messages = [(messages[0][0] if messages else START, *_info(self.robot)), *messages]
        with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connections: dict[str, Any] = {}
            for time, topic, kind, fields in sorted(messages, key=lambda message: message[0]):
                if topic not in connections:
                    connections[topic] = writer.add_connection('/' + topic, kind, typestore=store)
                writer.write(connections[topic], time, store.serialize_cdr(_message(store, kind, fields), kind))
        return path


def walk(
    steps: int,
    *,
    start: int = START,
    recording: BagMessages | None = None,
    compressed: bool = False,
    make: Callable[[int], Image] = picture,
    rewards: bool = False,
) -> BagMessages:
    """Adds steps of a robot with a camera of 20 Hz: step i acts just after image 4 i, by (i, -i / 2) degrees."""
    done = recording or BagMessages()
    for number in range(4 * steps + 1):
        image = make(done.images)
        (done.jpeg if compressed else done.image)(start + number * FRAME, image)
        if number % 4 == 0 and number < 4 * steps:
            i = number // 4
            changes = {'reward': 0.5 * i} if rewards else {}
            done.action(start + number * FRAME + REACTION, (i, -i / 2), (0.1 * i, -0.05 * i), **changes)
    return done


def _message(store: Any, kind: str, fields: dict[str, Any]) -> Any:
    values = dict(fields)
    for name in ('start', 'end'):
        if name in values:
            values[name] = _time(store, values[name])
    if 'header' in values:
        stamp = _time(store, values['header'])
        values['header'] = store.types['std_msgs/msg/Header'](stamp=stamp, frame_id='')
    return store.types[kind](**values)


def _time(store: Any, ns: int) -> Any:
    return store.types['builtin_interfaces/msg/Time'](sec=ns // NS, nanosec=ns % NS)


def _info(robot: RobotInfo) -> tuple[str, str, dict[str, Any]]:
    channel = installed().types['cls_interfaces/msg/ActionChannel']
    return (
        'robot/info',
        'cls_interfaces/msg/RobotInfo',
        {
            'header': START,
            'name': robot.name,
            'modalities': list(robot.modalities),
            'channels': [
                channel(name=c.name, kind=c.kind, unit=c.unit, low=c.low, high=c.high) for c in robot.channels
            ],
            'joint_names': list(robot.joint_names),
            'joint_low': np.array(robot.joint_low, np.float64),
            'joint_high': np.array(robot.joint_high, np.float64),
            'settle_time': robot.settle_time,
            'lock_step': robot.lock_step,
            'has_reward': robot.has_reward,
        },
    )

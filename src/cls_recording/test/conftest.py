"""Small sessions, written by rosbags and mcap instead of the recorder under test."""

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import settings as hypothesis_settings
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
import yaml

from cls_recording.definitions import installed

# Properties are about what holds, not how fast: a busy machine must not fail them.
hypothesis_settings.register_profile('patient', deadline=None)
hypothesis_settings.load_profile('patient')

SECOND = 1_000_000_000
BEGIN = 1_700_000_000 * SECOND
Recorded = tuple[int, str, Any]


def make(type_name: str, **values: Any) -> Any:
    """Returns a message of a type; fields default to zero or empty."""
    store = installed()
    fields = {}
    for name, (kind, detail) in store.fielddefs[type_name][1]:
        if name in values:
            fields[name] = values[name]
        elif int(kind) == 1:
            base = detail[0]
            fields[name] = '' if base == 'string' else False if base == 'bool' else 0.0 if 'float' in base else 0
        elif int(kind) == 2:
            fields[name] = make(detail)
        else:
            inner = detail[0][1]
            plain = isinstance(inner, tuple) and inner[0] != 'string'
            fields[name] = np.zeros(0, inner[0]) if plain else []
    return store.types[type_name](**fields)


def stamp(time_ns: int) -> Any:
    return make('builtin_interfaces/msg/Time', sec=time_ns // SECOND, nanosec=time_ns % SECOND)


def header(time_ns: int) -> Any:
    return make('std_msgs/msg/Header', stamp=stamp(time_ns))


def robot(name: str = 'twin', time_ns: int = BEGIN, **values: Any) -> Any:
    """Returns robot/info of a robot with a camera, pan, tilt and a gripper with three positions."""
    channels = [('pan', 0, 'deg', -10.0, 10.0), ('tilt', 0, 'deg', -10.0, 10.0), ('grip', 3, '', 0.0, 2.0)]
    keys = ('name', 'kind', 'unit', 'low', 'high')
    return make(
        'cls_interfaces/msg/RobotInfo',
        header=header(time_ns),
        name=name,
        modalities=['camera'],
        channels=[make('cls_interfaces/msg/ActionChannel', **dict(zip(keys, channel))) for channel in channels],
        **values,
    )


def image(time_ns: int, size: int = 300) -> Any:
    """Returns an image of `size` bytes with valid JPEG markers and random content."""
    data = np.random.default_rng(time_ns % 2**32).integers(0, 255, size, dtype=np.uint8)
    data[:10], data[-2:] = (0xFF, 0xD8, 0xFF, 0xC0, 0, 2, 0xFF, 0xDA, 0, 2), (0xFF, 0xD9)
    return make('sensor_msgs/msg/CompressedImage', header=header(time_ns), format='jpeg', data=data)


def applied(time_ns: int, sequence: int, values: Iterable[float] = (1.0, -2.0, 1.0), **changes: Any) -> Any:
    action = np.array(list(values), np.float32)
    fields = {
        'source': 'fast_learner',
        'sequence': sequence,
        'commanded': action,
        'applied': action,
        'start': stamp(time_ns - SECOND // 20),
        'end': stamp(time_ns),
        'reward': float('nan'),
        **changes,
    }
    return make('cls_interfaces/msg/AppliedAction', **fields)


def experience(time_ns: int, sequence: int, run_id: str = 'run') -> Any:
    return make('cls_interfaces/msg/Experience', header=header(time_ns), run_id=run_id, sequence=sequence)


def session_messages(steps: int = 20, namespace: str = '') -> list[Recorded]:
    """Returns a faultless session: images at 10 Hz, an action and its experience every 0.2 s, in order of log time."""
    messages: list[Recorded] = [(BEGIN, 'robot/info', robot()), (BEGIN + 1, 'robot/state', state())]
    for step in range(steps):
        time_ns = BEGIN + (step + 1) * SECOND // 5
        messages += [
            (time_ns - SECOND // 10 + 5, 'camera/image_raw/compressed', image(time_ns - SECOND // 10)),
            (time_ns + 5, 'camera/image_raw/compressed', image(time_ns)),
            (time_ns + 10, 'robot/applied_action', applied(time_ns, step + 1, (step % 3, -2.0, 1.0))),
            (time_ns + 20, 'experience', experience(time_ns + 15, step + 1)),
        ]
    return [(time_ns, f'{namespace}/{topic}', message) for time_ns, topic, message in messages]


def state(value: int = 0, time_ns: int = BEGIN, **values: Any) -> Any:
    return make('cls_interfaces/msg/RobotState', header=header(time_ns), state=value, **values)


def write(
    path: Path, messages: Iterable[Recorded], storage: str = 'MCAP', custom: dict[str, str] | None = None
) -> Path:
    """Writes a complete session as `ros2 bag record` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    store = installed()
    with Writer(path, version=9, storage_plugin=StoragePlugin[storage]) as writer:
        for key, value in (custom or {}).items():
            writer.set_custom_data(key, value)
        connections: dict[str, Any] = {}
        for time_ns, topic, message in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, message.__msgtype__, typestore=store)
            writer.write(connections[topic], time_ns, store.serialize_cdr(message, message.__msgtype__))
    return path


def write_chunks(
    file: Path, messages: Iterable[Recorded], each: int = 6, compression: str = 'NONE', chunking: bool = True
) -> list[int]:
    """Writes one MCAP file as the recorder does, synced every `each` messages; returns its sizes at these moments."""
    file.parent.mkdir(parents=True, exist_ok=True)
    store, sizes = installed(), []
    with file.open('wb') as stream:
        writer = McapWriter(stream, compression=CompressionType[compression], use_chunking=chunking)
        writer.start('ros2', 'test')
        channels: dict[str, int] = {}
        for index, (time_ns, topic, message) in enumerate(messages):
            if topic not in channels:
                text = store.generate_msgdef(message.__msgtype__, ros_version=2)[0]
                schema = writer.register_schema(message.__msgtype__, 'ros2msg', text.encode())
                channels[topic] = writer.register_channel(topic, 'cdr', schema, {'offered_qos_profiles': ''})
            data = bytes(store.serialize_cdr(message, message.__msgtype__))
            writer.add_message(channels[topic], time_ns, data, time_ns, index)
            if (index + 1) % each == 0:
                writer.flush()
                sizes.append(stream.tell())
        writer.finish()
    return sizes


def edit_metadata(path: Path, **changes: Any) -> None:
    """Changes top-level entries of metadata.yaml; None removes one."""
    file = path / 'metadata.yaml'
    content = yaml.safe_load(file.read_text())
    body = content['rosbag2_bagfile_information']
    body.update(changes)
    for key in [key for key, value in changes.items() if value is None]:
        del body[key]
    file.write_text(yaml.safe_dump(content))


@pytest.fixture(scope='session')
def bags() -> SimpleNamespace:
    """The functions of this file."""
    functions = (
        applied,
        edit_metadata,
        experience,
        header,
        image,
        session_messages,
        make,
        robot,
        stamp,
        state,
        write,
        write_chunks,
    )
    return SimpleNamespace(begin=BEGIN, second=SECOND, **{function.__name__: function for function in functions})

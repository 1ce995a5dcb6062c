"""Definitions and hashes of message types, as they are written into a bag. No ROS here.

The text is the installed package's own, comments included: units and meanings travel with the recording.
"""

from dataclasses import dataclass
import functools
import os
from pathlib import Path
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import get_types_from_msg, get_typestore, Stores, TypesysError

_SEPARATOR = '=' * 80
_HEADER = 'std_msgs/msg/Header'


@dataclass(frozen=True)
class Schema:
    """Definition of a message type.

    Attributes:
        type: such as 'sensor_msgs/msg/JointState'.
        text: its definition and those of all types in it, in the form `ros2msg`; empty where unknown.
        hash: its RIHS01 hash; empty where unknown.
        is_stamped: it begins with a std_msgs/Header.
    """

    type: str
    text: str = ''
    hash: str = ''
    is_stamped: bool = False


@functools.cache
def find_schema(type_name: str) -> Schema:
    """Returns the definition of a type from the packages in AMENT_PREFIX_PATH, else from Jazzy's own types."""
    try:
        return _installed(type_name) or _jazzy(type_name)
    except (TypesysError, KeyError, ValueError, OSError):
        return Schema(type_name)


def _installed(type_name: str) -> Schema | None:
    texts: dict[str, str] = {}
    types: dict[str, Any] = {}
    wanted = [type_name]
    while wanted:
        name = wanted.pop(0)
        if name in texts:
            continue
        path = _find(name)
        if path is None:
            return None
        texts[name] = path.read_text(encoding='utf-8')
        types |= get_types_from_msg(texts[name], name)
        wanted += field_types(types[name])
    parts = [f'MSG: {_short(name)}\n{text}' for name, text in texts.items() if name != type_name]
    store = get_typestore(Stores.EMPTY)
    store.register(types)
    text = f'\n{_SEPARATOR}\n'.join([texts[type_name].rstrip('\n'), *(part.rstrip('\n') for part in parts)]) + '\n'
    return Schema(type_name, text, store.hash_rihs01(type_name), _is_stamped(types[type_name]))


def _jazzy(type_name: str) -> Schema:
    store = get_typestore(Stores.ROS2_JAZZY)
    text, _ = store.generate_msgdef(type_name, ros_version=2)
    return Schema(type_name, text, store.hash_rihs01(type_name), _is_stamped(store.fielddefs[type_name]))


def _find(type_name: str) -> Path | None:
    package, kind, name = type_name.split('/')
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        path = Path(prefix, 'share', package, kind, f'{name}.msg')
        if prefix and path.is_file():
            return path
    return None


def field_types(definition: Any) -> list[str]:
    """Returns the types of a type's fields, from its definition as rosbags parses it."""
    _, fields = definition
    names = []
    for _, (kind, value) in fields:
        if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
            kind, value = value[0]
        if kind == Nodetype.NAME:
            names.append(str(value))
    return names


def _is_stamped(definition: Any) -> bool:
    _, fields = definition
    return bool(fields) and fields[0][1] == (Nodetype.NAME, _HEADER)


def _short(type_name: str) -> str:
    package, _, name = type_name.split('/')
    return f'{package}/{name}'

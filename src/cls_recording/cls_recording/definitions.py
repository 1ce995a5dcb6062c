"""Message definitions for decoding: the bag's own, else Jazzy's and the installed ones. No ROS here."""

from collections.abc import Mapping
import functools
import os
from pathlib import Path
from typing import Any

from rosbags.typesys import get_types_from_idl, get_types_from_msg, get_typestore, Stores, TypesysError
from rosbags.typesys.store import Typestore

from .schemas import field_types

_OURS = 'cls_interfaces'
_IDL_SEPARATOR = '=' * 80 + '\n'
# Fields of older versions of types that have changed, still read: see cls_common.experience_codec and cls_common.robot.
_OLDER = {
    f'{_OURS}/msg/Experience': {'run_id', 'sequence', 'stamp_z', 'stamp_next', 'z', 'z_next', 'prediction_after'},
    f'{_OURS}/msg/LearnerStatus': {'node', 'phase', 'mode', 'metric_names', 'metric_values'},
    f'{_OURS}/msg/RobotInfo': {'name', 'modalities', 'channels', 'settle_time', 'lock_step'},
}


class Definitions:
    """Reads CDR by type; each type is looked up at first use, so that an invalid one affects no other.

    Args:
        schemas: encoding (ros2msg, ros2idl) and text by type, as the bag has them.
    """

    def __init__(self, schemas: Mapping[str, tuple[str, str]]) -> None:
        self._schemas = schemas
        self._stores: dict[str, Typestore] = {}

    def read(self, data: bytes, type_name: str) -> Any:
        """Returns a message with the attributes of its definition, arrays as numpy.

        Raises:
            rosbags' errors, KeyError: unknown type, or data that do not fit it.
            AttributeError: a type of ours that lacks fields which it has here.
        """
        store = self._stores.get(type_name)
        if store is None:
            store = self._store(type_name)
            _check_fields(store, type_name)
            self._stores[type_name] = store
        return store.deserialize_cdr(data, type_name)

    def _store(self, type_name: str) -> Typestore:
        """Returns a store by the bag's own text, or by the installed types where that is missing or incomplete."""
        known = installed()
        types = _parse(type_name, *self._schemas.get(type_name, ('', '')))
        if type_name not in types:
            return known
        while missing := [name for kind in types.values() for name in field_types(kind) if name not in types]:
            if type_name in known.fielddefs or not all(name in known.fielddefs for name in missing):
                return known
            types |= {name: known.fielddefs[name] for name in missing}
        store = get_typestore(Stores.EMPTY)
        store.register(types)
        return store


def _check_fields(store: Typestore, type_name: str) -> None:
    """Raises AttributeError if the bag's definition of a cls_interfaces type lacks a field that is read here."""
    here = installed().fielddefs
    for name in store.fielddefs:
        if name.startswith(f'{_OURS}/') and name in here:
            fields, wanted = (dict(defs[name][1]) for defs in (store.fielddefs, here))
            missing = sorted(wanted.keys() - fields.keys())
            if missing and not (name in _OLDER and fields.keys() >= _OLDER[name]):
                raise AttributeError(f'{name} without {", ".join(missing)}')


def _parse(type_name: str, encoding: str, text: str) -> dict[str, Any]:
    try:
        if encoding == 'ros2msg':
            return dict(get_types_from_msg(text, type_name))
        types: dict[str, Any] = {}
        for part in text.split(_IDL_SEPARATOR) if encoding == 'ros2idl' else ():
            content = part.partition('\n')[2] if part.startswith('IDL: ') else part
            types |= get_types_from_idl(content) if content.strip() else {}
        return types
    except (TypesysError, LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


@functools.cache
def installed() -> Typestore:
    """Returns Jazzy's types and those of cls_interfaces, where the workspace is sourced."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        files = sorted(Path(prefix, 'share', _OURS, 'msg').glob('*.msg')) if prefix else []
        if files:
            types: dict[str, Any] = {}
            for file in files:
                types |= get_types_from_msg(file.read_text(encoding='utf-8'), f'{_OURS}/msg/{file.stem}')
            store.register(types)
            break
    return store

"""What recorded messages look like: by the bag's own definitions, else Jazzy's and our installed ones. No ROS here."""

import functools
import os
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.typesys import get_types_from_idl, get_types_from_msg, get_typestore, Stores
from rosbags.typesys.store import Typestore

_OURS = 'cls_interfaces'
_IDL_SEPARATOR = '=' * 80 + '\n'


class Definitions:
    """Reads CDR by type; each type is looked up when it is first needed, so that a strange one harms no other."""

    def __init__(self, connections: list[Connection]) -> None:
        self._embedded = {c.msgtype: c.msgdef for c in connections if c.msgdef.format != MessageDefinitionFormat.NONE}
        self._stores: dict[str, Typestore] = {}

    def read(self, data: bytes, type_name: str) -> Any:
        """Returns a message with the attributes of its definition, arrays as numpy.

        Raises:
            rosbags' errors, KeyError: unknown type, or data that do not fit it.
        """
        store = self._stores.get(type_name)
        if store is None:
            store = self._stores[type_name] = self._store(type_name)
        return store.deserialize_cdr(data, type_name)

    def _store(self, type_name: str) -> Typestore:
        definition = self._embedded.get(type_name)
        if definition is None:
            return installed()
        if definition.format == MessageDefinitionFormat.MSG:
            types = get_types_from_msg(definition.data, type_name)
        else:
            types = {}
            for part in definition.data.split(_IDL_SEPARATOR):
                text = part.partition('\n')[2] if part.startswith('IDL: ') else part
                types |= get_types_from_idl(text) if text.strip() else {}
        store = get_typestore(Stores.EMPTY)
        store.register(types)
        return store


@functools.cache
def installed() -> Typestore:
    """Returns Jazzy's types and those of cls_interfaces, where the workspace is entered."""
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

"""Contents of a bag's `metadata.yaml`, as Jazzy's rosbag2 writes it (version 9). No ROS here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import os
from pathlib import Path
from typing import Any

import yaml

from cls_common import atomic_file

from . import bag
from .schemas import Schema

_NOTHING = 2**63 - 1
_DUMPER = getattr(yaml, 'CSafeDumper', yaml.SafeDumper)


@dataclass(frozen=True)
class TopicEntry:
    """A recorded topic: full name, schema, and offered quality of service in rosbag2's form."""

    name: str
    schema: Schema
    qos: tuple[Mapping[str, Any], ...] = ()
    encoding: str = 'cdr'

    def qos_text(self) -> str:
        """Returns the quality of service as the YAML text of an MCAP channel."""
        return dump([dict(profile) for profile in self.qos]).strip()


@dataclass
class FileCount:
    """Messages of one file: count by topic, first and last log time, ns."""

    name: str
    counts: dict[str, int] = field(default_factory=dict)
    first: int = _NOTHING
    last: int = 0

    @property
    def total(self) -> int:
        """Messages of all topics."""
        return sum(self.counts.values())

    def add(self, topic: str, log_time: int) -> None:
        """Counts one message."""
        self.counts[topic] = self.counts.get(topic, 0) + 1
        self.first, self.last = min(self.first, log_time), max(self.last, log_time)

    def copy(self) -> 'FileCount':
        """Returns a copy of the current counts."""
        return FileCount(self.name, dict(self.counts), self.first, self.last)


def build(topics: Sequence[TopicEntry], files: Sequence[FileCount], custom_data: Mapping[str, str]) -> dict[str, Any]:
    """Returns the content of `metadata.yaml`; topics without a message are left out."""
    counts = {topic.name: sum(file.counts.get(topic.name, 0) for file in files) for topic in topics}
    first, last = min(file.first for file in files), max(file.last for file in files)
    body = {
        'version': bag.VERSION,
        'storage_identifier': 'mcap',
        **_span(first, last),
        'message_count': sum(counts.values()),
        'topics_with_message_count': [
            {'topic_metadata': _describe(topic), 'message_count': counts[topic.name]}
            for topic in topics
            if counts[topic.name]
        ],
        'compression_format': '',
        'compression_mode': '',
        'relative_file_paths': [file.name for file in files],
        'files': [{'path': file.name, **_span(file.first, file.last), 'message_count': file.total} for file in files],
        'custom_data': dict(custom_data),
        'ros_distro': os.environ.get('ROS_DISTRO', 'jazzy'),
    }
    return {'rosbag2_bagfile_information': body}


def _span(first: int, last: int) -> dict[str, Any]:
    return {
        'duration': {'nanoseconds': max(last - first, 0)},
        'starting_time': {'nanoseconds_since_epoch': first},
    }


def _describe(topic: TopicEntry) -> dict[str, Any]:
    return {
        'name': topic.name,
        'type': topic.schema.type,
        'serialization_format': topic.encoding,
        'offered_qos_profiles': [dict(profile) for profile in topic.qos],
        'type_description_hash': topic.schema.hash,
    }


def dump(content: Any) -> str:
    """Returns YAML in the order given."""
    return yaml.dump(content, Dumper=_DUMPER, sort_keys=False, default_flow_style=False, allow_unicode=True)


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Replaces `metadata.yaml` atomically: a loss of power leaves the old or the new one."""
    atomic_file.write_text(folder / bag.METADATA, dump(content))

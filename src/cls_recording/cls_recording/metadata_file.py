"""Writes the `metadata.yaml` of a rosbag2 folder, version 9, whole or not at all. No ROS here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import os
from pathlib import Path
from typing import Any

import yaml

from .bag import METADATA, VERSION


@dataclass(frozen=True)
class FileEntry:
    """One file of a bag: name within the folder, log time of first and last message in ns, and how many."""

    name: str
    start: int
    end: int
    messages: int


@dataclass(frozen=True)
class TopicEntry:
    """One topic of a bag: full name, type, how many messages, offered QoS as rosbag2 writes it, type hash."""

    name: str
    type: str
    messages: int
    qos: Sequence[Mapping[str, Any]] = ()
    hash: str = ''


def compose(
    files: Sequence[FileEntry],
    topics: Sequence[TopicEntry],
    custom_data: Mapping[str, str],
    previous: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns what stands below `rosbag2_bagfile_information`.

    Args:
        files: in order.
        topics: in any order.
        custom_data: texts by name; a bag without stays without.
        previous: of the same bag, whose storage, compression and ROS distribution go on.
    """
    kept = previous or {}
    filled = [file for file in files if file.messages]
    start = min((file.start for file in filled), default=0)
    end = max((file.end for file in filled), default=0)
    return {
        'version': VERSION, 'storage_identifier': kept.get('storage_identifier', 'mcap'),
        'duration': {'nanoseconds': end - start}, 'starting_time': {'nanoseconds_since_epoch': start},
        'message_count': sum(file.messages for file in files),
        'topics_with_message_count': [
            {
                'topic_metadata': {
                    'name': topic.name, 'type': topic.type, 'serialization_format': 'cdr',
                    'offered_qos_profiles': [dict(profile) for profile in topic.qos],
                    'type_description_hash': topic.hash,
                },
                'message_count': topic.messages,
            }
            for topic in sorted(topics, key=lambda topic: topic.name)
        ],
        'compression_format': kept.get('compression_format', ''),
        'compression_mode': kept.get('compression_mode', ''),
        'relative_file_paths': [file.name for file in files],
        'files': [
            {
                'path': file.name, 'starting_time': {'nanoseconds_since_epoch': file.start},
                'duration': {'nanoseconds': file.end - file.start}, 'message_count': file.messages,
            }
            for file in files
        ],
        'custom_data': dict(custom_data) or None, 'ros_distro': kept.get('ros_distro', 'jazzy'),
    }  # fmt: skip


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes it synced, beside and then in the place of the old one."""
    text = yaml.safe_dump({'rosbag2_bagfile_information': dict(content)}, sort_keys=False, allow_unicode=True)
    beside = folder / f'.{METADATA}.new'
    with beside.open('w', encoding='utf-8') as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    replace(beside, folder / METADATA)


def replace(new: Path, old: Path) -> None:
    """Puts a synced file in the place of another of the same folder, so that a loss of power leaves one of them."""
    os.replace(new, old)
    folder = os.open(old.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

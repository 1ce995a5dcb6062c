"""One MCAP file of a bag: messages in, chunks out, each chunk closed when it is synced. No ROS here."""

from pathlib import Path
import struct
from typing import Any

from mcap.writer import CompressionType, MCAP0_MAGIC, Writer

from .durable_file import DurableFile
from .metadata import FileCount, TopicEntry

# As large as rosbag2's; at usual rates the next sync closes a chunk first.
_CHUNK_BYTES = 1 << 20
# Records that end a file without an index: data end (no checksum), footer (no summary), magic.
_BARE_END = struct.pack('<BQI', 0x0F, 4, 0) + struct.pack('<BQQQI', 0x02, 20, 0, 0, 0) + MCAP0_MAGIC


class SplitFile:
    """An open file; write, sync, then `finish`, or `abandon` after an OSError.

    Chunks are not compressed: JPEG would gain nothing, and of an uncompressed chunk a repair can save a part.

    Attributes:
        count: messages written. synced: the same at the last sync.
        begun: s on the steady clock, as given.
    """

    def __init__(self, path: Path, begun: float) -> None:
        self.begun = begun
        self.count, self.synced = FileCount(path.name), FileCount(path.name)
        self._file = DurableFile(path)
        self._pending = 0
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._sequences: dict[str, int] = {}
        output: Any = self._file
        self._mcap: Any = Writer(output, chunk_size=_CHUNK_BYTES, compression=CompressionType.NONE)
        try:
            self._mcap.start(profile='ros2', library='cls_recording')
        except OSError:
            self._file.close()
            raise

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self._file.path

    @property
    def size(self) -> int:
        """Bytes written and to be written, near enough."""
        return self._file.size + self._pending

    @property
    def synced_size(self) -> int:
        """Bytes that survive a loss of power."""
        return self._file.synced

    def write(self, topic: TopicEntry, log_time: int, publish_time: int, data: bytes) -> None:
        """Appends one serialized message, as it is."""
        channel = self._channels.get(topic.name)
        if channel is None:
            channel = self._register(topic)
        sequence = self._sequences[topic.name] = self._sequences.get(topic.name, 0) + 1
        before = self._file.size
        self._mcap.add_message(channel, log_time, data, publish_time, sequence & 0xFFFFFFFF)
        self._pending = 0 if self._file.size != before else self._pending + len(data)
        self.count.add(topic.name, log_time)

    def _register(self, topic: TopicEntry) -> int:
        schema = topic.schema
        if schema.type not in self._schemas:
            encoding = 'ros2msg' if schema.text else ''
            self._schemas[schema.type] = self._mcap.register_schema(schema.type, encoding, schema.text.encode())
        about = {'offered_qos_profiles': topic.qos_text(), 'topic_type_hash': schema.hash}
        self._channels[topic.name] = self._mcap.register_channel(topic.name, 'cdr', self._schemas[schema.type], about)
        return self._channels[topic.name]

    def sync(self) -> None:
        """Blocks until everything written survives a loss of power."""
        self._mcap.flush()
        self._pending = 0
        self._file.sync()
        self.synced = self.count.copy()

    def finish(self) -> None:
        """Writes the index and closes the file."""
        self._mcap.finish()
        self._file.sync()
        self.synced = self.count.copy()
        self._file.close()

    def abandon(self) -> None:
        """Truncates to the synced length and ends the file there without an index, which is optional for readers.

        Raises:
            OSError: there is not even room for that; a repair ends it later.
        """
        try:
            self.count = self.synced.copy()
            self._file.cut_back()
            self._file.write(_BARE_END)
            self._file.sync()
        finally:
            self._file.close()

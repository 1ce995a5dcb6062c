"""A process that records numbered messages as fast as it can, and prints after each sync what is safe.

Arguments: sessions folder, size of a split in bytes, largest file in bytes (0: any). One JSON line a sync.
"""

import json
from pathlib import Path
import resource
import struct
import sys
import time

from cls_recording.metadata import TopicEntry
from cls_recording.schemas import find_schema
from cls_recording.session import SessionInfo
from cls_recording.writer import BagWriter

TOPICS = [
    TopicEntry(f'/{name}', find_schema(f'std_msgs/msg/{kind}')) for name, kind in (('a', 'UInt64'), ('b', 'Int64'))
]


def main() -> None:
    folder, split, largest = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    writer = BagWriter(folder / 'cut', SessionInfo(name='cut', start_time='2026-01-01T00:00:00+00:00'), split)
    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    number = 0
    try:
        while True:
            for _ in range(100):
                data = b'\x00\x01\x00\x00' + struct.pack('<Q', number) + bytes(50)
                writer.write(TOPICS[number % 2], time.time_ns(), 0, data)
                number += 1
            writer.sync(0.0, time.time_ns())
            print(json.dumps({'synced': writer.synced, 'sizes': writer.synced_sizes}), flush=True)
    except OSError as error:
        writer.abandon()
        print(json.dumps({'synced': writer.synced, 'error': error.errno}), flush=True)


main()

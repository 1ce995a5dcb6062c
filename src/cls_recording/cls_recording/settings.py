"""Parameters of the recorder and of frame_writer. No ROS here."""

from dataclasses import dataclass

from cls_common.settings import setting, Settings

_GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class RecorderSettings(Settings):
    """What is recorded, where, and limits of disk and memory."""

    autostart: bool = setting(True, 'Begin a session at start; if false, recorder/start begins one.')
    sessions_dir: str = setting('sessions', 'Folder of sessions; contains one folder per robot.')
    name: str = setting('', 'Name of the first session; empty: session_YYYYMMDD_HHMMSS.')
    topics: str = setting('', 'Comma-separated names of topics to record; empty: the usual ones.')
    clock: bool = setting(False, 'Record /clock too; the player publishes its own.')
    budget_bytes: int = setting(
        10 * _GIB, 'Disk space for all sessions of a robot; the oldest are removed first.', unit='B', low=1 << 20
    )
    split_bytes: int = setting(_GIB, 'Size of a file at which the next one begins.', unit='B', low=1 << 20)
    # One minute of all topics at usual rates, if the disk stalls.
    queue_messages: int = setting(20_000, 'Limit of messages queued for the disk; further ones are dropped.', low=100)
    queue_bytes: int = setting(
        _GIB // 4, 'Limit of bytes queued for the disk; further messages are dropped.', unit='B', low=1 << 20
    )
    sync_period: float = setting(0.5, 'Period of syncs to disk.', unit='s', low=0.05, high=10.0)
    robot_timeout: float = setting(
        60.0,
        'Time to wait for robot/info; after it the session goes to the folder unknown.',
        unit='s',
        low=0.1,
        high=600.0,
    )


@dataclass(frozen=True, kw_only=True)
class FrameWriterSettings(Settings):
    """Where images of steps are written."""

    folder: str = setting('frames', 'Folder of the images and their index.')

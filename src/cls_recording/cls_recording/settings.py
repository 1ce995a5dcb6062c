"""Parameters of the nodes of this package that a person may set. No ROS here."""

from dataclasses import dataclass

from cls_common.settings import setting, Settings

_GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class RecorderSettings(Settings):
    """What is recorded, where to, and how much of the machine that may take."""

    autostart: bool = setting(True, 'Begin a session at once; else recorder/start begins one.')
    sessions_dir: str = setting('sessions', 'Folder of sessions; a folder for each robot is made in it.')
    name: str = setting('', 'Of the first session; empty: session_YYYYMMDD_HHMMSS.')
    topics: str = setting('', 'Names with commas between, instead of the usual ones.')
    clock: bool = setting(False, 'Record /clock too; a player makes its own.')
    # Row 001-074: 10, in units of row 001-076.
    budget_bytes: int = setting(
        10 * _GIB, 'That all sessions of a robot may use; the oldest are removed first.', unit='B', low=1 << 20
    )
    split_bytes: int = setting(_GIB, 'Size of a file from which on the next one is begun.', unit='B', low=1 << 20)
    # A minute of everything at usual rates, should the disk stand still.
    queue_messages: int = setting(20_000, 'Messages that wait for the disk; more are dropped.', low=100)
    queue_bytes: int = setting(_GIB // 4, 'Bytes that wait for the disk; more are dropped.', unit='B', low=1 << 20)
    sync_period: float = setting(0.5, 'Between two moments from which on all is safe.', unit='s', low=0.05, high=10.0)
    robot_timeout: float = setting(
        60.0, 'Wait so long for robot/info; then the session goes to the folder unknown.', unit='s', low=0.1, high=600.0
    )

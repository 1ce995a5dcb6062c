"""Description of the pan-tilt robot for other nodes, and its diagnostics."""

import math

from cls_common import diagnostics
from cls_common.diagnostics import Health, Level
from cls_common.driver.safety import Code, DriverState
from cls_common.robot import Channel, Kind, RobotInfo

from .driver import DriverStatus
from .settings import ServoDriverSettings

JOINTS = ('pan', 'tilt')
_YES_NO = {True: 'yes', False: 'no', None: 'unknown'}


def describe(settings: ServoDriverSettings) -> RobotInfo:
    """Returns channels, joints, limits and settle time."""
    limits = settings.to_limits()
    return RobotInfo(
        name='pan_tilt',
        modalities=('camera',),
        channels=tuple(Channel(joint, Kind.RELATIVE, 'deg', -limits.max_delta, limits.max_delta) for joint in JOINTS),
        joint_names=JOINTS,
        joint_low=to_radians(limits.low),
        joint_high=to_radians(limits.high),
        settle_time=settings.settle_time,
    )


def to_radians(angles: tuple[float, ...] | None) -> tuple[float, ...]:
    """Returns joint angles in rad from degrees; empty where unknown."""
    return tuple(map(math.radians, angles)) if angles else ()


def report(status: DriverStatus, settings: ServoDriverSettings) -> list[Health]:
    """Returns the health of the link to the board and of each joint (REP-107)."""
    return [_link(status)] + [_joint(index, status, settings) for index in (0, 1)]


def _link(now: DriverStatus) -> Health:
    values = {
        'latency_ms': f'{1000 * now.latency:.1f}',
        'moves': str(now.moves),
        'refused': str(now.refused),
        'lost links': str(now.losses),
        'garbled lines': str(now.garbled),
        'repeated requests': str(now.repeats),
        'firmware timeout': _YES_NO[now.has_timeout],
        'checked replies': _YES_NO[now.is_checked],
    }
    level, message = Level.OK, 'the board answers'
    if now.has_timeout is None:
        level, message = Level.ERROR, now.reason.text
    elif not now.has_timeout:
        level = Level.WARN
        message = (
            'the firmware has no timeout: torque stays on when this driver is killed; '
            'install firmware/servo2040/main.py on the board'
        )
    elif not now.is_checked:
        level = Level.WARN
        message = 'replies carry no checksum; install this firmware/servo2040/main.py on the board'
    return Health(diagnostics.LINK, level, message, values)


def _joint(index: int, now: DriverStatus, settings: ServoDriverSettings) -> Health:
    limits = settings.to_limits()
    angle = now.angles[index] if now.angles else None
    values = {
        'angle_deg': 'unknown' if angle is None else f'{angle:.2f}',
        'torque': {True: 'on', False: 'off', None: 'unknown'}[now.torque],
        'idle_s': f'{now.idle:.0f}',
    }
    level, message = Level.OK, 'ready'
    if now.state is DriverState.STOPPED:
        level, message = Level.WARN, 'emergency stop, torque off; call rearm to continue'
    elif angle is None:
        level, message = Level.ERROR, f'its angle is unknown: {now.reason.text}'
    elif not limits.low[index] <= angle <= limits.high[index]:
        level, message = Level.WARN, 'outside its limits; the next actions move it back'
    elif now.reason.code is Code.COMMAND_TOO_OLD:
        message = now.reason.text
    elif now.torque and settings.idle_timeout and now.idle > settings.idle_timeout:
        message = 'idle, holding its position'
    return Health(diagnostics.joint(JOINTS[index]), level, message, values)

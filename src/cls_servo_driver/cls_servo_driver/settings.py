"""Parameters of the servo driver."""

from dataclasses import dataclass

from cls_common.driver.link import ReconnectSettings
from cls_common.errors import UserError
from cls_common.settings import group, setting, Settings

from .safety import MotionLimits


@dataclass(frozen=True, kw_only=True)
class LimitSettings(Settings):
    """Limits of angles, steps and speed."""

    pan_deg: float = setting(90.0, 'Pan (S1) stays within plus and minus this.', unit='deg', low=0.0, high=90.0)
    tilt_deg: float = setting(40.0, 'Tilt (S2) stays within plus and minus this.', unit='deg', low=0.0, high=90.0)
    max_delta_deg: float = setting(10.0, 'Largest change by one action, each axis.', unit='deg', low=0.1, high=90.0)
    rate_deg: float = setting(
        0.0, 'Largest mean speed from one action to the next; 0: any.', unit='deg/s', low=0.0, high=1000.0
    )


@dataclass(frozen=True, kw_only=True)
class ServoDriverSettings(Settings):
    """Parameters of servo_driver."""

    autostart: bool = setting(True, 'Configure and activate at start.')
    port: str = setting('', 'Serial port; empty: the only RP2040 board that is plugged in.')
    baud: int = setting(115200, 'Line speed.', unit='baud', low=1200, high=4000000)
    limits: LimitSettings = group(LimitSettings)
    settle_time: float = setting(0.1, 'From the end of an action until images show it.', unit='s', low=0.0, high=10.0)
    command_age: float = setting(
        1.0, 'Actions with an older stamp are refused; 0: any age.', unit='s', low=0.0, high=60.0
    )
    idle_timeout: float = setting(
        60.0, 'Time without an action after which the robot is idle; 0: never.', unit='s', low=0.0, high=86400.0
    )
    idle_torque: str = setting(
        'hold',
        'Torque of an idle robot: hold its position, or release until the next action.',
        choices=('hold', 'release'),
    )
    torque_off_on_exit: bool = setting(True, 'Switch the outputs off when the driver ends or is deactivated.')
    joint_rate: float = setting(
        10.0, 'Rate of joint states, in addition to those after each move.', unit='Hz', low=0.1, high=100.0
    )
    open_wait: float = setting(
        1.0, 'Time to wait after opening, for a board that is starting.', unit='s', low=0.0, high=10.0
    )
    reply_timeout: float = setting(
        0.5, 'Time without a reply after which the link is lost.', unit='s', low=0.05, high=10.0
    )
    firmware_timeout: float = setting(
        1.0, 'Time without a request after which the board switches torque off.', unit='s', low=0.1, high=60.0
    )
    keepalive: float = setting(0.25, 'Period of requests that keep the board alive.', unit='s', low=0.02, high=10.0)
    reconnect: ReconnectSettings = group(ReconnectSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 2 * self.keepalive > self.firmware_timeout:
            raise UserError(
                'parameter "keepalive"',
                expected=f'at most half of firmware_timeout, {self.firmware_timeout / 2} s',
                found=f'{self.keepalive} s',
                do='Otherwise the board switches torque off while the driver runs.',
            )

    def to_limits(self) -> MotionLimits:
        """Returns the limits for `safety.next_angles`."""
        pan, tilt = self.limits.pan_deg, self.limits.tilt_deg
        return MotionLimits((-pan, -tilt), (pan, tilt), self.limits.max_delta_deg, self.limits.rate_deg)

"""Parameters of the JetBot driver."""

from dataclasses import dataclass

from cls_common.driver.link import ReconnectSettings
from cls_common.errors import UserError
from cls_common.settings import group, setting, Settings

from .hosts import find_address, LOOPBACK
from .motion import action_table, Motors, RAMP

PORT = 18861


@dataclass(frozen=True, kw_only=True)
class JetBotReconnectSettings(ReconnectSettings):
    """Waits between attempts to open a lost link; the first attempt is early, since it stops the motors."""

    first: float = setting(0.05, 'Wait before the first attempt; doubles with each.', unit='s', low=0.01, high=60.0)


@dataclass(frozen=True, kw_only=True)
class JetBotDriverSettings(Settings):
    """Parameters of jetbot_driver."""

    autostart: bool = setting(True, 'Configure and activate at start.')
    host: str = setting('127.0.0.1', 'Name or IP address of the robot.')
    port: int = setting(PORT, 'Port of its remote calls.', low=1, high=65535)
    allowed_hosts: str = setting(
        LOOPBACK, 'Hosts that may be connected to: names, IP addresses or networks, with spaces between.'
    )
    motor_left: str = setting('0', 'Values of the left motor, with spaces between.')
    motor_right: str = setting('0 0.12', 'Values of the right motor, with spaces between.')
    max_motor: float = setting(0.3, 'Largest motor value; 1: full speed.', low=0.0, high=1.0)
    duration: float = setting(
        0.2, 'From the start of an action until its ramp down, ramp up included.', unit='s', low=RAMP, high=2.0
    )
    settle_time: float = setting(0.1, 'From the end of an action until images show it.', unit='s', low=0.0, high=10.0)
    command_age: float = setting(
        1.0, 'Actions with an older stamp are refused; 0: any age.', unit='s', low=0.0, high=60.0
    )
    motor_timeout: float = setting(
        0.5, 'Time without confirmation of a motor command after which the link is lost.', unit='s', low=0.05, high=5.0
    )
    request_timeout: float = setting(
        30.0,
        'Time without an answer after which the connection of the camera is lost.',
        unit='s',
        low=0.1,
        high=300.0,
    )
    keepalive: float = setting(0.2, 'Period in which motors at rest are set to 0 again.', unit='s', low=0.02, high=10.0)
    frame_rate: float = setting(30.0, 'Maximal rate of images.', unit='Hz', low=0.1, high=120.0)
    battery_min: float = setting(
        9.9, 'Voltage below which the robot is in fault, if it reports one; 0: any.', unit='V', low=0.0, high=60.0
    )
    battery_period: float = setting(5.0, 'Period of reading the battery.', unit='s', low=0.05, high=600.0)
    give_up: float = setting(
        10.0, 'Time without the robot after which the driver, and so the run, ends; 0: never.', unit='s', low=0.0,
        high=86400.0,
    )  # fmt: skip
    reconnect: JetBotReconnectSettings = group(JetBotReconnectSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.actions()

    def actions(self) -> tuple[Motors, ...]:
        """Returns the motors' values by number of the action."""
        left, right = _values('motor_left', self.motor_left), _values('motor_right', self.motor_right)
        return action_table(left, right, self.max_motor)

    def address(self) -> tuple[str, int]:
        """Returns the robot's IP address and port; raises UserError if the host is not allowed."""
        return find_address(self.host, self.port, self.allowed_hosts.split())


def _values(name: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split()]
    except ValueError as error:
        raise UserError(f'parameter {name!r}', expected='numbers with spaces between', found=repr(text)) from error

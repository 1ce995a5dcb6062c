"""Description of the JetBot for other nodes, and its diagnostics."""

from cls_common import diagnostics
from cls_common.diagnostics import Health, Level
from cls_common.driver.safety import DriverState
from cls_common.robot import Channel, Kind, RobotInfo

from .controller import CHANNEL, JetBotStatus
from .settings import JetBotDriverSettings


def describe(settings: JetBotDriverSettings) -> RobotInfo:
    """Returns its one channel, the number of an action, and its settle time."""
    return RobotInfo(
        name='jetbot',
        modalities=('camera',),
        channels=(Channel(CHANNEL, Kind.DISCRETE, '', 0.0, float(len(settings.actions()) - 1)),),
        settle_time=settings.settle_time,
    )


def report(status: JetBotStatus) -> Health:
    """Returns the health of the link to the robot (REP-107)."""
    values = {
        'latency_ms': f'{1000 * status.latency:.1f}',
        'battery [V]': 'unknown' if status.battery is None else f'{status.battery:.1f}',
        'motors': {True: 'turning', False: 'at 0', None: 'unknown'}[status.is_turning],
        'moves': status.moves,
        'refused': status.refused,
        'lost links': status.losses,
    }
    level, message = Level.OK, 'the robot answers'
    if status.state is DriverState.STOPPED:
        level, message = Level.WARN, status.reason.text
    elif status.state is DriverState.FAULT:
        level, message = Level.ERROR, status.reason.text
    return Health(diagnostics.LINK, level, message, values)

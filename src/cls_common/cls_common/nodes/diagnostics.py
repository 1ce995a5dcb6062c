"""Messages of `/diagnostics`."""

from collections.abc import Sequence

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from ..diagnostics import Health, in_namespace


def to_diagnostics(namespace: str, hardware_id: str, health: Sequence[Health], stamp: Time) -> DiagnosticArray:
    """Returns the message of the parts of one device, with the namespace in names and hardware_id."""
    message = DiagnosticArray()
    message.header.stamp = stamp
    message.status = [
        DiagnosticStatus(
            level=bytes([line.level]),
            name=in_namespace(namespace, line.name),
            message=line.message,
            hardware_id=in_namespace(namespace, hardware_id),
            values=[KeyValue(key=key, value=str(value)) for key, value in line.values.items()],
        )
        for line in health
    ]
    return message

"""From a learner's status message to plain data."""

import dataclasses

from cls_interfaces.msg import LearnerStatus

from ..snapshot import Snapshot

_CONVERTED = ('joints', 'metrics')
_SAME = tuple(field.name for field in dataclasses.fields(Snapshot) if field.name not in _CONVERTED)


def to_snapshot(message: LearnerStatus) -> Snapshot:
    """Returns the same as plain data."""
    return Snapshot(
        joints=tuple(message.joints),
        metrics=dict(zip(message.metric_names, message.metric_values)),
        **{name: getattr(message, name) for name in _SAME},
    )

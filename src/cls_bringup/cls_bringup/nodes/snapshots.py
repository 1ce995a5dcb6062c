"""Conversion of status messages to plain data."""

import dataclasses

from cls_interfaces.msg import LearnerStatus, PlayerStatus

from ..snapshot import Replayed, Snapshot

_CONVERTED = ('joints', 'metrics', 'headlines', 'alarms')
_PLAYER_STATES = {
    PlayerStatus.WAITING: 'waiting',
    PlayerStatus.PLAYING: 'playing',
    PlayerStatus.PAUSED: 'paused',
    PlayerStatus.FINISHED: 'finished',
}
_SAME = tuple(field.name for field in dataclasses.fields(Snapshot) if field.name not in _CONVERTED)


def to_snapshot(message: LearnerStatus) -> Snapshot:
    """Returns the message as plain data."""
    return Snapshot(
        joints=tuple(message.joints),
        alarms=tuple(message.alarms),
        metrics={metric.name: metric.value for metric in message.metrics},
        headlines={metric.name: metric.higher_is_better for metric in message.metrics if metric.headline},
        **{name: getattr(message, name) for name in _SAME},
    )


def to_replayed(message: PlayerStatus) -> Replayed:
    """Returns the message as plain data."""
    return Replayed(
        state=_PLAYER_STATES[message.state],
        session=message.session,
        session_index=message.session_index,
        sessions=message.sessions,
        progress=message.progress,
        rate=message.rate,
        steps=message.steps,
        filtered=message.filtered,
        unanswered=message.unanswered,
        missing=tuple(message.missing),
        fault=message.fault,
    )

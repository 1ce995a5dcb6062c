"""Between ROS messages and what the halves work with."""

from collections.abc import Mapping

import numpy as np

from cls_common.nodes.conversions import to_array, to_floats, to_nanoseconds, to_time
from cls_interfaces.msg import Experience as ExperienceMessage
from cls_interfaces.msg import LearnerStatus

from ..types import Experience, Transition

_METRICS = ('fast_loss', 'policy_loss', 'curiosity_reward')


def to_experience_message(
    experience: Experience, run_id: str, encoder_id: str, encoder_version: int
) -> ExperienceMessage:
    """Makes the message; the header's stamp is left to the node."""
    t = experience.transition
    message = ExperienceMessage(
        run_id=run_id, sequence=experience.sequence, episode=experience.episode, stamp_z=to_time(t.stamp_z),
        stamp_next=to_time(t.stamp_next), encoder_id=encoder_id, encoder_version=encoder_version,
        z=to_floats(t.z), z_next=to_floats(t.z_next), action_commanded=to_floats(t.action_commanded),
        action_applied=to_floats(t.action_applied), joints=to_floats(t.joints, 'd'),
        joints_next=to_floats(t.joints_next, 'd'), error_before=experience.error_before,
        copy_error=experience.copy_error, prediction_after=to_floats(experience.prediction_after),
        normalizer_version=experience.normalizer_version, boundary=t.boundary, reward=t.reward, terminal=t.terminal,
        truncated=t.truncated,
    )  # fmt: skip
    for name in _METRICS:
        setattr(message, name, experience.metrics.get(name, float('nan')))
    return message


def from_experience_message(message: ExperienceMessage) -> Experience:
    """Reads the message."""
    transition = Transition(
        z=_floats(message.z), z_next=_floats(message.z_next), action_commanded=_floats(message.action_commanded),
        action_applied=_floats(message.action_applied), joints=to_array(message.joints, np.float64),
        joints_next=to_array(message.joints_next, np.float64), boundary=message.boundary,
        stamp_z=to_nanoseconds(message.stamp_z), stamp_next=to_nanoseconds(message.stamp_next), reward=message.reward,
        terminal=message.terminal, truncated=message.truncated,
    )  # fmt: skip
    metrics = {name: getattr(message, name) for name in _METRICS}
    return Experience(
        transition=transition, sequence=message.sequence, episode=message.episode, error_before=message.error_before,
        copy_error=message.copy_error, prediction_after=_floats(message.prediction_after),
        normalizer_version=message.normalizer_version,
        metrics={name: value for name, value in metrics.items() if value == value},
    )  # fmt: skip


def set_metrics(status: LearnerStatus, metrics: Mapping[str, float]) -> None:
    """Fills names and values."""
    status.metric_names = list(metrics)
    status.metric_values = to_floats(list(metrics.values()), 'd')


def _floats(values: object) -> np.ndarray:
    # A copy: the message's buffer goes with the message.
    return np.array(values, np.float32)

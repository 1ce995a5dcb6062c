"""Between ROS messages and what the halves work with."""

from collections.abc import Mapping

import numpy as np

from cls_common.nodes.conversions import to_array, to_floats, to_nanoseconds, to_time
from cls_interfaces.action import Sleep
from cls_interfaces.msg import Experience as ExperienceMessage
from cls_interfaces.msg import LearnerStatus

from ..agent.sleeping import SleepingHalf
from ..types import Experience, Transition
from .jobs import SleepJob

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
        truncated=t.truncated, image_delay=t.image_delay,
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
        terminal=message.terminal, truncated=message.truncated, image_delay=message.image_delay,
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


def set_unknown(status: LearnerStatus) -> None:
    """Says that no figure is known yet."""
    status.skill = status.probe_skill = status.forgetting = status.action_use = float('nan')


def set_mornings(status: LearnerStatus, half: SleepingHalf) -> None:
    """Fills what the sleeping half knows by its probes, and its alarms."""
    mornings = half.mornings
    status.probe_skill, status.forgetting = mornings.skill, mornings.forgetting
    status.action_use, status.nights_rolled_back = mornings.action_use, mornings.rolled_back
    status.alarms = half.alarms


def to_result(job: SleepJob) -> Sleep.Result:
    """Makes the answer to a goal."""
    steps, means, verdict = job.statistics.steps, job.statistics.means, job.verdict
    # Where no phase came to its turn there was nothing to judge either.
    status = f'{job.statistics.text()}, gate: {verdict.text()}' if job.statistics.text() else ''
    return Sleep.Result(
        error_code=job.code, error_msg=job.message, status=status, sws_steps=steps.get('sws', 0),
        rem_steps=steps.get('rem', 0), tether_steps=steps.get('tether', 0), avg_l_dyn=means['avg_l_dyn'],
        avg_l_sws=means['avg_l_sws'], avg_l_ms=means['avg_l_ms'], avg_l_rem=means['avg_l_rem'],
        avg_tether_loss=means['avg_tether_loss'], duration=job.duration, probes=verdict.probes,
        skill_before=verdict.skill_before, skill_after=verdict.skill_after, fast_before=verdict.fast_before,
        fast_after=verdict.fast_after, change=verdict.change, change_low=verdict.low, change_high=verdict.high,
        rolled_back=verdict.rolled_back,
    )  # fmt: skip


def _floats(values: object) -> np.ndarray:
    # A copy: the message's buffer goes with the message.
    return np.array(values, np.float32)

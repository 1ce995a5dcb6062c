"""From experiences and metrics to messages; `cls_common.experience_codec` reads them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cls_interfaces.msg import Experience as ExperienceMessage
from cls_interfaces.msg import Metric as MetricMessage
from cls_interfaces.msg import NamedArray
from cls_interfaces.msg import Reading as ReadingMessage

from ..transition import Experience, Observation
from .conversions import to_bytes, to_floats, to_time


def to_experience_message(
    experience: Experience, run_id: str, brain: str, *, ends_cycle: bool = False
) -> ExperienceMessage:
    """Makes the message; the header's stamp is left to the node."""
    t = experience.transition
    return ExperienceMessage(
        run_id=run_id, sequence=experience.sequence, episode=experience.episode, brain=brain, boundary=t.boundary,
        before=_to_readings(t.before), after=_to_readings(t.after), action_commanded=to_floats(t.action_commanded),
        action_applied=to_floats(t.action_applied), joints=to_floats(t.joints, 'd'),
        joints_next=to_floats(t.joints_next, 'd'), image_delay=t.image_delay, reward=t.reward, terminal=t.terminal,
        truncated=t.truncated, extras=[to_named_array(name, value) for name, value in experience.extras.items()],
        metrics=to_metrics(experience.metrics), ends_cycle=ends_cycle,
    )  # fmt: skip


def _to_readings(observation: Observation) -> list[ReadingMessage]:
    return [
        ReadingMessage(
            array=to_named_array(name, reading.data),
            stamp=to_time(reading.stamp),
            encoder_id=reading.encoder_id,
            encoder_version=reading.encoder_version,
        )
        for name, reading in observation.readings.items()
    ]


def to_named_array(name: str, array: NDArray[np.generic]) -> NamedArray:
    """Makes the message of an array of uint8, float32, float64 or int64."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder('<'))
    return NamedArray(name=name, dtype=array.dtype.name, shape=list(array.shape), data=to_bytes(little.tobytes()))


def to_metrics(metrics: Mapping[str, float], headlines: Mapping[str, bool] = {}) -> list[MetricMessage]:
    """Makes the messages of figures by name.

    Args:
        headlines: those that a view shows first, each with whether higher is better.
    """
    return [
        MetricMessage(
            name=name, value=float(value), headline=name in headlines, higher_is_better=headlines.get(name, False)
        )
        for name, value in metrics.items()
    ]

"""The one codec of experiences: as named arrays for journals and files, and from messages of every version.

Messages are read by their fields, so that received and recorded ones need one reader and no ROS.

An experience becomes a flat dict of arrays and one header, JSON in bytes. Version 1, of the time when a transition was
a pair of embeddings, is still read: from journals by `from_arrays`, from recorded messages by `from_message`.
"""

from collections.abc import Mapping
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .stamps import to_nanoseconds
from .step_builder import Applied
from .transition import Experience, Observation, Reading, Transition

Arrays = dict[str, NDArray[Any]]
_MOTION = ('action_commanded', 'action_applied', 'joints', 'joints_next')
_FACTS = ('boundary', 'reward', 'terminal', 'truncated', 'image_delay')
_HEADER = 'header'
# The metrics that were fields of messages of version 1.
_METRICS_1 = ('error_before', 'copy_error', 'fast_loss', 'policy_loss', 'curiosity_reward')
_DTYPES = {'uint8', 'float32', 'float64', 'int64'}


def to_arrays(experience: Experience) -> Arrays:
    """Returns contiguous arrays by name: `before.NAME`, `after.NAME`, `extra.NAME`, the motion, and `header`."""
    t = experience.transition
    arrays = {name: getattr(t, name) for name in _MOTION}
    header: dict[str, Any] = {
        'sequence': experience.sequence,
        'episode': experience.episode,
        'metrics': dict(experience.metrics),
        **{name: getattr(t, name) for name in _FACTS},
    }
    for when, observation in (('before', t.before), ('after', t.after)):
        arrays |= {f'{when}.{name}': reading.data for name, reading in observation.readings.items()}
        header[when] = {name: [r.stamp, r.encoder_id, r.encoder_version] for name, r in observation.readings.items()}
    arrays |= {f'extra.{name}': value for name, value in experience.extras.items()}
    arrays[_HEADER] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Experience:
    """Reads what `to_arrays` of this or an older version made; raises KeyError or ValueError where it can't."""
    if _HEADER not in arrays:
        return _from_arrays_1(arrays)
    header = json.loads(arrays[_HEADER].tobytes())
    parts: dict[str, Any] = {name: arrays[name].copy() for name in _MOTION} | {name: header[name] for name in _FACTS}
    transition = Transition(
        before=_observation(arrays, header, 'before'), after=_observation(arrays, header, 'after'), **parts
    )
    extras = {name.removeprefix('extra.'): a.copy() for name, a in arrays.items() if name.startswith('extra.')}
    return Experience(
        transition=transition, sequence=header['sequence'], episode=header['episode'], extras=extras,
        metrics=header['metrics'],
    )  # fmt: skip


def _observation(arrays: Mapping[str, NDArray[Any]], header: Mapping[str, Any], when: str) -> Observation:
    return Observation({name: Reading(arrays[f'{when}.{name}'].copy(), *about) for name, about in header[when].items()})


def _from_arrays_1(arrays: Mapping[str, NDArray[Any]]) -> Experience:
    sequence, episode, version, boundary, stamp_z, stamp_next, terminal, truncated = (int(v) for v in arrays['counts'])
    error_before, copy_error, reward = (float(v) for v in arrays['numbers'])
    transition = Transition.of_embeddings(
        z=arrays['z'].copy(), z_next=arrays['z_next'].copy(), stamp_z=stamp_z, stamp_next=stamp_next,
        **{name: arrays[name].copy() for name in _MOTION}, boundary=bool(boundary), reward=reward,
        terminal=bool(terminal), truncated=bool(truncated),
        image_delay=int(arrays['image_delay'][0]) if 'image_delay' in arrays else 0,
    )  # fmt: skip
    return Experience(
        transition=transition, sequence=sequence, episode=episode,
        extras=_extras_1(arrays['prediction_after'], version),
        metrics={'error_before': error_before, 'copy_error': copy_error},
    )  # fmt: skip


def _extras_1(prediction_after: Any, normalizer_version: int) -> Arrays:
    return {
        'prediction_after': np.array(prediction_after, np.float32),
        'normalizer_version': np.array([normalizer_version], np.int64),
    }


def from_message(message: Any) -> Experience:
    """Reads a cls_interfaces/Experience, received or recorded, of this version or of version 1.

    Raises:
        ValueError: an array is not what its shape and dtype say.
    """
    m = message
    shared: dict[str, Any] = {
        'action_commanded': np.array(m.action_commanded, np.float32),
        'action_applied': np.array(m.action_applied, np.float32), 'joints': np.array(m.joints, np.float64),
        'joints_next': np.array(m.joints_next, np.float64), 'boundary': bool(m.boundary), 'reward': float(m.reward),
        'terminal': bool(m.terminal), 'truncated': bool(m.truncated), 'image_delay': int(getattr(m, 'image_delay', 0)),
    }  # fmt: skip
    if hasattr(m, 'z'):
        return _from_message_1(m, shared)
    transition = Transition(before=_from_readings(m.before), after=_from_readings(m.after), **shared)
    return Experience(
        transition=transition, sequence=int(m.sequence), episode=int(m.episode),
        extras={extra.name: to_ndarray(extra) for extra in m.extras},
        metrics={metric.name: float(metric.value) for metric in m.metrics},
    )  # fmt: skip


def _from_message_1(m: Any, shared: Mapping[str, Any]) -> Experience:
    about = (str(m.encoder_id), int(m.encoder_version))
    transition = Transition(
        before=Observation.of_embedding(np.array(m.z, np.float32), to_nanoseconds(m.stamp_z), *about),
        after=Observation.of_embedding(np.array(m.z_next, np.float32), to_nanoseconds(m.stamp_next), *about), **shared,
    )  # fmt: skip
    metrics = {name: float(getattr(m, name)) for name in _METRICS_1}
    return Experience(
        transition=transition, sequence=int(m.sequence), episode=int(m.episode),
        extras=_extras_1(m.prediction_after, int(m.normalizer_version)),
        metrics={name: value for name, value in metrics.items() if value == value},
    )  # fmt: skip


def _from_readings(readings: Any) -> Observation:
    return Observation(
        {
            str(r.array.name): Reading(
                to_ndarray(r.array), to_nanoseconds(r.stamp), str(r.encoder_id), int(r.encoder_version)
            )
            for r in readings
        }
    )


def to_ndarray(message: Any) -> NDArray[Any]:
    """Reads a cls_interfaces/NamedArray to an array of its own; raises ValueError where it contradicts itself."""
    dtype, shape = str(message.dtype), tuple(int(n) for n in message.shape)
    if dtype not in _DTYPES:
        raise ValueError(f'array {message.name!r}: expected a dtype of {sorted(_DTYPES)}, found {dtype!r}')
    # A copy: the message's buffer goes with the message.
    return np.frombuffer(bytes(message.data), np.dtype(dtype).newbyteorder('<')).astype(dtype).reshape(shape)


def from_embedding(message: Any) -> Reading:
    """Reads a cls_interfaces/Embedding, received or recorded: float32 (D,)."""
    m = message
    return Reading(np.array(m.data, np.float32), to_nanoseconds(m.header.stamp), str(m.encoder_id), int(m.version))


def from_observation(message: Any) -> Reading:
    """Reads a cls_interfaces/Observation, received or recorded: float32 (D,)."""
    return Reading(np.array(message.data, np.float32), to_nanoseconds(message.header.stamp))


def from_applied_action(message: Any) -> Applied:
    """Reads a cls_interfaces/AppliedAction, received or recorded; the error code is left to the caller."""
    m = message
    return Applied(
        np.array(m.commanded, np.float32), np.array(m.applied, np.float32), np.array(m.joints_before, np.float64),
        np.array(m.joints_after, np.float64), to_nanoseconds(m.start), to_nanoseconds(m.end), float(m.reward),
        bool(m.terminal), bool(m.truncated),
    )  # fmt: skip

"""Transitions are checked; experiences survive arrays and messages, and version 1 of both is still read."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
import numpy as np
from numpy.typing import NDArray
import pytest
from rclpy.serialization import deserialize_message, serialize_message

from cls_common.errors import UserError
from cls_common.experience_codec import (
    from_applied_action,
    from_arrays,
    from_embedding,
    from_message,
    from_observation,
    to_arrays,
    to_ndarray,
)  # fmt: skip
from cls_common.nodes.conversions import to_floats, to_time
from cls_common.nodes.experience_messages import to_experience_message, to_named_array
from cls_common.robot import Channel, Kind, RobotInfo
from cls_common.transition import CAMERA, check, EMBEDDING, Experience, Observation, Reading, Transition
from cls_interfaces.msg import AppliedAction, Embedding
from cls_interfaces.msg import Experience as ExperienceMessage
from cls_interfaces.msg import Observation as ObservationMessage

# ns that builtin_interfaces/Time can hold.
STAMPS = st.integers(-(2**31) * 10**9, (2**31 - 1) * 10**9)
# Fields of the messages are float32; the arrays hold every float.
FLOATS = st.floats(width=32, allow_nan=True)
NAMES = st.text('abc_', min_size=1, max_size=6)


def vectors(dtype: Any, low: int = 0) -> st.SearchStrategy[NDArray[Any]]:
    return arrays(dtype, st.integers(low, 6))


def readings(shape: st.SearchStrategy[NDArray[Any]]) -> st.SearchStrategy[Reading]:
    return st.builds(Reading, shape, STAMPS, st.text('abc-1', max_size=8), st.integers(0, 2**32 - 1))


IMAGES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=5).map(lambda size: (*size, 3)))
OBSERVATIONS = st.fixed_dictionaries(
    {EMBEDDING: readings(vectors(np.float32, 1))},
    optional={CAMERA: readings(IMAGES), 'state': readings(vectors(np.float32, 1))},
).map(Observation)
TRANSITIONS = st.builds(
    Transition, before=OBSERVATIONS, after=OBSERVATIONS, action_commanded=vectors(np.float32),
    action_applied=vectors(np.float32), joints=vectors(np.float64), joints_next=vectors(np.float64),
    boundary=st.booleans(), reward=FLOATS, terminal=st.booleans(), truncated=st.booleans(),
    image_delay=st.integers(0, 3),
)  # fmt: skip
EXTRAS = st.one_of(
    *(arrays(dtype, array_shapes(min_dims=1, max_dims=3, max_side=3)) for dtype in ('u1', 'f4', 'f8', 'i8'))
)
EXPERIENCES = st.builds(
    Experience, transition=TRANSITIONS, sequence=st.integers(0, 2**53), episode=st.integers(0, 2**32 - 1),
    extras=st.dictionaries(NAMES, EXTRAS, max_size=3), metrics=st.dictionaries(NAMES, st.floats(), max_size=3),
)  # fmt: skip


def flat(experience: Experience) -> dict[str, Any]:
    """Returns all that an experience holds, by name."""
    t = experience.transition
    found: dict[str, Any] = {'sequence': experience.sequence, 'episode': experience.episode, **vars(t)}
    for when in ('before', 'after'):
        for name, reading in found.pop(when).readings.items():
            found |= {f'{when}.{name}.{field}': value for field, value in vars(reading).items()}
    for kind, values in (('extra', experience.extras), ('metric', experience.metrics)):
        found |= {f'{kind}.{name}': value for name, value in values.items()}
    return found


def assert_same(experience: Experience, original: Experience) -> None:
    """Everything equals, with its type, dtype and shape; NaN equals NaN; arrays can be written."""
    found, expected = flat(experience), flat(original)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert type(value) is type(expected[name]), name
        np.testing.assert_array_equal(value, expected[name], name, strict=True)
        assert not isinstance(value, np.ndarray) or value.flags.writeable, name


@given(EXPERIENCES)
def test_an_experience_survives_arrays(experience: Experience) -> None:
    stored = to_arrays(experience)
    assert all(array.flags.c_contiguous for array in stored.values())
    assert_same(from_arrays(stored), experience)


@given(EXPERIENCES, st.booleans())
def test_an_experience_survives_a_message(experience: Experience, ends_cycle: bool) -> None:
    message = to_experience_message(experience, 'run', 'cls', ends_cycle=ends_cycle)
    received = deserialize_message(serialize_message(message), ExperienceMessage)
    assert (received.run_id, received.brain, received.ends_cycle) == ('run', 'cls', ends_cycle)
    assert_same(from_message(received), experience)


def test_what_is_read_owns_its_arrays() -> None:
    """A message's buffer and a file that was mapped may go before what was read from them."""
    z = np.zeros(3, np.float32)
    transition = made(before=Observation.of_embedding(z), after=Observation.of_embedding(z))
    experience = Experience(transition=transition, sequence=1, episode=1, extras={'x': np.zeros(2)})
    stored = to_arrays(experience)
    message = to_experience_message(experience, '', 'cls')
    for found, sources in (
        (from_arrays(stored), [array for name, array in stored.items() if name != 'header']),
        (from_message(message), [np.frombuffer(r.array.data, np.uint8) for r in (*message.before, *message.after)]),
    ):
        assert not any(np.shares_memory(found.transition.z, source) for source in sources)
        found.transition.z[:] = 7.0
    assert not z.any()


@pytest.mark.parametrize('lost', ['header', 'joints', 'before.embedding', 'after.embedding'])
def test_arrays_with_a_missing_part_are_refused(lost: str) -> None:
    stored = to_arrays(Experience(transition=made(), sequence=1, episode=1))
    del stored[lost]
    with pytest.raises(KeyError):
        from_arrays(stored)


@pytest.mark.parametrize(
    'field, value, error',
    [('dtype', 'object', 'expected a dtype of'), ('shape', [3, 2], 'reshape'), ('data', bytes(7), 'multiple')],
)
def test_an_array_that_contradicts_itself_is_refused(field: str, value: Any, error: str) -> None:
    message = to_named_array('x', np.zeros((2, 2), np.float32))
    setattr(message, field, value)
    with pytest.raises(ValueError, match=error):
        to_ndarray(message)


# --- Version 1


def floats(count: int, start: float) -> NDArray[np.float32]:
    return np.arange(start, start + count, dtype=np.float32)


def arrays_1(**changes: Any) -> dict[str, NDArray[Any]]:
    """Returns what version 1 wrote; counts: sequence, episode, normaliser, boundary, stamps, terminal, truncated."""
    return {
        'z': floats(4, 0), 'z_next': floats(4, 10), 'prediction_after': floats(4, 20),
        'action_commanded': floats(2, 30), 'action_applied': floats(2, 40), 'joints': np.array([0.1, 0.2]),
        'joints_next': np.array([0.3, 0.4]), 'counts': np.array([12, 3, 5, 1, 700, 2**62, 0, 1], np.int64),
        'numbers': np.array([0.5, 0.25, -1.5]), **changes,
    }  # fmt: skip


@pytest.mark.parametrize('delay', [None, 2])
def test_arrays_of_version_1_are_read(delay: int | None) -> None:
    changes = {} if delay is None else {'image_delay': np.array([delay], np.int64)}
    expected = Experience(
        transition=made(
            before=Observation.of_embedding(floats(4, 0), 700), after=Observation.of_embedding(floats(4, 10), 2**62),
            boundary=True, reward=-1.5, truncated=True, image_delay=delay or 0,
        ),
        sequence=12, episode=3, metrics={'error_before': 0.5, 'copy_error': 0.25},
        extras={'prediction_after': floats(4, 20), 'normalizer_version': np.array([5], np.int64)},
    )  # fmt: skip
    found = from_arrays(arrays_1(**changes))
    assert_same(found, expected)
    assert_same(from_arrays(to_arrays(found)), expected)


def test_a_message_of_version_1_is_read() -> None:
    """As a bag gives it: an object with the fields that the message had then."""
    source = arrays_1()
    message = SimpleNamespace(
        **{name: source[name] for name in source if name not in ('counts', 'numbers')}, run_id='run', sequence=12,
        episode=3, boundary=True, stamp_z=to_time(700), stamp_next=to_time(2**60), encoder_id='e', encoder_version=2,
        image_delay=1, error_before=0.5, copy_error=0.25, normalizer_version=5, fast_loss=0.125,
        policy_loss=float('nan'), curiosity_reward=2.0, reward=-1.5, terminal=False, truncated=True, ends_cycle=False,
    )  # fmt: skip
    expected = Experience(
        transition=made(
            before=Observation.of_embedding(floats(4, 0), 700, 'e', 2),
            after=Observation.of_embedding(floats(4, 10), 2**60, 'e', 2),
            boundary=True, reward=-1.5, truncated=True, image_delay=1,
        ),
        sequence=12, episode=3,
        metrics={'error_before': 0.5, 'copy_error': 0.25, 'fast_loss': 0.125, 'curiosity_reward': 2.0},
        extras={'prediction_after': floats(4, 20), 'normalizer_version': np.array([5], np.int64)},
    )  # fmt: skip
    assert_same(from_message(message), expected)
    del message.image_delay  # the first messages of version 1 had none
    expected = replace(expected, transition=replace(expected.transition, image_delay=0))
    assert_same(from_message(message), expected)


# --- Other messages


def test_embeddings_observations_and_applied_actions_are_read() -> None:
    embedding = Embedding(data=to_floats([1.0, 2.0]), encoder_id='e', version=3)
    embedding.header.stamp = to_time(5)
    observation = ObservationMessage(data=to_floats([3.0]))
    observation.header.stamp = to_time(6)
    for found, expected in (
        (from_embedding(embedding), Reading(np.array([1, 2], np.float32), 5, 'e', 3)),
        (from_observation(observation), Reading(np.array([3], np.float32), 6)),
    ):
        np.testing.assert_array_equal(found.data, expected.data, strict=True)
        assert replace(found, data=expected.data) == expected
    message = AppliedAction(
        commanded=to_floats([1.0]), applied=to_floats([0.5]), joints_before=to_floats([0.1], 'd'),
        joints_after=to_floats([0.2], 'd'), start=to_time(7), end=to_time(8), reward=1.5, terminal=True,
    )  # fmt: skip
    applied = from_applied_action(message)
    for array, value, dtype in (
        (applied.commanded, 1.0, np.float32), (applied.applied, 0.5, np.float32),
        (applied.joints_before, 0.1, np.float64), (applied.joints_after, 0.2, np.float64),
    ):  # fmt: skip
        np.testing.assert_array_equal(array, np.array([value], dtype), strict=True)
    assert (applied.start, applied.end, applied.reward) == (7, 8, 1.5)
    assert (applied.terminal, applied.truncated) == (True, False)


# --- Transitions


ROBOT = RobotInfo(
    name='r', modalities=('camera', 'state'), channels=tuple(Channel(n, Kind.RELATIVE, 'deg', -1.0, 1.0) for n in 'ab'),
    joint_names=('a', 'b'), joint_low=(-1.0, -1.0), joint_high=(1.0, 1.0),
)  # fmt: skip
SHAPES = {EMBEDDING: (4,), CAMERA: (2, 3, 3)}


def sensed(**changes: Any) -> Observation:
    """Returns an embedding and an image that fit SHAPES, and a sense that no brain asked for."""
    data = {EMBEDDING: floats(4, 0), CAMERA: np.zeros((2, 3, 3), np.uint8), 'state': floats(1, 0), **changes}
    return Observation({name: Reading(array, 1) for name, array in data.items() if array is not None})


def made(**changes: Any) -> Transition:
    """Returns a transition of a robot with two channels and two joints."""
    values: dict[str, Any] = {
        'before': sensed(), 'after': sensed(), 'action_commanded': floats(2, 30), 'action_applied': floats(2, 40),
        'joints': np.array([0.1, 0.2]), 'joints_next': np.array([0.3, 0.4]), 'boundary': False,
    }  # fmt: skip
    return Transition(**{**values, **changes})


@pytest.mark.parametrize(
    'changes, error',
    [
        ({'before': sensed(embedding=None)}, r'expected embedding before \(4,\); found embedding before missing'),
        ({'after': sensed(camera=None)}, r'expected camera after \(2, 3, 3\); found camera after missing'),
        ({'after': sensed(embedding=floats(5, 0))}, r'expected embedding after \(4,\); found embedding after \(5,\)'),
        ({'before': sensed(camera=np.zeros((3, 2, 3), np.uint8))}, r'found camera before \(3, 2, 3\)'),
        ({'action_commanded': floats(3, 0)}, r'expected action commanded \(2,\); found action commanded \(3,\)'),
        ({'action_applied': floats(1, 0)}, r'expected action applied \(2,\); found action applied \(1,\)'),
        ({'joints': np.zeros(0)}, r'expected joints \(2,\); found joints \(0,\)'),
        ({'joints_next': np.zeros((1, 2))}, r'expected joints next \(2,\); found joints next \(1, 2\)'),
    ],
)
def test_a_transition_of_another_shape_is_refused(changes: dict[str, Any], error: str) -> None:
    with pytest.raises(UserError, match=error):
        check(made(**changes), ROBOT, SHAPES)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize(
    'name', ['embedding before', 'embedding after', 'action commanded', 'action applied', 'joints', 'joints next']
)
def test_one_number_that_is_not_finite_makes_a_transition_refused(name: str, value: float) -> None:
    transition = made(reward=float('nan'))  # of a robot that gives none
    check(transition, ROBOT, SHAPES)
    dict(transition.arrays())[name][-1] = value
    with pytest.raises(UserError, match=f'{name} of a transition; expected finite numbers only; found NaN or infinity'):
        check(transition, ROBOT, SHAPES)


def test_a_transition_between_embeddings_reads_as_one() -> None:
    z, z_next = floats(4, 0), floats(4, 1)
    transition = Transition.of_embeddings(
        z=z, z_next=z_next, stamp_z=3, stamp_next=4, action_commanded=floats(2, 0), action_applied=floats(2, 0),
        joints=np.zeros(2), joints_next=np.zeros(2), boundary=True,
    )  # fmt: skip
    assert transition.z is z and transition.z_next is z_next
    assert (transition.stamp_z, transition.stamp_next) == (3, 4)
    check(transition, ROBOT, {EMBEDDING: (4,)})


def test_the_stamp_of_an_observation_is_that_of_its_newest_reading() -> None:
    observation = Observation({'a': Reading(floats(1, 0), 3), 'b': Reading(floats(1, 1), 5)})
    assert observation.stamp == 5 and observation['b'][0] == 1.0

"""Replay into a learner that perceives images and vectors themselves, in virtual time and without an encoder."""

from pathlib import Path
import random
import sys

from hypothesis import example, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_common.experience_codec import from_applied_action
from cls_common.stamps import to_nanoseconds
from cls_common.step_builder import StepBuilder
from cls_common.transition import Reading
from cls_recording.playback.items import RecordedAction
from cls_recording.playback.settings import PlayerSettings
from cls_recording.playback.step_tracker import StepTracker

sys.path.insert(0, str(Path(__file__).parent))

from learner_simulation import SimulatedLearner

COMPRESSED, RAW, VECTOR = 'camera/image_raw/compressed', 'camera/image_raw', 'observation/state'
ACTION, EMBEDDING, INFO = 'robot/applied_action', 'embedding', 'robot/info'
BOTH = ('camera', 'state')
SENSES = [BOTH, BOTH[::-1], ('camera',), ('state',)]
MS = 1_000_000


def vector(bags, time_ns, size=2):
    data = np.full(size, time_ns % 97, np.float32)
    return bags.make('cls_interfaces/msg/Observation', header=bags.header(time_ns), modality='state', data=data)


def recorded(bags, images, vectors, actions, settle_time=0.0, delays=(0, 0, 0), **robot):
    """A session of images, vectors and actions (start, end, ends_episode), ms after begin; delays of writing: ms."""
    info = bags.robot(settle_time=settle_time, **robot)
    info.modalities = ['camera', 'state']
    messages = []

    def add(topic, at, delay, message):
        messages.append((bags.begin + (at + delay) * MS + len(messages), f'/{topic}', message))

    for at in images:
        add(COMPRESSED, at, delays[0], bags.image(bags.begin + at * MS))
    for at in vectors:
        add(VECTOR, at, delays[1], vector(bags, bags.begin + at * MS))
    for number, (start, end, ends) in enumerate(actions, 1):
        times = bags.begin + end * MS, number
        message = bags.applied(*times, start=bags.stamp(bags.begin + start * MS), terminal=ends)
        add(ACTION, end, delays[2], message)
    return [(bags.begin, '/robot/info', info), *sorted(messages, key=lambda one: one[0])]


def learned_in_order(messages, senses):
    """Steps of a learner that receives everything in the order of the stamps, an action after all up to its end."""
    info = messages[0][2]
    # A message has the settle time in single precision.
    steps = StepBuilder(senses, settle_time=float(np.float32(info.settle_time)), lock_step=info.lock_step)
    names = {f'/{COMPRESSED}': 'camera', f'/{VECTOR}': 'state'}

    def order(one):
        _, topic, message = one
        return (to_nanoseconds(message.end), 1) if topic == f'/{ACTION}' else (to_nanoseconds(message.header.stamp), 0)

    found = []
    for _, topic, message in sorted(messages[1:], key=order):
        if topic == f'/{ACTION}':
            found.append(
                steps.add_applied_action(('fast_learner', message.sequence), from_applied_action(message), 0.0)
            )
        else:
            reading = Reading(np.zeros(1, np.float32), to_nanoseconds(message.header.stamp))
            found.append(steps.add_reading(names[topic], reading))
    return [stamps_of(step) for step in found if step is not None]


def stamps_of(step):
    def of(observation):
        return {name: reading.stamp for name, reading in observation.readings.items()}

    return of(step.before), of(step.after), step.boundary


def play(path, senses=BOTH, **options):
    return SimulatedLearner([path], encoder=None, senses=','.join(senses), rate=0.0, **options).run()


@pytest.fixture(scope='module')
def session(bags, tmp_path_factory):
    """Images every 100 ms, vectors every 70 ms, twelve actions of 100 ms."""
    actions = [(300 * n, 300 * n + 100, False) for n in range(1, 13)]
    messages = recorded(bags, range(0, 4100, 100), range(30, 4100, 70), actions, settle_time=0.05)
    return bags.write(tmp_path_factory.mktemp('senses') / 's', messages), messages


@pytest.mark.parametrize('senses', SENSES)
def test_every_step_is_learned_from_the_senses_themselves_and_no_encoder_is_asked(session, bags, senses):
    path, messages = session
    learner = play(path, senses)
    assert [stamps_of(step) for step in learner.steps] == learned_in_order(messages, senses)
    assert len(learner.steps) == learner.replay.steps == 12 and learner.replay.tracker.unanswered == 0
    assert learner.replay.fault == '' and learner.now < 5.0  # no answer was waited for in vain
    assert {COMPRESSED, VECTOR, ACTION} <= set(learner.topics())
    settled = [bags.begin + (300 * n + 150) * MS for n in range(1, 13)]
    for transition, at in zip(learner.steps, settled):
        periods = {'camera': 100 * MS, 'state': 70 * MS}
        assert all(0 < r.stamp - at <= periods[name] for name, r in transition.after.readings.items())


GAPS = st.lists(st.integers(1, 300), min_size=1, max_size=25)

# Pause before it, duration, ends_episode.
ACTIONS = st.tuples(st.integers(0, 400), st.integers(1, 300), st.booleans())


@settings(max_examples=40)
@given(
    images=GAPS, vectors=GAPS, actions=st.lists(ACTIONS, max_size=10), settle_time=st.sampled_from([0.0, 0.05, 0.3]),
    delays=st.tuples(*3 * [st.integers(0, 400)]), lock_step=st.booleans(), latency=st.floats(0.0, 0.1),
    cycle=st.integers(0, 3), seed=st.integers(0, 2**32), senses=st.sampled_from(SENSES),
)  # fmt: skip
@example(  # the observation after two actions without one between must not overtake the second
    images=[192, 196], vectors=[23, 23, 268, 127], actions=[(312, 2, False), (0, 1, False)], settle_time=0.0,
    delays=(0, 0, 0), lock_step=False, latency=0.0, cycle=0, seed=0, senses=BOTH,
)  # fmt: skip
@example(  # nor an action that ends an incomplete step
    images=[192, 196, 192], vectors=[268, 33, 33, 127], actions=[(312, 31, False), (101, 1, True)], settle_time=0.0,
    delays=(1, 0, 0), lock_step=False, latency=0.0, cycle=0, seed=0, senses=BOTH,
)  # fmt: skip
def test_learned_steps_do_not_depend_on_the_order_of_receipt_delays_or_sleeps(
    bags, tmp_path_factory, images, vectors, actions, settle_time, delays, lock_step, latency, cycle, seed, senses
):
    starts = np.cumsum([sum(action[:2]) for action in [(0, 0), *actions]])
    moved = [(int(at) + wait, int(at) + wait + takes, ends) for at, (wait, takes, ends) in zip(starts, actions)]
    messages = recorded(
        bags, np.cumsum(images).tolist(), np.cumsum(vectors).tolist(), moved, settle_time, delays, lock_step=lock_step
    )
    path = bags.write(tmp_path_factory.mktemp('any') / 's', messages)
    learner = play(path, senses, latency=latency, cycle=cycle, sleep_duration=2.0, shuffle=random.Random(seed).shuffle)
    steps = learned_in_order(messages, senses)
    assert [stamps_of(step) for step in learner.steps] == steps
    assert learner.replay.tracker.unanswered == len(actions) - len(steps)
    # Nothing was waited for in vain: one wait would take 5 s.
    turns = len(images) + len(vectors) + 2 * len(actions) + 10
    assert learner.now < 0.6 + 2.6 * len(learner.sleeps) + turns * (2 * latency + 0.004)


def test_images_recorded_raw_are_published_raw(bags, tmp_path):
    messages = recorded(bags, [], range(0, 1000, 100), [(300, 400, False)])
    stamps = [bags.begin + at * MS for at in range(0, 1000, 100)]
    pixel = {'height': 1, 'width': 1, 'encoding': 'rgb8', 'step': 3, 'data': np.zeros(3, np.uint8)}
    raw = [(t + 1, f'/{RAW}', bags.make('sensor_msgs/msg/Image', header=bags.header(t), **pixel)) for t in stamps]
    learner = play(bags.write(tmp_path / 's', sorted([*messages, *raw], key=lambda one: one[0])))
    assert learner.replay.playlist.selection.senses == {'camera': RAW, 'state': VECTOR}
    assert learner.topics().count(RAW) == 10 and len(learner.steps) == 1


def test_a_recorded_embedding_is_left_out_for_a_learner_that_perceives_none(session, bags, tmp_path):
    _, messages = session
    made = [
        (t + 1, f'/{EMBEDDING}', bags.make('cls_interfaces/msg/Embedding', header=m.header, encoder_id='recorded'))
        for t, topic, m in messages
        if topic == f'/{COMPRESSED}'
    ]
    learner = play(bags.write(tmp_path / 's', sorted([*messages, *made], key=lambda one: one[0])))
    assert EMBEDDING not in learner.topics() and len(learner.steps) == 12


@pytest.mark.parametrize('senses, missing', [('camera,touch', 'observation/touch'), ('camera,state', RAW)])
def test_a_session_without_a_sense_of_the_learner_is_refused_before_any_is_played(
    session, bags, tmp_path, senses, missing
):
    path, messages = session
    other = bags.write(tmp_path / 's', [one for one in messages if one[1] != f'/{COMPRESSED}'])
    with pytest.raises(UserError, match=f'expected the topic {missing}.*which the brain perceives'):
        SimulatedLearner([path, other], encoder=None, senses=senses)


@pytest.mark.parametrize('senses', ['', 'camera,', 'camera,camera'])
def test_senses_that_are_no_names_are_refused(senses):
    with pytest.raises(UserError, match='senses; expected different names separated by commas'):
        PlayerSettings(senses=senses)


def test_embeddings_cannot_be_reused_by_a_learner_that_perceives_none():
    with pytest.raises(UserError, match='embeddings; expected auto, without embedding in senses'):
        PlayerSettings(senses='camera', embeddings='reuse')


def test_the_first_vectors_are_known_before_the_replay_begins(session):
    path, messages = session
    (first,) = SimulatedLearner([path], encoder=None, senses='camera,state').replay.playlist.first_vectors()
    assert first.topic == VECTOR and first.stamp_ns == messages[0][0] + 30 * MS
    assert SimulatedLearner([path], encoder=None, senses='camera').replay.playlist.first_vectors() == []


@pytest.fixture
def tracker():
    """Both senses seen at 100 and 110 ns, and an action from 150 to 200 ns."""
    made = StepTracker(5.0, BOTH)
    made.on_observation(100, 0.0, is_embedded_elsewhere=False, sense='camera')
    made.on_observation(110, 0.0, is_embedded_elsewhere=False, sense='state')
    made.on_action(RecordedAction(('a', 1), (1.0,), 150, 200), 0.0)
    return made


@pytest.mark.parametrize('senses', [BOTH, BOTH[::-1]])
def test_a_step_is_complete_when_every_sense_was_published_and_its_experience_has_the_newest_stamp(tracker, senses):
    tracker.on_observation(210, 1.0, is_embedded_elsewhere=False, sense=senses[0])
    tracker.on_observation(220, 1.0, is_embedded_elsewhere=False, sense=senses[0])
    assert tracker.is_open and not tracker.awaits_anything
    tracker.on_observation(230, 1.0, is_embedded_elsewhere=False, sense=senses[1])
    assert tracker.awaits_experience and not tracker.is_open
    assert not tracker.on_experience(220) and tracker.on_experience(230) and tracker.unanswered == 0


def test_an_action_before_every_sense_was_seen_is_not_waited_for():
    tracker = StepTracker(5.0, BOTH)
    tracker.on_observation(100, 0.0, is_embedded_elsewhere=False, sense='camera')
    tracker.on_action(RecordedAction(('a', 1), (1.0,), 150, 200), 0.0)
    assert not tracker.is_open and tracker.unanswered == 1

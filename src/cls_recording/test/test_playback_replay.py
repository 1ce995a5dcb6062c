"""Replay with a simulated learner in virtual time: published messages, their times, and the learner's steps."""

from pathlib import Path
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_recording.playback.items import Boundary
from cls_recording.playback.replay import PlaybackState
from cls_recording.playback.session_stream import EncoderAnswer
from cls_recording.playback.sources import open_sources

sys.path.insert(0, str(Path(__file__).parent))

from learner_simulation import SimulatedLearner

IMAGE, COMPRESSED, ACTION = 'camera/image_raw', 'camera/image_raw/compressed', 'robot/applied_action'
EMBEDDING, INFO, STATE = 'embedding', 'robot/info', 'robot/state'
STEPS = 12
EMBEDDED = np.ones(1, np.float32)


def embedding(bags, time_ns, encoder_id='recorded'):
    return bags.make('cls_interfaces/msg/Embedding', header=bags.header(time_ns), encoder_id=encoder_id, data=EMBEDDED)


def embedded(bags, messages, encoder_id='recorded'):
    """The same messages and an embedding of each image, 10 ms later."""
    seen = [one for one in messages if one[1].endswith('compressed')]
    stamps = [one[2].header.stamp for one in seen]
    made = [
        (time_ns + 10_000_000, seen[0][1].replace(COMPRESSED, EMBEDDING), embedding(bags, s.sec * 10**9 + s.nanosec))
        for (time_ns, _, _), s in zip(seen, stamps)
    ]
    for _, _, message in made:
        message.encoder_id = encoder_id
    return sorted([*messages, *made], key=lambda one: one[0])


@pytest.fixture(scope='module')
def session(bags, tmp_path_factory):
    """A session with images and embeddings."""
    return bags.write(tmp_path_factory.mktemp('session') / 's', embedded(bags, bags.session_messages(STEPS)))


@pytest.fixture(scope='module')
def images_only(bags, tmp_path_factory):
    return bags.write(tmp_path_factory.mktemp('images') / 's', bags.session_messages(STEPS))


def steps_of(learner):
    """Stamps of z and z_next of every step, and whether it is a boundary."""
    return [(t.stamp_z, t.stamp_next, t.boundary) for t in learner.steps]


def expected(bags, steps=STEPS - 1):
    """Steps that a learner makes of `bags.session_messages`: the image before each action, the first one after it."""
    tenth = bags.second // 10
    return [(bags.begin + (2 * k + 1) * tenth, bags.begin + (2 * k + 3) * tenth, k == 0) for k in range(steps)]


@pytest.mark.parametrize('rate', [0.0, 0.5, 1.0, 100.0])
@pytest.mark.parametrize('encoder', ['recorded', 'others'])
def test_every_recorded_step_is_learned_once_at_any_rate_and_with_either_encoder(session, bags, rate, encoder):
    learner = SimulatedLearner([session], rate=rate, encoder=EncoderAnswer(encoder, 'camera')).run()
    assert steps_of(learner) == expected(bags)
    # No result of the last action was recorded.
    assert (learner.replay.steps, learner.replay.tracker.unanswered, learner.replay.progress) == (STEPS, 1, 1.0)
    assert learner.replay.playlist.selection.reuses == (encoder == 'recorded')
    assert (EMBEDDING in learner.topics()) == (encoder == 'recorded')


@settings(max_examples=15)
@given(st.floats(0.0, 0.3), st.sampled_from([0.0, 0.3, 1.0, 7.0, 100.0]), st.integers(0, 4), st.floats(0.001, 0.05))
def test_learned_steps_do_not_depend_on_delays_rates_or_sleeps(session, bags, latency, rate, cycle, step):
    learner = SimulatedLearner([session], rate=rate, latency=latency, cycle=cycle, sleep_duration=3.0).run(step=step)
    assert steps_of(learner) == expected(bags)
    sleeps = len(learner.sleeps)
    assert sleeps == (0 if cycle == 0 else (STEPS - 1) // cycle)


@pytest.mark.parametrize('rate', [0.0, 100.0])
@pytest.mark.parametrize('encoder', ['recorded', 'others'])
def test_learned_steps_do_not_depend_on_queue_overflow_or_overtaking_actions(bags, tmp_path, rate, encoder):
    """At 300 images a second, each action takes 0.1 s and settles for 50 ms: thirty embeddings during an action."""
    messages = [(bags.begin, '/robot/info', bags.robot(settle_time=0.05))]
    for n in range(600):
        time_ns = bags.begin + (n + 1) * bags.second // 300
        messages.append((time_ns + 5, '/camera/image_raw/compressed', bags.image(time_ns)))
        if n % 60 == 59:
            start = bags.stamp(time_ns - bags.second // 10)
            messages.append((time_ns + 6, '/robot/applied_action', bags.applied(time_ns, n // 60 + 1, start=start)))
    path = bags.write(tmp_path / 's', embedded(bags, messages))
    learner = SimulatedLearner([path], rate=rate, encoder=EncoderAnswer(encoder, 'camera')).run()
    frame = bags.second / 300
    starts = [bags.begin + (60 * (k + 1)) * frame - bags.second / 10 for k in range(9)]
    settled = [bags.begin + (60 * (k + 1)) * frame + 0.05e9 for k in range(9)]
    assert len(learner.steps) == 9
    first = learner.steps[0]
    assert -1000 <= starts[0] - first.stamp_z < frame
    for transition, at in zip(learner.steps, settled):
        assert -1000 <= transition.stamp_next - at <= frame + 1000


def test_a_learner_without_the_service_costs_one_timeout(session):
    learner = SimulatedLearner([session], rate=0.0, answers=False).run()
    assert len(learner.steps) == STEPS - 1 and 5.0 < learner.now < 6.0


def test_only_topics_of_a_robot_are_published(bags, tmp_path):
    others = [
        (bags.begin + n, topic, bags.make(kind))
        for n, (topic, kind) in enumerate(
            {
                '/robot/action': 'cls_interfaces/msg/RobotAction',
                '/manual_action': 'cls_interfaces/msg/RobotAction',
                '/fast_learner/status': 'cls_interfaces/msg/LearnerStatus',
                '/clock': 'rosgraph_msgs/msg/Clock',
                '/chatter': 'std_msgs/msg/String',
                '/observation/touch': 'cls_interfaces/msg/Observation',
            }.items()
        )
    ]
    path = bags.write(
        tmp_path / 's', sorted([*others, *embedded(bags, bags.session_messages(3))], key=lambda one: one[0])
    )
    learner = SimulatedLearner([path], rate=0.0).run()
    assert set(learner.topics()) == {INFO, STATE, COMPRESSED, ACTION, EMBEDDING, 'observation/touch'}


def test_at_a_rate_messages_keep_their_distances(session):
    learner = SimulatedLearner([session], rate=2.0, latency=0.0).run()
    start = learner.sources[0].start_ns
    begun = learner.published[0][0]
    for now, out in learner.published[1:]:
        assert now - begun == pytest.approx((out.log_ns - start) / 2e9, abs=0.06)


def test_rate_zero_is_faster_than_real_time(session):
    learner = SimulatedLearner([session], rate=0.0, latency=0.002).run()
    assert learner.now < 0.1 * learner.sources[0].duration


def test_nothing_is_published_during_sleep_and_time_advances_to_the_next_message(session):
    learner = SimulatedLearner([session], rate=1.0, cycle=4, sleep_duration=20.0).run()
    for begin in learner.sleeps:
        published = [now for now, _ in learner.published if begin < now < begin + 20.0]
        assert published == []
    # The steps in between are no faster than recorded.
    assert learner.now > 2 * 20.0 + 0.9 * learner.sources[0].duration


def test_replay_waits_for_a_learner_in_mode_follow_before_the_first_step(session):
    learner = SimulatedLearner([session], rate=0.0)
    learner.mode = 'manual'
    learner.run(lambda t: t.now > 3.0)
    assert (
        learner.published == []
        and learner.replay.state is PlaybackState.WAITING
        and 'mode follow' in learner.replay.fault
    )
    learner.mode, learner.loaded = 'follow', False
    learner.run(lambda t: t.now > 6.0)
    assert learner.published == [] and 'no weights' in learner.replay.fault
    learner.loaded, learner.replay.is_connected = True, False
    learner.run(lambda t: t.now > 9.0)
    assert learner.published == [] and 'has not subscribed' in learner.replay.fault
    learner.replay.is_connected = True
    learner.run()
    assert len(learner.steps) == STEPS - 1 and learner.replay.fault == ''


def test_a_silent_learner_is_reported_and_its_step_counted_as_unanswered(session):
    learner = SimulatedLearner([session], rate=0.0)
    learner.run(lambda t: len(t.steps) == 4)
    learner.is_silent = True
    learner.run(lambda t: 'silent' in t.replay.fault)
    assert learner.replay.state is PlaybackState.WAITING and learner.replay.tracker.unanswered == 1
    learner.is_silent = False
    learner.run()
    assert learner.replay.steps == STEPS


def test_a_pause_takes_effect_between_steps_and_loses_none(session, bags):
    learner = SimulatedLearner([session], rate=1.0)
    learner.run(lambda t: t.replay.tracker.is_open)
    steps = len(learner.steps)
    learner.replay.is_paused = True
    learner.run(lambda t: not t.replay.tracker.is_open)
    published = len(learner.published)
    before = learner.now
    learner.run(lambda t: t.now > before + 30.0)
    assert (
        len(learner.steps) == steps + 1
        and len(learner.published) == published
        and learner.replay.state is PlaybackState.PAUSED
    )
    position = learner.replay.playlist.position
    learner.replay.is_paused = False
    learner.run(lambda t: len(t.published) > published)
    assert learner.replay.playlist.position - position < 0.2
    learner.run()
    assert steps_of(learner) == expected(bags)


def test_nothing_is_published_when_paused_from_the_start(session):
    learner = SimulatedLearner([session], rate=0.0, paused=True)
    learner.run(lambda t: t.now > 5.0)
    assert learner.published == [] and learner.replay.state is PlaybackState.PAUSED
    learner.replay.is_paused = False
    assert len(learner.run().steps) == STEPS - 1


@pytest.mark.parametrize('rate', [0.0, 1.0])
@pytest.mark.parametrize('from_step, to_step', [(3, 8), (8, 3), (5, 5)])
def test_a_seek_continues_at_the_position_with_a_boundary(session, bags, rate, from_step, to_step):
    learner = SimulatedLearner([session], rate=rate)
    learner.run(lambda t: t.replay.steps == from_step)
    steps, published = len(learner.steps), len(learner.published)
    position = 0.2 * to_step + 0.05
    learner.replay.seek(0, position)
    assert learner.replay.playlist.position == pytest.approx(position)
    learner.run()
    later = [(*pair[:2], n == 0) for n, pair in enumerate(expected(bags)[to_step:])]
    assert steps_of(learner)[-len(later) :] == later
    # A step that was published before the seek may still be learned.
    assert steps_of(learner)[: -len(later)] == expected(bags)[: len(learner.steps) - len(later)]
    assert len(learner.steps) - len(later) in (steps, steps + 1)
    # Robot, its state, then the messages after the position.
    outs = [out for _, out in learner.published[published:]]
    first = next(n for n, out in enumerate(outs) if isinstance(out, Boundary))
    assert outs[first + 1].topic == STATE
    place = learner.sources[0].start_ns + round(position * 1e9)
    assert all(out.log_ns >= place for out in outs[first:])


def test_a_finished_replay_plays_again_after_a_seek(session):
    learner = SimulatedLearner([session], rate=0.0).run()
    learner.replay.seek(0, 0.0)
    assert learner.replay.state is not PlaybackState.FINISHED
    assert len(learner.run().steps) == 2 * (STEPS - 1)


@pytest.mark.parametrize('index, position', [(1, 0.0), (-1, 0.0), (0, -0.1), (0, 99.0), (0, float('nan'))])
def test_an_invalid_position_is_refused_and_nothing_changes(session, bags, index, position):
    learner = SimulatedLearner([session], rate=0.0)
    learner.run(lambda t: len(t.steps) == 3)
    with pytest.raises(UserError, match=r'session_index|position'):
        learner.replay.seek(index, position)
    assert steps_of(learner.run()) == expected(bags)


def test_a_loop_starts_over_with_a_boundary(session, bags):
    learner = SimulatedLearner([session], rate=0.0, loop=True)
    learner.run(lambda t: len(t.steps) == 3 * (STEPS - 1))
    assert steps_of(learner) == 3 * expected(bags)
    assert learner.replay.state is PlaybackState.PLAYING and learner.topics().count(INFO) == 3


def test_sessions_are_separated_by_a_boundary(session, images_only, bags):
    learner = SimulatedLearner([session, images_only], rate=0.0)
    shares = []

    def over(t):
        shares.append(t.replay.progress)
        return t.replay.state is PlaybackState.FINISHED

    learner.run(over)
    assert steps_of(learner) == 2 * expected(bags)
    assert shares == sorted(shares) and shares[-1] == 1.0
    # The second was recorded without embeddings: its images are published.
    assert learner.topics().count(EMBEDDING) == 2 * STEPS and not learner.replay.playlist.selection.reuses


def test_sessions_of_different_robots_are_refused(session, bags, tmp_path):
    other = [
        (t, topic, bags.robot('other') if topic == '/robot/info' else m) for t, topic, m in bags.session_messages(2)
    ]
    path = bags.write(tmp_path / 'other', other)
    with pytest.raises(UserError, match=r"other is of another robot; expected 'twin', as .*; found 'other'"):
        open_sources([session, path])


def test_a_filter_publishes_only_matching_actions_with_a_boundary_before_each(session, bags):
    # pan goes 0, 1, 2, 0, 1, 2, ...
    learner = SimulatedLearner([session], rate=0.0, filter_action='pan=1').run()
    assert learner.actions() == [2, 5, 8, 11]
    assert (learner.replay.steps, learner.replay.filtered, learner.replay.tracker.unanswered) == (4, 8, 0)
    assert steps_of(learner) == [(*expected(bags)[k][:2], True) for k in (1, 4, 7, 10)]


def test_consecutive_matching_actions_have_no_boundary_between(bags, tmp_path):
    messages = [
        (t, topic, bags.applied(t - 10, m.sequence, (float(m.sequence < 5), 0, 0)) if topic.endswith('action') else m)
        for t, topic, m in bags.session_messages(8)
    ]
    learner = SimulatedLearner([bags.write(tmp_path / 's', messages)], rate=0.0, filter_action='pan=1').run()
    assert steps_of(learner) == expected(bags, 4)


@pytest.mark.parametrize('text, what', [('pan', 'expected CHANNEL=VALUE'), ('roll=1', 'a channel of'), ('pan=x', 'x')])
def test_an_invalid_filter_is_one_clear_error(session, text, what):
    with pytest.raises(UserError, match=what):
        SimulatedLearner([session], filter_action=text)


def test_topics_that_a_learner_needs_and_a_session_lacks_are_listed(bags, tmp_path):
    def without(name, *topics):
        messages = [one for one in bags.session_messages(3) if one[1].lstrip('/') not in topics]
        return open_sources([bags.write(tmp_path / name, messages)])[0].missing

    assert without('whole') == []
    assert without('actions', ACTION) == [ACTION]
    assert len(without('images', COMPRESSED)) == 1 and 'image_raw' in without('images2', COMPRESSED)[0]
    assert len(without('both', ACTION, COMPRESSED)) == 2
    with pytest.raises(UserError, match="expected the topic 'robot/info', or metadata that name the robot"):
        without('robot', INFO)


def test_a_session_without_actions_is_played_to_its_end(bags, tmp_path):
    messages = [one for one in bags.session_messages(5) if not one[1].endswith('action')]
    learner = SimulatedLearner([bags.write(tmp_path / 's', messages)], rate=0.0).run()
    assert learner.topics().count(COMPRESSED) == 10 and learner.steps == []


def test_reuse_without_recorded_embeddings_is_refused(images_only):
    with pytest.raises(UserError, match='expected recorded embeddings; found none'):
        SimulatedLearner([images_only], embeddings='reuse')


def test_recompute_leaves_recorded_embeddings_out(session, bags):
    learner = SimulatedLearner([session], rate=0.0, embeddings='recompute').run()
    assert EMBEDDING not in learner.topics() and steps_of(learner) == expected(bags)


def test_an_encoder_without_an_id_gets_an_image_first(session):
    learner = SimulatedLearner([session], rate=0.0, encoder=None)
    shown = learner.replay.playlist.on_encoder(EncoderAnswer('', ''))
    assert shown.topic == COMPRESSED and learner.replay.playlist.selection is None
    learner.encoder = EncoderAnswer('recorded', 'camera')
    assert learner.run().replay.playlist.selection.reuses


def test_an_encoder_that_does_not_answer_is_reported_and_does_not_stop_the_replay(images_only):
    learner = SimulatedLearner([images_only], rate=0.0, answer_timeout=0.5, is_blind=True).run()
    assert learner.replay.fault == 'no embedding of an image within 0.5 s'
    assert learner.replay.tracker.unanswered == learner.replay.steps == STEPS


def test_without_a_learner_everything_is_published_at_once_or_at_the_rate(session):
    learner = SimulatedLearner([session], rate=0.0, with_learner=False, encoder=None)
    learner.mode = 'manual'
    learner.run()
    assert learner.topics().count(COMPRESSED) == learner.topics().count(EMBEDDING) == 2 * STEPS
    paced = SimulatedLearner([session], rate=10.0, with_learner=False, encoder=None).run()
    assert paced.now == pytest.approx(paced.sources[0].duration / 10, abs=0.1)


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_a_bag_of_another_recorder_in_a_namespace_is_played_the_same(bags, tmp_path, storage):
    path = bags.write(tmp_path / 's', embedded(bags, bags.session_messages(STEPS, '/left/arm')), storage)
    assert steps_of(SimulatedLearner([path], rate=0.0).run()) == expected(bags)


def test_the_clock_is_log_time_and_monotonic(session):
    learner = SimulatedLearner([session], rate=1.0).run()
    messages = [ns for ns in learner.clock if ns is not None]
    assert messages == sorted(messages)
    for (_, out), ns in zip(learner.published, learner.clock):
        assert ns is None or 0 <= ns - out.log_ns < 60_000_000


def test_in_lock_step_the_clock_is_the_newest_published_stamp(bags, tmp_path):
    robot = bags.robot(lock_step=True)
    # The machine's clock is far from the simulator's.
    messages = [(t + 10**15, topic, robot if topic.endswith('info') else m) for t, topic, m in bags.session_messages(4)]
    learner = SimulatedLearner([bags.write(tmp_path / 's', messages)], rate=0.0).run()
    stamped = [
        (out.stamp_ns, ns) for (_, out), ns in zip(learner.published, learner.clock) if getattr(out, 'stamp_ns', None)
    ]
    assert stamped and all(stamp == ns for stamp, ns in stamped)


def test_a_robot_restarted_within_a_session_causes_a_boundary(bags, tmp_path):
    first, hour = bags.session_messages(8), 3600 * bags.second
    # Its clock restarted too: stamps decrease while log time increases.
    second = [(t + hour, topic, m) for t, topic, m in bags.session_messages(8)[1:]]
    learner = SimulatedLearner([bags.write(tmp_path / 's', [*first, *second])], rate=0.0).run()
    assert steps_of(learner) == 2 * expected(bags, 7)
    restarted = [(t + hour, topic, bags.robot(time_ns=t + 7) if topic.endswith('info') else m) for t, topic, m in first]
    learner = SimulatedLearner([bags.write(tmp_path / 'again', [*first, *restarted])], rate=0.0).run()
    assert steps_of(learner) == 2 * expected(bags, 7) and learner.topics().count(INFO) == 2


@pytest.mark.parametrize('broken', [0, 7, 8])
def test_a_broken_image_costs_a_step_and_no_session(bags, tmp_path, broken):
    """7 shows the result of the fourth action; 8 is not part of a step."""
    messages = bags.session_messages(STEPS)
    images = [message for _, topic, message in messages if topic.endswith('compressed')]
    images[broken].data = images[broken].data[:0]
    learner = SimulatedLearner([bags.write(tmp_path / 's', messages)], encoder=EncoderAnswer('others', 'camera')).run()
    steps = [(before, after) for before, after, _ in expected(bags)]
    steps = [(before, after) for before, after, _ in steps_of(learner)]
    assert len(steps) >= STEPS - 3 and set(steps) <= set(steps)
    assert learner.replay.playlist.broken[0] == 1 and learner.replay.progress == 1.0
    shown = bags.begin + (broken + 1) * bags.second // 10
    assert all(shown not in step for step in steps)

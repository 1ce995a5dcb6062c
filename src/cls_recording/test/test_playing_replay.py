"""A replay and a learner that pairs by the real rules, in virtual time: what goes out, when, what is learned of it."""

from pathlib import Path
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from cls_common.errors import UserError
from cls_recording.playing.items import Break
from cls_recording.playing.reading import EncoderAnswer
from cls_recording.playing.replay import State
from cls_recording.playing.sources import open_sources

sys.path.insert(0, str(Path(__file__).parent))

from playing_twin import Twin

IMAGE, COMPRESSED, ACTION = 'camera/image_raw', 'camera/image_raw/compressed', 'robot/applied_action'
EMBEDDING, INFO, STATE = 'embedding', 'robot/info', 'robot/state'
STEPS = 12
EMBEDDED = np.ones(1, np.float32)


def embedding(bags, time_ns, encoder_id='eyes'):
    return bags.make('cls_interfaces/msg/Embedding', header=bags.header(time_ns), encoder_id=encoder_id, data=EMBEDDED)


def embedded(bags, said, encoder_id='eyes'):
    """The same life with an embedding of each image, 10 ms later."""
    seen = [one for one in said if one[1].endswith('compressed')]
    stamps = [one[2].header.stamp for one in seen]
    made = [
        (time_ns + 10_000_000, seen[0][1].replace(COMPRESSED, EMBEDDING), embedding(bags, s.sec * 10**9 + s.nanosec))
        for (time_ns, _, _), s in zip(seen, stamps)
    ]
    for _, _, message in made:
        message.encoder_id = encoder_id
    return sorted([*said, *made], key=lambda one: one[0])


@pytest.fixture(scope='module')
def session(bags, tmp_path_factory):
    """A life with images and embeddings."""
    return bags.write(tmp_path_factory.mktemp('session') / 's', embedded(bags, bags.life(STEPS)))


@pytest.fixture(scope='module')
def images_only(bags, tmp_path_factory):
    return bags.write(tmp_path_factory.mktemp('images') / 's', bags.life(STEPS))


def chain(twin):
    """Stamps of z and z_next of every lived step, and whether it began a chain."""
    return [(t.stamp_z, t.stamp_next, t.boundary) for t in twin.lived]


def expected(bags, steps=STEPS - 1):
    """What `bags.life` is to a learner: each image before an action, the first one after it, one chain."""
    tenth = bags.second // 10
    return [(bags.begin + (2 * k + 1) * tenth, bags.begin + (2 * k + 3) * tenth, k == 0) for k in range(steps)]


@pytest.mark.parametrize('rate', [0.0, 0.5, 1.0, 100.0])
@pytest.mark.parametrize('encoder', ['eyes', 'others'])
def test_every_recorded_step_is_lived_once_at_any_rate_and_with_either_eyes(session, bags, rate, encoder):
    twin = Twin([session], rate=rate, encoder=EncoderAnswer(encoder, 'camera')).run()
    assert chain(twin) == expected(bags)
    # Of the last action no result was recorded.
    assert (twin.replay.steps, twin.replay.answers.unanswered, twin.replay.progress) == (STEPS, 1, 1.0)
    assert twin.replay.course.choice.reuses == (encoder == 'eyes')
    assert (EMBEDDING in twin.topics()) == (encoder == 'eyes')


@settings(max_examples=15)
@given(st.floats(0.0, 0.3), st.sampled_from([0.0, 0.3, 1.0, 7.0, 100.0]), st.integers(0, 4), st.floats(0.001, 0.05))
def test_what_is_learned_depends_on_neither_delays_nor_rates_nor_nights(session, bags, latency, rate, cycle, step):
    twin = Twin([session], rate=rate, latency=latency, cycle=cycle, night=3.0).run(step=step)
    assert chain(twin) == expected(bags)
    nights = len(twin.nights)
    assert nights == (0 if cycle == 0 else (STEPS - 1) // cycle)


@pytest.mark.parametrize('rate', [0.0, 100.0])
@pytest.mark.parametrize('encoder', ['eyes', 'others'])
def test_neither_a_full_queue_nor_an_action_that_overtakes_changes_what_is_lived(bags, tmp_path, rate, encoder):
    """At 300 images a second, each action takes 0.1 s and settles for 50 ms: thirty embeddings in a motion."""
    said = [(bags.begin, '/robot/info', bags.robot(settle_time=0.05))]
    for n in range(600):
        time_ns = bags.begin + (n + 1) * bags.second // 300
        said.append((time_ns + 5, '/camera/image_raw/compressed', bags.image(time_ns)))
        if n % 60 == 59:
            start = bags.stamp(time_ns - bags.second // 10)
            said.append((time_ns + 6, '/robot/applied_action', bags.applied(time_ns, n // 60 + 1, start=start)))
    path = bags.write(tmp_path / 's', embedded(bags, said))
    twin = Twin([path], rate=rate, encoder=EncoderAnswer(encoder, 'camera')).run()
    frame = bags.second / 300
    starts = [bags.begin + (60 * (k + 1)) * frame - bags.second / 10 for k in range(9)]
    settled = [bags.begin + (60 * (k + 1)) * frame + 0.05e9 for k in range(9)]
    assert len(twin.lived) == 9
    first = twin.lived[0]
    assert -1000 <= starts[0] - first.stamp_z < frame
    for transition, at in zip(twin.lived, settled):
        assert -1000 <= transition.stamp_next - at <= frame + 1000


def test_a_learner_that_knows_no_question_is_asked_in_vain_once(session):
    twin = Twin([session], rate=0.0, answers=False).run()
    assert len(twin.lived) == STEPS - 1 and 5.0 < twin.now < 6.0


def test_only_what_a_robot_would_say_goes_out(bags, tmp_path):
    alien = [
        (bags.begin + n, topic, bags.make(kind))
        for n, (topic, kind) in enumerate({
            '/robot/action': 'cls_interfaces/msg/RobotAction', '/manual_action': 'cls_interfaces/msg/RobotAction',
            '/fast_learner/status': 'cls_interfaces/msg/LearnerStatus', '/clock': 'rosgraph_msgs/msg/Clock',
            '/chatter': 'std_msgs/msg/String', '/observation/touch': 'cls_interfaces/msg/Observation',
        }.items())
    ]  # fmt: skip
    path = bags.write(tmp_path / 's', sorted([*alien, *embedded(bags, bags.life(3))], key=lambda one: one[0]))
    twin = Twin([path], rate=0.0).run()
    assert set(twin.topics()) == {INFO, STATE, COMPRESSED, ACTION, EMBEDDING, 'observation/touch'}


def test_at_a_rate_messages_keep_their_distances(session):
    twin = Twin([session], rate=2.0, latency=0.0).run()
    start = twin.sources[0].start_ns
    begun = twin.heard[0][0]
    for now, out in twin.heard[1:]:
        assert now - begun == pytest.approx((out.log_ns - start) / 2e9, abs=0.06)


def test_as_fast_as_it_is_taken_is_far_faster_than_life(session):
    twin = Twin([session], rate=0.0, latency=0.002).run()
    assert twin.now < 0.1 * twin.sources[0].duration


def test_nothing_goes_out_in_a_night_but_time_goes_on_to_what_is_next(session):
    twin = Twin([session], rate=1.0, cycle=4, night=20.0).run()
    for begin in twin.nights:
        heard = [now for now, _ in twin.heard if begin < now < begin + 20.0]
        assert heard == []
    # The steps in between are no faster than recorded.
    assert twin.now > 2 * 20.0 + 0.9 * twin.sources[0].duration


def test_before_the_first_step_it_waits_for_a_learner_that_follows(session):
    twin = Twin([session], rate=0.0)
    twin.mode = 'manual'
    twin.run(lambda t: t.now > 3.0)
    assert twin.heard == [] and twin.replay.state is State.WAITING and 'mode follow' in twin.replay.fault
    twin.mode, twin.loaded = 'follow', False
    twin.run(lambda t: t.now > 6.0)
    assert twin.heard == [] and 'no weights' in twin.replay.fault
    twin.loaded, twin.replay.is_connected = True, False
    twin.run(lambda t: t.now > 9.0)
    assert twin.heard == [] and 'does not listen' in twin.replay.fault
    twin.replay.is_connected = True
    twin.run()
    assert len(twin.lived) == STEPS - 1 and twin.replay.fault == ''


def test_a_learner_that_went_silent_is_named_and_its_step_counted(session):
    twin = Twin([session], rate=0.0)
    twin.run(lambda t: len(t.lived) == 4)
    twin.is_silent = True
    twin.run(lambda t: 'silent' in t.replay.fault)
    assert twin.replay.state is State.WAITING and twin.replay.answers.unanswered == 1
    twin.is_silent = False
    twin.run()
    assert twin.replay.steps == STEPS


def test_a_pause_takes_force_between_steps_and_loses_none(session, bags):
    twin = Twin([session], rate=1.0)
    twin.run(lambda t: t.replay.answers.is_open)
    lived = len(twin.lived)
    twin.replay.is_paused = True
    twin.run(lambda t: not t.replay.answers.is_open)
    heard = len(twin.heard)
    before = twin.now
    twin.run(lambda t: t.now > before + 30.0)
    assert len(twin.lived) == lived + 1 and len(twin.heard) == heard and twin.replay.state is State.PAUSED
    position = twin.replay.course.position
    twin.replay.is_paused = False
    twin.run(lambda t: len(t.heard) > heard)
    assert twin.replay.course.position - position < 0.2
    twin.run()
    assert chain(twin) == expected(bags)


def test_paused_from_the_start_nothing_goes_out(session):
    twin = Twin([session], rate=0.0, paused=True)
    twin.run(lambda t: t.now > 5.0)
    assert twin.heard == [] and twin.replay.state is State.PAUSED
    twin.replay.is_paused = False
    assert len(twin.run().lived) == STEPS - 1


@pytest.mark.parametrize('rate', [0.0, 1.0])
@pytest.mark.parametrize('from_step, to_step', [(3, 8), (8, 3), (5, 5)])
def test_a_seek_goes_on_elsewhere_as_a_new_chain(session, bags, rate, from_step, to_step):
    twin = Twin([session], rate=rate)
    twin.run(lambda t: t.replay.steps == from_step)
    lived, heard = len(twin.lived), len(twin.heard)
    position = 0.2 * to_step + 0.05
    twin.replay.seek(0, position)
    assert twin.replay.course.position == pytest.approx(position)
    twin.run()
    later = [(*pair[:2], n == 0) for n, pair in enumerate(expected(bags)[to_step:])]
    assert chain(twin)[-len(later) :] == later
    # What had gone out before may still be lived.
    assert chain(twin)[: -len(later)] == expected(bags)[: len(twin.lived) - len(later)]
    assert len(twin.lived) - len(later) in (lived, lived + 1)
    # Robot, its state, then what follows the place.
    outs = [out for _, out in twin.heard[heard:]]
    first = next(n for n, out in enumerate(outs) if isinstance(out, Break))
    assert outs[first + 1].topic == STATE
    place = twin.sources[0].start_ns + round(position * 1e9)
    assert all(out.log_ns >= place for out in outs[first:])


def test_a_finished_replay_plays_again_after_a_seek(session):
    twin = Twin([session], rate=0.0).run()
    twin.replay.seek(0, 0.0)
    assert twin.replay.state is not State.FINISHED
    assert len(twin.run().lived) == 2 * (STEPS - 1)


@pytest.mark.parametrize('index, position', [(1, 0.0), (-1, 0.0), (0, -0.1), (0, 99.0), (0, float('nan'))])
def test_a_place_that_there_is_not_is_refused_and_nothing_changes(session, bags, index, position):
    twin = Twin([session], rate=0.0)
    twin.run(lambda t: len(t.lived) == 3)
    with pytest.raises(UserError, match=r'session_index|position'):
        twin.replay.seek(index, position)
    assert chain(twin.run()) == expected(bags)


def test_a_loop_begins_anew_with_a_new_chain(session, bags):
    twin = Twin([session], rate=0.0, loop=True)
    twin.run(lambda t: len(t.lived) == 3 * (STEPS - 1))
    assert chain(twin) == 3 * expected(bags)
    assert twin.replay.state is State.PLAYING and twin.topics().count(INFO) == 3


def test_sessions_follow_one_another_and_never_form_one_chain(session, images_only, bags):
    twin = Twin([session, images_only], rate=0.0)
    shares = []

    def over(t):
        shares.append(t.replay.progress)
        return t.replay.state is State.FINISHED

    twin.run(over)
    assert chain(twin) == 2 * expected(bags)
    assert shares == sorted(shares) and shares[-1] == 1.0
    # The second was recorded without embeddings: there its images go out.
    assert twin.topics().count(EMBEDDING) == 2 * STEPS and not twin.replay.course.choice.reuses


def test_sessions_of_different_robots_are_refused(session, bags, tmp_path):
    other = [(t, topic, bags.robot('other') if topic == '/robot/info' else m) for t, topic, m in bags.life(2)]
    path = bags.write(tmp_path / 'other', other)
    with pytest.raises(UserError, match=r"other is of another robot; expected 'twin', as .*; found 'other'"):
        open_sources([session, path])


def test_a_filter_lets_only_matching_actions_through_each_as_a_chain_of_its_own(session, bags):
    # pan goes 0, 1, 2, 0, 1, 2, ...
    twin = Twin([session], rate=0.0, filter_action='pan=1').run()
    assert twin.actions() == [2, 5, 8, 11]
    assert (twin.replay.steps, twin.replay.filtered, twin.replay.answers.unanswered) == (4, 8, 0)
    assert chain(twin) == [(*expected(bags)[k][:2], True) for k in (1, 4, 7, 10)]


def test_matching_actions_in_a_row_stay_one_chain(bags, tmp_path):
    said = [
        (t, topic, bags.applied(t - 10, m.sequence, (float(m.sequence < 5), 0, 0)) if topic.endswith('action') else m)
        for t, topic, m in bags.life(8)
    ]
    twin = Twin([bags.write(tmp_path / 's', said)], rate=0.0, filter_action='pan=1').run()
    assert chain(twin) == expected(bags, 4)


@pytest.mark.parametrize('text, what', [('pan', 'expected CHANNEL=VALUE'), ('roll=1', 'a channel of'), ('pan=x', 'x')])
def test_a_filter_that_makes_no_sense_is_one_clear_error(session, text, what):
    with pytest.raises(UserError, match=what):
        Twin([session], filter_action=text)


def test_what_a_learner_needs_and_a_session_lacks_is_listed(bags, tmp_path):
    def without(name, *topics):
        said = [one for one in bags.life(3) if one[1].lstrip('/') not in topics]
        return open_sources([bags.write(tmp_path / name, said)])[0].missing

    assert without('whole') == []
    assert without('actions', ACTION) == [ACTION]
    assert len(without('eyes', COMPRESSED)) == 1 and 'image_raw' in without('eyes2', COMPRESSED)[0]
    assert len(without('both', ACTION, COMPRESSED)) == 2
    with pytest.raises(UserError, match="expected the topic 'robot/info', or metadata that name the robot"):
        without('robot', INFO)


def test_a_session_without_actions_is_played_to_its_end(bags, tmp_path):
    said = [one for one in bags.life(5) if not one[1].endswith('action')]
    twin = Twin([bags.write(tmp_path / 's', said)], rate=0.0).run()
    assert twin.topics().count(COMPRESSED) == 10 and twin.lived == []


def test_reuse_without_recorded_embeddings_is_refused(images_only):
    with pytest.raises(UserError, match='expected recorded embeddings; found none'):
        Twin([images_only], embeddings='reuse')


def test_recompute_leaves_recorded_embeddings_out(session, bags):
    twin = Twin([session], rate=0.0, embeddings='recompute').run()
    assert EMBEDDING not in twin.topics() and chain(twin) == expected(bags)


def test_an_encoder_that_must_see_something_first_is_shown_it(session):
    twin = Twin([session], rate=0.0, encoder=None)
    shown = twin.replay.course.hear_encoder(EncoderAnswer('', ''))
    assert shown.topic == COMPRESSED and twin.replay.course.choice is None
    twin.encoder = EncoderAnswer('eyes', 'camera')
    assert twin.run().replay.course.choice.reuses


def test_an_encoder_that_gives_nothing_is_said_and_does_not_stop_the_replay(images_only):
    twin = Twin([images_only], rate=0.0, answer_timeout=0.5, is_blind=True).run()
    assert twin.replay.fault == 'no embedding of an image within 0.5 s'
    assert twin.replay.answers.unanswered == twin.replay.steps == STEPS


def test_without_a_learner_everything_goes_out_at_once_or_in_time(session):
    twin = Twin([session], rate=0.0, with_learner=False, encoder=None)
    twin.mode = 'manual'
    twin.run()
    assert twin.topics().count(COMPRESSED) == twin.topics().count(EMBEDDING) == 2 * STEPS
    paced = Twin([session], rate=10.0, with_learner=False, encoder=None).run()
    assert paced.now == pytest.approx(paced.sources[0].duration / 10, abs=0.1)


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_a_bag_of_another_recorder_in_a_namespace_is_played_the_same(bags, tmp_path, storage):
    path = bags.write(tmp_path / 's', embedded(bags, bags.life(STEPS, '/left/arm')), storage)
    assert chain(Twin([path], rate=0.0).run()) == expected(bags)


def test_the_clock_is_log_time_and_rises(session):
    twin = Twin([session], rate=1.0).run()
    said = [ns for ns in twin.clock if ns is not None]
    assert said == sorted(said)
    for (_, out), ns in zip(twin.heard, twin.clock):
        assert ns is None or 0 <= ns - out.log_ns < 60_000_000


def test_in_lock_step_the_clock_is_the_time_of_what_went_out(bags, tmp_path):
    robot = bags.robot(lock_step=True)
    # The machine's clock is far from the simulator's.
    said = [(t + 10**15, topic, robot if topic.endswith('info') else m) for t, topic, m in bags.life(4)]
    twin = Twin([bags.write(tmp_path / 's', said)], rate=0.0).run()
    stamped = [(out.stamp_ns, ns) for (_, out), ns in zip(twin.heard, twin.clock) if getattr(out, 'stamp_ns', None)]
    assert stamped and all(stamp == ns for stamp, ns in stamped)


def test_a_robot_that_began_anew_within_a_session_breaks_the_chain(bags, tmp_path):
    first, hour = bags.life(8), 3600 * bags.second
    # Its clock began anew too: stamps go back while log time goes on.
    second = [(t + hour, topic, m) for t, topic, m in bags.life(8)[1:]]
    twin = Twin([bags.write(tmp_path / 's', [*first, *second])], rate=0.0).run()
    assert chain(twin) == 2 * expected(bags, 7)
    restarted = [(t + hour, topic, bags.robot(time_ns=t + 7) if topic.endswith('info') else m) for t, topic, m in first]
    twin = Twin([bags.write(tmp_path / 'again', [*first, *restarted])], rate=0.0).run()
    assert chain(twin) == 2 * expected(bags, 7) and twin.topics().count(INFO) == 2


@pytest.mark.parametrize('broken', [0, 7, 8])
def test_a_broken_image_costs_a_step_and_no_session(bags, tmp_path, broken):
    """7 shows the result of the fourth action; 8 lies between two images that are of use."""
    said = bags.life(STEPS)
    images = [message for _, topic, message in said if topic.endswith('compressed')]
    images[broken].data = images[broken].data[:0]
    twin = Twin([bags.write(tmp_path / 's', said)], encoder=EncoderAnswer('others', 'camera')).run()
    steps = [(before, after) for before, after, _ in expected(bags)]
    lived = [(before, after) for before, after, _ in chain(twin)]
    assert len(lived) >= STEPS - 3 and set(lived) <= set(steps)
    assert twin.replay.course.broken[0] == 1 and twin.replay.progress == 1.0
    shown = bags.begin + (broken + 1) * bags.second // 10
    assert all(shown not in step for step in lived)

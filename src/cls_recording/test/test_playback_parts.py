"""Parts of a replay: stamp order, clock, step tracker, barrier, learner monitor."""

import struct

from hypothesis import given
from hypothesis import strategies as st
import pytest

from cls_common.errors import UserError
from cls_recording import cdr_fields
from cls_recording.definitions import installed
from cls_recording.playback.barrier import Barrier
from cls_recording.playback.items import Boundary, Item, RecordedAction, to_item
from cls_recording.playback.learner_monitor import LearnerMonitor
from cls_recording.playback.playback_clock import PlaybackClock
from cls_recording.playback.settings import PlayerSettings
from cls_recording.playback.stamp_order import StampOrder
from cls_recording.playback.step_tracker import StepTracker
from cls_recording.reader import RawEvent

SECOND = 10**9
EMBEDDING, JOINTS, ACTION = 'embedding', 'joint_states', 'robot/applied_action'


def item(topic, stamp, log=None, data=None, action=None):
    log = stamp if log is None else log
    return Item(topic, 'type', log, stamp, data if data is not None else f'{topic} {stamp} {log}'.encode(), action)


def moved(sequence, start, end, **kind):
    action = RecordedAction(('fast_learner', sequence), (1.0,), start, end, **kind)
    return item(ACTION, end, action=action, data=f'action {sequence}'.encode())


def ordered(*items):
    return list(StampOrder(items, {EMBEDDING}, b'robot'))


def test_stamps_are_read_in_both_byte_orders():
    little = b'\x00\x01\x00\x00' + struct.pack('<iI', 17, 5)
    big = b'\x00\x00\x00\x00' + struct.pack('>iI', 17, 5)
    assert cdr_fields.stamp(little) == cdr_fields.stamp(big) == 17 * SECOND + 5


def test_an_action_is_read_with_its_times_and_values(bags):
    message = bags.applied(bags.begin, 7, (1.5, -2.0, 0.0), terminal=True)
    data = bytes(installed().serialize_cdr(message, message.__msgtype__))
    read = to_item(RawEvent(ACTION, message.__msgtype__, 99, data))
    assert read.data is data and (read.log_ns, read.stamp_ns) == (99, bags.begin)
    assert read.action == RecordedAction(
        ('fast_learner', 7), (1.5, -2.0, 0.0), bags.begin - SECOND // 20, bags.begin, ends_episode=True
    )


def test_a_refused_action_is_ordered_by_log_time(bags):
    message = bags.applied(0, 7, error_code=212, start=bags.stamp(0))
    data = bytes(installed().serialize_cdr(message, message.__msgtype__))
    read = to_item(RawEvent(ACTION, message.__msgtype__, 99, data))
    assert read.action.is_refused and read.stamp_ns is None


@pytest.mark.parametrize('topic, kind', [(ACTION, 'cls_interfaces/msg/AppliedAction'), (JOINTS, 'a/msg/B')])
def test_a_damaged_message_is_one_clear_error(topic, kind):
    with pytest.raises(UserError, match=f'recorded {topic} at log time 99 ns; expected a whole {kind}'):
        to_item(RawEvent(topic, kind, 99, b'\x00\x01\x00\x00\x01'))


def test_messages_are_ordered_by_stamp_and_an_action_follows_all_up_to_its_end():
    late, early = item(EMBEDDING, 100, log=400), item(JOINTS, 100, log=120)
    action, after = moved(1, 50, 100), item(EMBEDDING, 300, log=310)
    assert ordered(early, action, after, late) == [
        early,
        Item(*_due(late, 400)),
        Item(*_due(action, 400)),
        Item(*_due(after, 400)),
    ]


def _due(one, log):
    return one.topic, one.type, log, one.stamp_ns, one.data, one.action


def test_repeated_messages_are_published_once():
    first, other = item(EMBEDDING, 100), item(JOINTS, 1)
    again = item(EMBEDDING, 100, log=2000, data=first.data)
    assert [one.data for one in ordered(first, other, again)] == [other.data, first.data]


def test_a_pair_that_a_simulator_repeats_is_published_once():
    first, second = item(EMBEDDING, 100), item(EMBEDDING, 200)
    again = [item(EMBEDDING, one.stamp_ns, log=log, data=one.data) for log, one in ((3000, first), (3001, second))]
    assert [one.data for one in ordered(first, second, *again)] == [first.data, second.data]


def test_a_state_without_a_stamp_may_return_to_what_it_was():
    ready, moving = (Item('robot/state', 'type', log, None, data) for log, data in ((10, b'ready'), (20, b'moving')))
    back = Item('robot/state', 'type', 30, None, ready.data)
    assert [one.data for one in ordered(ready, ready, moving, back)] == [b'ready', b'moving', b'ready']


def test_changed_robot_info_is_a_boundary_and_a_repeated_one_is_not():
    info = 'robot/info'
    same, other = item(info, 0, log=10, data=b'robot'), item(info, 0, log=30, data=b'robot, restarted')
    before, after = item(EMBEDDING, 5000, log=20), item(EMBEDDING, 4000, log=40)
    assert ordered(same, before, other, after) == [before, Boundary(30, b'robot, restarted'), after]


def test_a_decreasing_stamp_is_a_boundary():
    before, after = item(EMBEDDING, 9 * SECOND, log=10), item(EMBEDDING, SECOND, log=20)
    assert ordered(before, after) == [before, Boundary(20), after]
    late = item(EMBEDDING, 9 * SECOND - SECOND // 2, log=30)
    assert Boundary not in map(type, ordered(before, late))


@given(
    st.lists(st.tuples(st.integers(0, 5 * SECOND), st.integers(0, SECOND - 1)), max_size=60, unique_by=lambda p: p[0])
)
def test_messages_late_by_less_than_a_second_are_ordered_and_none_is_lost(stamps):
    items = [item(EMBEDDING, stamp, log=stamp + delay) for stamp, delay in stamps]
    # Two of one topic come in their order, so the late ones are each of a topic of their own.
    items = [Item(f'{one.topic}{n}', one.type, one.log_ns, one.stamp_ns, one.data) for n, one in enumerate(items)]
    said = ordered(*sorted(items, key=lambda one: one.log_ns))
    assert [one.stamp_ns for one in said] == sorted(one.stamp_ns for one in items)
    logs = [one.log_ns for one in said]
    assert logs == sorted(logs) and all(one.log_ns >= one.stamp_ns for one in said)


@given(st.floats(0.1, 100.0), st.lists(st.floats(0.0, 0.5), min_size=1, max_size=50))
def test_log_time_advances_at_the_rate(rate, turns):
    clock, now, due = PlaybackClock(rate), 0.0, 10**15
    clock.jump(1000)
    clock.advance(now, due)
    for turn in turns:
        now += turn
        clock.advance(now, due)
    assert clock.position_ns - 1000 == pytest.approx(now * rate * 1e9, abs=len(turns))
    assert clock.seconds_until(due) == pytest.approx((due - clock.position_ns) / rate / 1e9)


def test_time_stops_at_a_message_that_is_held_back_and_does_not_catch_up():
    clock = PlaybackClock(1.0)
    clock.advance(0.0, SECOND)
    assert clock.advance(1.0, SECOND)
    assert clock.advance(60.0, SECOND) and clock.position_ns == SECOND
    assert not clock.advance(60.5, 2 * SECOND) and clock.position_ns == 3 * SECOND // 2
    clock.stand_still(100.0)
    assert clock.advance(100.5, 2 * SECOND) and clock.position_ns == 2 * SECOND


def test_at_rate_zero_everything_is_due():
    clock = PlaybackClock(0.0)
    assert clock.advance(0.0, 10**18) and clock.seconds_until(2 * 10**18) == 0.0


@pytest.mark.parametrize('rate', [-1.0, 0.05, 101.0, float('nan')])
def test_other_rates_are_refused(rate):
    with pytest.raises(UserError, match=r'rate; expected 0\.1 to 100, or 0'):
        PlaybackClock(1.0).set_rate(rate)


def test_settings_refuse_a_loop_with_exit_at_end():
    with pytest.raises(UserError, match='a loop has no end'):
        PlayerSettings(loop=True, exit_at_end=True)
    with pytest.raises(UserError, match='rate'):
        PlayerSettings(rate=0.01)


@pytest.fixture
def tracker():
    """After an image at 100 ns and an action from 150 to 200 ns, settling for 100 ns."""
    made = StepTracker(timeout=5.0)
    made.on_observation(100, 0.0, is_embedded_elsewhere=False)
    made.on_action(RecordedAction(('a', 1), (1.0,), 150, 200), 100e-9)
    return made


def test_a_step_is_open_until_the_first_image_after_it_has_settled(tracker):
    assert tracker.is_open
    tracker.on_observation(300, 1.0, is_embedded_elsewhere=False)
    assert tracker.is_open and not tracker.awaits_anything
    tracker.on_observation(301, 1.0, is_embedded_elsewhere=False)
    assert tracker.awaits_experience and not tracker.is_open
    assert not tracker.on_experience(300) and tracker.awaits_experience
    assert tracker.on_experience(301) and not tracker.awaits_anything and tracker.unanswered == 0


def test_a_missing_answer_is_counted_and_reported_but_not_during_sleep(tracker):
    tracker.on_observation(301, 1.0, is_embedded_elsewhere=False)
    assert tracker.expire(6.0) == ''
    tracker.restart_timeout(100.0)
    assert tracker.expire(105.0) == ''
    assert tracker.expire(105.1) == 'no experience after an action within 5 s'
    assert tracker.unanswered == 1 and not tracker.awaits_anything


def test_an_image_waits_for_its_embedding_and_older_ones_are_ignored(tracker):
    tracker.on_observation(250, 1.0, is_embedded_elsewhere=True)
    tracker.on_embedding(100)
    assert tracker.awaits_anything
    tracker.on_embedding(250)
    assert not tracker.awaits_anything and tracker.is_open
    tracker.on_observation(260, 1.0, is_embedded_elsewhere=True)
    assert tracker.expire(6.1) == 'no embedding of an image within 5 s'
    assert tracker.is_open and tracker.unanswered == 0


@pytest.mark.parametrize(
    'action',
    [RecordedAction(('a', 2), (1.0,), 99, 120), RecordedAction(('a', 2), (1.0,), 300, 350, is_refused=True)],
    ids=['before the first image', 'refused'],
)
def test_an_action_without_a_possible_experience_is_not_waited_for(action):
    tracker = StepTracker(timeout=5.0)
    tracker.on_observation(100, 0.0, is_embedded_elsewhere=False)
    tracker.on_action(action, 0.0)
    tracker.on_observation(1000, 0.0, is_embedded_elsewhere=False)
    assert not tracker.awaits_anything and tracker.unanswered == (not action.is_refused)


def test_a_new_action_replaces_an_open_one(tracker):
    tracker.on_action(RecordedAction(('a', 2), (1.0,), 210, 260), 0.0)
    assert tracker.unanswered == 1 and tracker.is_open
    tracker.finish()
    assert tracker.unanswered == 2 and not tracker.is_open


def test_the_last_image_of_an_episode_does_not_begin_the_next():
    tracker = StepTracker(timeout=5.0)
    tracker.on_observation(100, 0.0, is_embedded_elsewhere=False)
    tracker.on_action(RecordedAction(('a', 1), (1.0,), 150, 200, ends_episode=True), 0.0)
    tracker.on_observation(210, 0.0, is_embedded_elsewhere=False)
    assert tracker.on_experience(210)
    tracker.on_action(RecordedAction(('a', 2), (1.0,), 220, 230), 0.0)
    assert tracker.unanswered == 1
    tracker.on_observation(240, 0.0, is_embedded_elsewhere=False)
    tracker.on_action(RecordedAction(('a', 3), (1.0,), 250, 260), 0.0)
    assert tracker.unanswered == 1 and tracker.is_open


def test_a_barrier_is_passed_by_the_answer_to_its_last_request_or_by_timeout():
    barrier = Barrier(5.0)
    assert barrier.is_passed(0.0)
    barrier.request(0.0)
    old = barrier.wanted
    barrier.request(1.0)
    barrier.on_answer(old)
    assert not barrier.is_passed(2.0)
    barrier.on_answer(barrier.wanted)
    assert barrier.is_passed(2.0)
    barrier.request(3.0)
    assert not barrier.is_passed(8.0) and barrier.is_passed(8.1) and not barrier.is_waiting
    barrier.request(9.0)
    assert barrier.is_passed(9.0)  # one timeout is enough
    barrier.on_answer(old)
    barrier.request(10.0)
    assert not barrier.is_passed(10.0)


def status_of(learner, now=0.0, **changes):
    status = {'phase': 'wake', 'mode': 'follow', 'loaded': True, 'total_steps': 0, 'fault': '', **changes}
    learner.on_status(now=now, **status)
    return learner.problem


def test_a_learner_has_a_problem_until_it_is_loaded_and_in_mode_follow():
    learner = LearnerMonitor()
    assert learner.problem == 'no learner has been found yet'
    assert status_of(learner, loaded=False, fault='other robot') == 'the learner has no weights yet (other robot)'
    assert status_of(learner, mode='manual').startswith("the learner is in mode 'manual'")
    assert status_of(learner) == ''
    learner.check_silence(5.0)
    assert learner.problem == ''
    learner.check_silence(5.6)
    assert learner.problem == 'the learner has been silent for 6 s'


def test_sleep_lasts_until_the_learner_is_awake_at_the_step_that_announced_it():
    learner = LearnerMonitor()
    status_of(learner)
    learner.on_experience(499, ends_cycle=False)
    assert not learner.is_asleep
    learner.on_experience(500, ends_cycle=True)
    status_of(learner, total_steps=499)  # published before it processed the step
    assert learner.is_asleep
    status_of(learner, phase='asleep', total_steps=500)
    assert learner.is_asleep and not learner.problem
    status_of(learner, total_steps=500)
    assert not learner.is_asleep
    status_of(learner, phase='falling_asleep', total_steps=500)
    assert learner.is_asleep


def test_a_restarted_learner_is_awake():
    learner = LearnerMonitor()
    learner.on_experience(500, ends_cycle=True)
    status_of(learner, loaded=False, phase='waiting')
    status_of(learner, total_steps=498)
    assert not learner.is_asleep

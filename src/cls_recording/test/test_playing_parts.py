"""The parts of a replay: order, pace, answers, barrier, and what is known of the learner."""

import struct

from hypothesis import given
from hypothesis import strategies as st
import pytest

from cls_common.errors import UserError
from cls_recording.definitions import installed
from cls_recording.playing.answers import Answers
from cls_recording.playing.barrier import Barrier
from cls_recording.playing.items import Break, header_stamp, Item, Motion, to_item
from cls_recording.playing.learner import Learner
from cls_recording.playing.pace import Pace
from cls_recording.playing.settings import PlayerSettings
from cls_recording.playing.timeline import Timeline
from cls_recording.reader import RawEvent

SECOND = 10**9
EMBEDDING, JOINTS, ACTION = 'embedding', 'joint_states', 'robot/applied_action'


def item(topic, stamp, log=None, data=None, motion=None):
    log = stamp if log is None else log
    return Item(topic, 'type', log, stamp, data if data is not None else f'{topic} {stamp} {log}'.encode(), motion)


def moved(sequence, start, end, **kind):
    motion = Motion(('fast_learner', sequence), (1.0,), start, end, **kind)
    return item(ACTION, end, motion=motion, data=f'action {sequence}'.encode())


def ordered(*items):
    return list(Timeline(items, {EMBEDDING}, b'robot'))


def test_stamps_are_read_in_both_byte_orders():
    little = b'\x00\x01\x00\x00' + struct.pack('<iI', 17, 5)
    big = b'\x00\x00\x00\x00' + struct.pack('>iI', 17, 5)
    assert header_stamp(little) == header_stamp(big) == 17 * SECOND + 5


def test_an_action_is_read_with_its_times_and_what_it_was(bags):
    message = bags.applied(bags.begin, 7, (1.5, -2.0, 0.0), terminal=True)
    data = bytes(installed().serialize_cdr(message, message.__msgtype__))
    read = to_item(RawEvent(ACTION, message.__msgtype__, 99, data))
    assert read.data is data and (read.log_ns, read.stamp_ns) == (99, bags.begin)
    assert read.motion == Motion(
        ('fast_learner', 7), (1.5, -2.0, 0.0), bags.begin - SECOND // 20, bags.begin, ends_episode=True
    )


def test_a_refused_action_stays_where_it_was_recorded(bags):
    message = bags.applied(0, 7, error_code=212, start=bags.stamp(0))
    data = bytes(installed().serialize_cdr(message, message.__msgtype__))
    read = to_item(RawEvent(ACTION, message.__msgtype__, 99, data))
    assert read.motion.is_refused and read.stamp_ns is None


@pytest.mark.parametrize('topic, kind', [(ACTION, 'cls_interfaces/msg/AppliedAction'), (JOINTS, 'a/msg/B')])
def test_a_damaged_message_is_one_clear_error(topic, kind):
    with pytest.raises(UserError, match=f'recorded {topic} at log time 99 ns; expected a whole {kind}'):
        to_item(RawEvent(topic, kind, 99, b'\x00\x01\x00\x00\x01'))


def test_messages_come_by_what_they_show_and_an_action_after_all_of_its_last_moment():
    late, early = item(EMBEDDING, 100, log=400), item(JOINTS, 100, log=120)
    action, after = moved(1, 50, 100), item(EMBEDDING, 300, log=310)
    assert ordered(early, action, after, late) == [
        early, Item(*_due(late, 400)), Item(*_due(action, 400)), Item(*_due(after, 400))
    ]  # fmt: skip


def _due(one, log):
    return one.topic, one.type, log, one.stamp_ns, one.data, one.motion


def test_what_was_said_twice_goes_out_once():
    first, other = item(EMBEDDING, 100), item(JOINTS, 1)
    again = item(EMBEDDING, 100, log=2000, data=first.data)
    assert [one.data for one in ordered(first, other, again)] == [other.data, first.data]


def test_robot_info_of_another_robot_or_time_begins_anew_and_the_same_one_does_not():
    info = 'robot/info'
    same, other = item(info, 0, log=10, data=b'robot'), item(info, 0, log=30, data=b'robot, restarted')
    before, after = item(EMBEDDING, 5000, log=20), item(EMBEDDING, 4000, log=40)
    assert ordered(same, before, other, after) == [before, Break(30, b'robot, restarted'), after]


def test_a_stamp_that_goes_back_begins_anew():
    before, after = item(EMBEDDING, 9 * SECOND, log=10), item(EMBEDDING, SECOND, log=20)
    assert ordered(before, after) == [before, Break(20), after]
    late = item(EMBEDDING, 9 * SECOND - SECOND // 2, log=30)
    assert Break not in map(type, ordered(before, late))


@given(
    st.lists(st.tuples(st.integers(0, 5 * SECOND), st.integers(0, SECOND - 1)), max_size=60, unique_by=lambda p: p[0])
)
def test_whatever_came_late_by_less_than_a_second_comes_in_order_and_none_is_lost(stamps):
    items = [item(EMBEDDING, stamp, log=stamp + delay) for stamp, delay in stamps]
    # Two of one topic come in their order, so the late ones are each of a topic of their own.
    items = [Item(f'{one.topic}{n}', one.type, one.log_ns, one.stamp_ns, one.data) for n, one in enumerate(items)]
    said = ordered(*sorted(items, key=lambda one: one.log_ns))
    assert [one.stamp_ns for one in said] == sorted(one.stamp_ns for one in items)
    logs = [one.log_ns for one in said]
    assert logs == sorted(logs) and all(one.log_ns >= one.stamp_ns for one in said)


@given(st.floats(0.1, 100.0), st.lists(st.floats(0.0, 0.5), min_size=1, max_size=50))
def test_recorded_time_goes_on_at_the_rate(rate, turns):
    pace, now, due = Pace(rate), 0.0, 10**15
    pace.jump(1000)
    pace.advance(now, due)
    for turn in turns:
        now += turn
        pace.advance(now, due)
    assert pace.position_ns - 1000 == pytest.approx(now * rate * 1e9, abs=len(turns))
    assert pace.seconds_until(due) == pytest.approx((due - pace.position_ns) / rate / 1e9)


def test_time_waits_at_a_message_that_is_held_back_and_hurries_nothing_afterwards():
    pace = Pace(1.0)
    pace.advance(0.0, SECOND)
    assert pace.advance(1.0, SECOND)
    assert pace.advance(60.0, SECOND) and pace.position_ns == SECOND
    assert not pace.advance(60.5, 2 * SECOND) and pace.position_ns == 3 * SECOND // 2
    pace.stand_still(100.0)
    assert pace.advance(100.5, 2 * SECOND) and pace.position_ns == 2 * SECOND


def test_as_fast_as_it_is_taken_everything_is_due():
    pace = Pace(0.0)
    assert pace.advance(0.0, 10**18) and pace.seconds_until(2 * 10**18) == 0.0


@pytest.mark.parametrize('rate', [-1.0, 0.05, 101.0, float('nan')])
def test_other_rates_are_refused(rate):
    with pytest.raises(UserError, match=r'rate; expected 0\.1 to 100, or 0'):
        Pace(1.0).set_rate(rate)


def test_settings_refuse_a_loop_that_is_to_end():
    with pytest.raises(UserError, match='a loop has no end'):
        PlayerSettings(loop=True, exit_at_end=True)
    with pytest.raises(UserError, match='rate'):
        PlayerSettings(rate=0.01)


@pytest.fixture
def answers():
    """After an image at 100 ns and an action from 150 to 200 ns, settling for 100 ns."""
    made = Answers(timeout=5.0)
    made.show(100, 0.0, is_embedded_elsewhere=False)
    made.act(Motion(('a', 1), (1.0,), 150, 200), 100e-9)
    return made


def test_a_step_is_open_until_the_first_image_after_it_has_settled(answers):
    assert answers.is_open
    answers.show(300, 1.0, is_embedded_elsewhere=False)
    assert answers.is_open and not answers.awaits_anything
    answers.show(301, 1.0, is_embedded_elsewhere=False)
    assert answers.awaits_experience and not answers.is_open
    assert not answers.hear_experience(300) and answers.awaits_experience
    assert answers.hear_experience(301) and not answers.awaits_anything and answers.unanswered == 0


def test_no_answer_in_time_is_counted_and_said_but_not_in_a_night(answers):
    answers.show(301, 1.0, is_embedded_elsewhere=False)
    assert answers.expire(6.0) == ''
    answers.prolong(100.0)
    assert answers.expire(105.0) == ''
    assert answers.expire(105.1) == 'no experience after an action within 5 s'
    assert answers.unanswered == 1 and not answers.awaits_anything


def test_an_image_waits_for_its_embedding_and_an_older_one_says_nothing(answers):
    answers.show(250, 1.0, is_embedded_elsewhere=True)
    answers.hear_embedding(100)
    assert answers.awaits_anything
    answers.hear_embedding(250)
    assert not answers.awaits_anything and answers.is_open
    answers.show(260, 1.0, is_embedded_elsewhere=True)
    assert answers.expire(6.1) == 'no embedding of an image within 5 s'
    assert answers.is_open and answers.unanswered == 0


@pytest.mark.parametrize(
    'motion',
    [Motion(('a', 2), (1.0,), 99, 120), Motion(('a', 2), (1.0,), 300, 350, is_refused=True)],
    ids=['before anything was seen', 'refused'],
)
def test_an_action_that_can_have_no_experience_is_not_waited_for(motion):
    answers = Answers(timeout=5.0)
    answers.show(100, 0.0, is_embedded_elsewhere=False)
    answers.act(motion, 0.0)
    answers.show(1000, 0.0, is_embedded_elsewhere=False)
    assert not answers.awaits_anything and answers.unanswered == (not motion.is_refused)


def test_an_action_on_top_of_an_open_one_takes_its_place(answers):
    answers.act(Motion(('a', 2), (1.0,), 210, 260), 0.0)
    assert answers.unanswered == 1 and answers.is_open
    answers.end()
    assert answers.unanswered == 2 and not answers.is_open


def test_the_last_image_of_an_episode_is_not_what_the_next_one_starts_from():
    answers = Answers(timeout=5.0)
    answers.show(100, 0.0, is_embedded_elsewhere=False)
    answers.act(Motion(('a', 1), (1.0,), 150, 200, ends_episode=True), 0.0)
    answers.show(210, 0.0, is_embedded_elsewhere=False)
    assert answers.hear_experience(210)
    answers.act(Motion(('a', 2), (1.0,), 220, 230), 0.0)
    assert answers.unanswered == 1
    answers.show(240, 0.0, is_embedded_elsewhere=False)
    answers.act(Motion(('a', 3), (1.0,), 250, 260), 0.0)
    assert answers.unanswered == 1 and answers.is_open


def test_a_barrier_falls_by_the_answer_to_its_own_question_or_by_time():
    barrier = Barrier(5.0)
    assert barrier.is_passed(0.0)
    barrier.raise_up(0.0)
    old = barrier.wanted
    barrier.raise_up(1.0)
    barrier.hear(old)
    assert not barrier.is_passed(2.0)
    barrier.hear(barrier.wanted)
    assert barrier.is_passed(2.0)
    barrier.raise_up(3.0)
    assert not barrier.is_passed(8.0) and barrier.is_passed(8.1) and not barrier.is_up
    barrier.raise_up(9.0)
    assert barrier.is_passed(9.0)  # in vain once is enough
    barrier.hear(old)
    barrier.raise_up(10.0)
    assert not barrier.is_passed(10.0)


def says(learner, now=0.0, **changes):
    status = {'phase': 'wake', 'mode': 'follow', 'loaded': True, 'total_steps': 0, 'fault': '', **changes}
    learner.hear_status(now=now, **status)
    return learner.trouble


def test_a_learner_is_in_trouble_until_it_is_loaded_and_follows():
    learner = Learner()
    assert learner.trouble == 'no learner was heard yet'
    assert says(learner, loaded=False, fault='other robot') == 'the learner has no weights yet (other robot)'
    assert says(learner, mode='manual').startswith("the learner is in mode 'manual'")
    assert says(learner) == ''
    learner.look(5.0)
    assert learner.trouble == ''
    learner.look(5.6)
    assert learner.trouble == 'the learner has been silent for 6 s'


def test_a_night_lasts_until_the_learner_is_awake_at_the_step_that_announced_it():
    learner = Learner()
    says(learner)
    learner.hear_experience(499, ends_cycle=False)
    assert not learner.sleeps
    learner.hear_experience(500, ends_cycle=True)
    says(learner, total_steps=499)  # said before it lived the step
    assert learner.sleeps
    says(learner, phase='asleep', total_steps=500)
    assert learner.sleeps and not learner.trouble
    says(learner, total_steps=500)
    assert not learner.sleeps
    says(learner, phase='falling_asleep', total_steps=500)
    assert learner.sleeps


def test_a_learner_that_was_started_anew_knows_of_no_night():
    learner = Learner()
    learner.hear_experience(500, ends_cycle=True)
    says(learner, loaded=False, phase='waiting')
    says(learner, total_steps=498)
    assert not learner.sleeps

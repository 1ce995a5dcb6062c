"""Real time and lock-step without ROS: order and time of outputs, for any clock."""

import itertools

from hypothesis import given, strategies
from hypothesis import settings as hypothesis_settings
import numpy as np
import pytest

from cls_sim.lock_step import LockStep
from cls_sim.pace import ActionCommand, CommandResult, RefusalCode, Status
from cls_sim.real_time import RealTime
from cls_sim.robot import SensorFrame
from cls_sim.robots import make, SimulatorSettings
from cls_sim.settings import FaultSettings

MS = 1_000_000
START = 5_000 * MS


def command(sequence, *values, source='test'):
    return ActionCommand(source, sequence, np.array(values, np.float32))


def real_time(robot='square', **settings):
    known = SimulatorSettings(**{'servo_speed': 100.0, **settings})
    pace = RealTime(make(robot, known), known.latency)
    assert pace.start(START) == []
    return pace


def lock_step(robot='square', **settings):
    pace = LockStep(make(robot, SimulatorSettings(lock_step=True, **settings)))
    return pace, pace.start(0)


@pytest.fixture(params=['real_time', 'lock_step'])
def pace(request):
    return real_time() if request.param == 'real_time' else lock_step()[0]


@pytest.mark.parametrize(
    ('values', 'code'),
    [
        ((np.nan, 0.0), RefusalCode.NON_FINITE),
        ((0.0, -np.inf), RefusalCode.NON_FINITE),
        ((1.0,), RefusalCode.WRONG_LENGTH),
        ((), RefusalCode.WRONG_LENGTH),
        ((1.0, np.nan, 1.0), RefusalCode.WRONG_LENGTH),
    ],
)
def test_an_invalid_action_is_refused_and_moves_nothing(pace, values, code):
    (result,) = pace.submit(command(1, *values), pace.now_ns(START))
    assert result.code is code and result.text
    np.testing.assert_array_equal(result.motion.commanded, np.array(values, np.float32))
    np.testing.assert_array_equal(result.motion.applied, [0.0, 0.0])
    np.testing.assert_array_equal(result.motion.joints, result.motion.joints_before)
    assert pace.due_ns is None and not pace.joints(pace.now_ns(START)).any()


def test_while_stopped_actions_are_refused_until_rearm(pace):
    now = pace.now_ns(START)
    assert pace.stop(now) == [] and pace.status is Status.STOPPED
    (result,) = pace.submit(command(1, 5, 0), now)
    assert result.code is RefusalCode.NOT_READY and not result.motion.applied.any()
    pace.rearm()
    assert pace.status is Status.READY
    outputs = pace.submit(command(2, 5, 0), now) + pace.poll(now + 60 * MS)
    assert (
        isinstance(outputs[0], CommandResult)
        and outputs[0].code is RefusalCode.NONE
        and outputs[0].motion.applied[0] == 5
    )


def test_in_lock_step_a_repeated_action_is_answered_again_with_the_same_image():
    pace, _ = lock_step()
    result, frame = pace.submit(command(1, 5, 0), 0)
    again, same = pace.submit(command(1, 5, 0), 0)
    assert again is result and same is frame
    after, _ = pace.submit(command(2, 5, 0), 0)
    np.testing.assert_allclose(np.rad2deg(after.motion.joints), [10.0, 0.0])


def test_in_lock_step_each_source_has_its_own_sequence():
    pace, _ = lock_step()
    pace.submit(command(1, 5, 0), 0)
    result, _ = pace.submit(command(1, 3, 0, source='other'), 0)
    assert result.motion.applied[0] == 3 and result.command.source == 'other'


def test_actions_of_a_restarted_source_are_no_repetitions():
    pace, _ = lock_step()
    pace.submit(command(1, 5, 0), 0)
    result, _ = pace.submit(command(1, 4, 0), 0)
    np.testing.assert_allclose(np.rad2deg(result.motion.joints[0]), 9.0)


def test_in_lock_step_the_last_image_is_published_again_with_its_stamp():
    pace, (first,) = lock_step()
    assert pace.tick(0) == [first]
    _, second = pace.submit(command(1, 5, 0), 0)
    assert pace.tick(0) == [first, second], 'a restarted learner has no other source of the first image'
    _, third = pace.submit(command(2, 5, 0), 0)
    assert pace.tick(0) == [third] and third.stamp_ns > second.stamp_ns > first.stamp_ns


def test_in_lock_step_a_lost_action_is_not_answered_and_can_be_repeated():
    pace, _ = lock_step(faults=FaultSettings(lost_action=0.5))
    outputs = [len(pace.submit(command(n // 10, 0.1, 0), 0)) for n in range(300)]  # each repeated ten times
    rounds = [outputs[n : n + 10] for n in range(0, 300, 10)]
    assert all(r == sorted(r) for r in rounds)  # once answered, always answered
    assert {r[0] for r in rounds} == {0, 2}
    np.testing.assert_allclose(np.rad2deg(pace.joints(0)[0]), 3.0, atol=1e-5)  # each done once


def test_in_lock_step_the_end_of_an_episode_gives_two_images():
    pace, _ = lock_step('gym:CartPole-v1')
    outputs = next(h for h in (pace.submit(command(n, 1), 0) for n in range(50)) if h[0].motion.terminal)
    result, last, first = outputs
    assert result.motion.end_ns < last.stamp_ns < first.stamp_ns
    assert abs(last.observations['state'][2]) > 0.2 > abs(first.observations['state'][2])
    assert pace.tick(0) == [last, first], 'the last image of the episode may have been lost'
    _, second = pace.submit(command(50, 1), 0)
    assert pace.tick(0) == [first, second]


def test_in_real_time_an_action_is_answered_when_its_motion_has_ended():
    pace = real_time(latency=0.02)
    assert pace.submit(command(1, 10, 0), START) == []
    assert pace.due_ns == START + 20 * MS and pace.status is Status.READY
    assert pace.poll(START + 20 * MS) == [] and pace.status is Status.MOVING
    assert pace.due_ns == START + 120 * MS
    assert pace.poll(START + 119 * MS) == []
    np.testing.assert_allclose(np.rad2deg(pace.joints(START + 70 * MS)), [5.0, 0.0])
    (result,) = pace.poll(START + 121 * MS)
    motion = result.motion
    assert (motion.start_ns, motion.end_ns) == (START + 20 * MS, START + 120 * MS)
    assert motion.applied[0] == 10 and pace.status is Status.READY and pace.due_ns is None


def test_in_real_time_the_answer_comes_before_the_first_image_of_the_new_pose():
    pace = real_time()
    pace.submit(command(1, 10, 0), START)
    (early,) = pace.tick(START + 50 * MS)
    result, frame = pace.tick(START + 100 * MS)
    assert isinstance(result, CommandResult) and isinstance(frame, SensorFrame)
    np.testing.assert_allclose(np.rad2deg(early.joints), [5.0, 0.0])
    np.testing.assert_allclose(np.rad2deg(frame.joints), [10.0, 0.0])
    assert np.abs(early.image.astype(int) - frame.image).max() > 150  # the square has moved


def test_in_real_time_one_action_is_pending_and_a_newer_one_replaces_it():
    pace = real_time()
    pace.submit(command(1, 10, 0), START)
    assert pace.submit(command(2, 0, 10), START + MS) == []
    (replaced,) = pace.submit(command(3, 5, 0), START + 2 * MS)
    assert (replaced.command.sequence, replaced.code) == (2, RefusalCode.NOT_READY)
    (first,) = pace.poll(START + 100 * MS)
    (third,) = pace.poll(START + 150 * MS)
    assert [first.command.sequence, third.command.sequence] == [1, 3]
    assert third.motion.start_ns >= first.motion.end_ns and pace.joints(START + 150 * MS)[1] == 0


def test_in_real_time_a_repeated_action_is_carried_out_once():
    pace = real_time()
    for at in (0, 1, 50):
        assert pace.submit(command(1, 10, 0), START + at * MS) == []
    (result,) = pace.poll(START + 100 * MS)
    assert pace.submit(command(1, 10, 0), START + 200 * MS) == [result]
    assert pace.due_ns is None
    np.testing.assert_allclose(np.rad2deg(pace.joints(START + 300 * MS)), [10.0, 0.0])


def test_in_real_time_an_emergency_stop_ends_the_motion_at_once():
    pace = real_time()
    pace.submit(command(1, 10, -10), START)
    pace.submit(command(2, 10, -10), START + MS)
    cut, never = pace.stop(START + 30 * MS)
    assert (cut.command.sequence, cut.code, never.command.sequence, never.code) == (
        1,
        RefusalCode.NONE,
        2,
        RefusalCode.NOT_READY,
    )
    np.testing.assert_allclose(cut.motion.applied, [3.0, -3.0], atol=1e-5)
    assert cut.motion.end_ns == START + 30 * MS and 'emergency_stop' in cut.text
    np.testing.assert_allclose(np.rad2deg(pace.joints(START + 900 * MS)), [3.0, -3.0], atol=1e-9)
    assert pace.status is Status.STOPPED


def test_in_real_time_the_last_image_of_an_episode_precedes_the_next_episode():
    pace = real_time('gym:CartPole-v1')
    now, terminal = START, False
    for number in range(60):
        now += 40 * MS
        (result,) = pace.submit(command(number, 1), now)
        frames = pace.tick(now + MS)
        if result.motion.terminal:
            terminal = True
            break
    assert terminal
    (first,) = pace.tick(now + 30 * MS)
    assert abs(frames[-1].observations['state'][2]) > 0.2 > abs(first.observations['state'][2])


def test_in_real_time_late_frames_come_in_order_with_their_original_stamp():
    pace = real_time(faults=FaultSettings(late=0.3, late_by=0.1))
    arrived = []
    for n in range(100):
        now = START + n * 33 * MS
        arrived += [(f.stamp_ns, now) for f in pace.tick(now)]
    stamps = [stamp for stamp, _ in arrived]
    delays = [now - stamp for stamp, now in arrived]
    assert stamps == sorted(set(stamps)) and len(stamps) > 90
    assert min(delays) == 0 and 100 * MS <= max(delays) < 140 * MS


def test_in_real_time_a_delay_counts_images_and_begins_again_with_each_episode():
    late, prompt = real_time('gym:CartPole-v1', delay_steps=2), real_time('gym:CartPole-v1')
    frames, episodes, ended = [], 0, False
    for number in range(40):
        now = START + number * 40 * MS
        (arrived,), (frame,) = late.tick(now), prompt.tick(now)
        frames.append(frame)
        expected = frames[max(len(frames) - 3, 0)]
        np.testing.assert_array_equal(arrived.image, expected.image)
        np.testing.assert_array_equal(arrived.observations['state'], expected.observations['state'])
        assert arrived.stamp_ns == frame.stamp_ns == now
        if ended:  # this was the last image of the episode
            frames, episodes = [], episodes + 1
        (result,), (answer,) = (pace.submit(command(number, 1), now + MS) for pace in (late, prompt))
        ended = result.motion.terminal
        assert (result.motion.reward, ended) == (answer.motion.reward, answer.motion.terminal)
    assert episodes > 1


@given(
    strategies.lists(
        strategies.tuples(
            strategies.sampled_from(['submit', 'repeat', 'poll', 'tick', 'stop', 'rearm']),
            strategies.integers(0, 200),
            strategies.floats(-20, 20, width=32),
        ),
        max_size=30,
    )
)
@hypothesis_settings(deadline=None, max_examples=60)
def test_in_real_time_every_action_is_answered_once_and_motions_never_overlap(events):
    pace, now, asked = real_time(latency=0.01), START, []
    results = []
    for event, wait, value in events:
        now += wait * MS
        if event == 'submit':
            asked.append(command(len(asked), value, -value))
            results += pace.submit(asked[-1], now)
        elif event == 'repeat' and asked:
            results += [a for a in pace.submit(asked[-1], now) if a not in results]
        elif event == 'stop':
            results += pace.stop(now)
        elif event == 'rearm':
            pace.rearm()
        else:
            results += pace.tick(now) if event == 'tick' else pace.poll(now)
    results += pace.poll(now + 10_000 * MS) + pace.poll(now + 20_000 * MS)
    results = [a for a in results if isinstance(a, CommandResult)]
    assert sorted(a.command.sequence for a in results) == list(range(len(asked)))
    done = sorted((a.motion.start_ns, a.motion.end_ns) for a in results if a.code is RefusalCode.NONE)
    assert all(start <= end for start, end in done)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(done))
    total = sum((a.motion.applied.astype(float) for a in results), np.zeros(2))
    np.testing.assert_allclose(np.rad2deg(pace.joints(now + 30_000 * MS)), total, atol=1e-4)

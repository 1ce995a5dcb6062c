"""Losses are counted once: by transport, by number, by stamp; single CDR fields are read correctly."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from cls_recording import cdr_fields
from cls_recording.definitions import installed
from cls_recording.quality.drop_counts import DropCounts, StampGaps

NS = 1_000_000_000
TEXTS = st.text(st.characters(exclude_characters='\0', exclude_categories=['Cs']), max_size=20)
FLOATS = st.lists(st.floats(-5, 5, width=32), max_size=5)
WHOLE = st.integers(0, 2**64 - 1)


def cdr(message):
    return bytes(installed().serialize_cdr(message, message.__msgtype__))


@given(source=TEXTS, sequence=WHOLE, action=FLOATS, joints=FLOATS, error=st.integers(0, 2**16 - 1))
def test_an_applied_action_is_read_as_by_a_decoder(bags, source, sequence, action, joints, error):
    message = bags.applied(
        NS,
        sequence,
        action,
        source=source,
        error_code=error,
        joints_before=np.array(joints),
        joints_after=np.array(joints[:1]),
    )
    assert cdr_fields.read_sequence_number(message.__msgtype__, cdr(message)) == cdr_fields.SequenceNumber(
        source, sequence, error
    )


@given(frame=TEXTS, key=TEXTS, sequence=WHOLE, seconds=st.integers(0, 2**31 - 1), rest=st.integers(0, NS - 1))
def test_numbers_and_stamps_after_texts_of_any_length_are_read(bags, frame, key, sequence, seconds, rest):
    stamp = bags.make('builtin_interfaces/msg/Time', sec=seconds, nanosec=rest)
    header = bags.make('std_msgs/msg/Header', stamp=stamp, frame_id=frame)
    experience = bags.make('cls_interfaces/msg/Experience', header=header, run_id=key, sequence=sequence)
    asked = bags.make('cls_interfaces/msg/RobotAction', header=header, source=key, sequence=sequence)
    for message in (experience, asked):
        assert cdr_fields.read_sequence_number(message.__msgtype__, cdr(message)) == cdr_fields.SequenceNumber(
            key, sequence
        )
        assert cdr_fields.stamp(cdr(message)) == seconds * NS + rest


@given(kept=st.lists(st.booleans(), min_size=1, max_size=60))
def test_gaps_in_numbers_are_counted(bags, kept):
    losses, kept_numbers = DropCounts(), [number for number, keep in enumerate(kept) if keep]
    for number in kept_numbers:
        losses.add('/robot/applied_action', 'cls_interfaces/msg/AppliedAction', cdr(bags.applied(NS, number)))
    assert losses.count == (kept_numbers[-1] - kept_numbers[0] + 1 - len(kept_numbers) if kept_numbers else 0)
    assert losses.steps == len(kept_numbers)


def test_a_learner_restart_refused_actions_and_truncated_messages_are_no_losses(bags):
    losses, kind = DropCounts(), 'cls_interfaces/msg/Experience'
    for run, numbers in (('a', (100, 101)), ('b', (1, 2)), ('a', (1, 2))):
        for number in numbers:
            losses.add('/experience', kind, cdr(bags.experience(NS, number, run)))
    refused = bags.applied(NS, 1, error_code=212)
    losses.add('/robot/applied_action', refused.__msgtype__, cdr(refused))
    losses.add('/robot/applied_action', refused.__msgtype__, cdr(refused)[:9])
    assert (losses.count, losses.steps) == (0, 0)


def test_losses_reported_by_transport_and_by_numbers_count_once(bags):
    losses = DropCounts()
    for number in (1, 2, 6):
        losses.add('/experience', 'cls_interfaces/msg/Experience', cdr(bags.experience(NS, number)))
    losses.report('/experience', 2)
    assert losses.count == 3
    losses.report('/joint_states', 4)
    assert losses.count == 7


def missing_of(stamps):
    series = StampGaps()
    for stamp in stamps:
        series.add(int(stamp))
    return series.missing


@pytest.mark.parametrize(('jitter', 'least'), [(0.02, 40), (0.1, 36)])
def test_gaps_in_a_constant_period_are_counted_and_jitter_is_not(jitter, least):
    period, generator = NS / 30, np.random.default_rng(1)
    stamps = (np.arange(300) + generator.uniform(-jitter, jitter, 300)) * period
    assert missing_of(stamps) == 0
    lost = np.sort(generator.choice(np.arange(20, 299), 40, replace=False))
    assert least <= missing_of(np.delete(stamps, lost)) <= 40


def test_a_publisher_that_catches_up_lost_nothing_and_a_new_rate_becomes_the_period():
    period, stamps, now = NS // 30, [], 0
    generator = np.random.default_rng(2)
    for burst in generator.integers(1, 12, 200):  # a pause, then all that was due
        now += int(burst) * period
        stamps += [now - 100_000 * (int(burst) - 1 - late) for late in range(int(burst))]
    assert missing_of([*(np.arange(40) * period - 50 * period), *stamps]) <= 0.02 * len(stamps)
    for other in (period // 5, period * 4):
        series = [*(np.arange(40) * period), *(40 * period + np.arange(1, 400) * other)]
        assert missing_of(series) <= 100
        assert missing_of([*series, *(series[-1] + np.arange(1, 400) * other)]) == missing_of(series)


def test_late_frames_are_no_losses():
    period = NS // 30
    stamps = np.arange(100) * period
    stamps[50:53] = stamps[53] - np.array([3000, 2000, 1000])  # three came with the fourth
    assert missing_of(stamps) == 0
    assert missing_of(np.delete(stamps, [50, 80])) == 2


def test_interruptions_and_clock_jumps_are_no_losses():
    series = np.arange(50) * (NS // 30)
    assert missing_of([*series, *(series + 60 * NS)]) == 0
    assert missing_of([*series, *(series - 60 * NS)]) == 0

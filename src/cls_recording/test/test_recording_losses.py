"""What is lost is counted once: by the transport, by number, by stamp; and fields are found where they stand."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from cls_recording import peek
from cls_recording.definitions import installed
from cls_recording.losses import Losses, StampRow

NS = 1_000_000_000
TEXTS = st.text(st.characters(exclude_characters='\0', exclude_categories=['Cs']), max_size=20)
FLOATS = st.lists(st.floats(-5, 5, width=32), max_size=5)
WHOLE = st.integers(0, 2**64 - 1)


def cdr(message):
    return bytes(installed().serialize_cdr(message, message.__msgtype__))


@given(source=TEXTS, sequence=WHOLE, action=FLOATS, joints=FLOATS, error=st.integers(0, 2**16 - 1))
def test_an_applied_action_is_read_as_a_decoder_reads_it(bags, source, sequence, action, joints, error):
    message = bags.applied(
        NS, sequence, action, source=source, error_code=error, joints_before=np.array(joints),
        joints_after=np.array(joints[:1]),
    )  # fmt: skip
    assert peek.numbered(message.__msgtype__, cdr(message)) == peek.Numbered(source, sequence, error)


@given(frame=TEXTS, key=TEXTS, sequence=WHOLE, seconds=st.integers(0, 2**31 - 1), rest=st.integers(0, NS - 1))
def test_numbers_and_stamps_behind_texts_of_any_length(bags, frame, key, sequence, seconds, rest):
    stamp = bags.make('builtin_interfaces/msg/Time', sec=seconds, nanosec=rest)
    header = bags.make('std_msgs/msg/Header', stamp=stamp, frame_id=frame)
    experience = bags.make('cls_interfaces/msg/Experience', header=header, run_id=key, sequence=sequence)
    asked = bags.make('cls_interfaces/msg/RobotAction', header=header, source=key, sequence=sequence)
    for message in (experience, asked):
        assert peek.numbered(message.__msgtype__, cdr(message)) == peek.Numbered(key, sequence)
        assert peek.stamp(cdr(message)) == seconds * NS + rest


@given(kept=st.lists(st.booleans(), min_size=1, max_size=60))
def test_holes_in_numbers_are_counted_whatever_is_missing(bags, kept):
    losses, heard = Losses(), [number for number, keep in enumerate(kept) if keep]
    for number in heard:
        losses.hear('/robot/applied_action', 'cls_interfaces/msg/AppliedAction', cdr(bags.applied(NS, number)))
    assert losses.count == (heard[-1] - heard[0] + 1 - len(heard) if heard else 0)
    assert losses.steps == len(heard)


def test_a_new_life_and_refused_actions_are_no_losses_and_a_torn_message_changes_nothing(bags):
    losses, kind = Losses(), 'cls_interfaces/msg/Experience'
    for run, numbers in (('a', (100, 101)), ('b', (1, 2)), ('a', (1, 2))):
        for number in numbers:
            losses.hear('/experience', kind, cdr(bags.experience(NS, number, run)))
    refused = bags.applied(NS, 1, error_code=212)
    losses.hear('/robot/applied_action', refused.__msgtype__, cdr(refused))
    losses.hear('/robot/applied_action', refused.__msgtype__, cdr(refused)[:9])
    assert (losses.count, losses.steps) == (0, 0)


def test_what_transport_and_numbers_both_show_counts_once(bags):
    losses = Losses()
    for number in (1, 2, 6):
        losses.hear('/experience', 'cls_interfaces/msg/Experience', cdr(bags.experience(NS, number)))
    losses.report('/experience', 2)
    assert losses.count == 3
    losses.report('/joint_states', 4)
    assert losses.count == 7


def missing_of(stamps):
    row = StampRow()
    for stamp in stamps:
        row.hear(int(stamp))
    return row.missing


@pytest.mark.parametrize(('jitter', 'least'), [(0.02, 40), (0.1, 36)])
def test_holes_in_a_rhythm_are_counted_and_jitter_is_none(jitter, least):
    period, generator = NS / 30, np.random.default_rng(1)
    stamps = (np.arange(300) + generator.uniform(-jitter, jitter, 300)) * period
    assert missing_of(stamps) == 0
    lost = np.sort(generator.choice(np.arange(20, 299), 40, replace=False))
    assert least <= missing_of(np.delete(stamps, lost)) <= 40


def test_a_sender_that_stalls_and_hurries_lost_nothing_and_a_new_rate_becomes_the_rhythm():
    period, stamps, now = NS // 30, [], 0
    generator = np.random.default_rng(2)
    for burst in generator.integers(1, 12, 200):  # nothing for a while, then all that was due
        now += int(burst) * period
        stamps += [now - 100_000 * (int(burst) - 1 - late) for late in range(int(burst))]
    assert missing_of([*(np.arange(40) * period - 50 * period), *stamps]) <= 0.02 * len(stamps)
    for other in (period // 5, period * 4):
        row = [*(np.arange(40) * period), *(40 * period + np.arange(1, 400) * other)]
        assert missing_of(row) <= 100
        assert missing_of([*row, *(row[-1] + np.arange(1, 400) * other)]) == missing_of(row)


def test_frames_that_are_late_and_caught_up_with_are_no_losses():
    period = NS // 30
    stamps = np.arange(100) * period
    stamps[50:53] = stamps[53] - np.array([3000, 2000, 1000])  # three came with the fourth
    assert missing_of(stamps) == 0
    assert missing_of(np.delete(stamps, [50, 80])) == 2


def test_an_interruption_or_a_clock_that_jumps_is_no_loss_of_frames():
    row = np.arange(50) * (NS // 30)
    assert missing_of([*row, *(row + 60 * NS)]) == 0
    assert missing_of([*row, *(row - 60 * NS)]) == 0

"""Each kind of gap is found, without false positives."""

from dataclasses import asdict
import math

import numpy as np
import pytest

from cls_recording.quality.sequence_gaps import count_missing, Gaps
from cls_recording.quality.verdict import examine
from cls_recording.repair import repair
from cls_recording.session import SessionInfo


@pytest.fixture
def examine_messages(bags, tmp_path):
    """Writes a session and returns its quality."""
    return lambda said, **options: examine(bags.write(tmp_path / 'session', sorted(said, key=by_time), **options))


def by_time(entry):
    return entry[0]


def found(health):
    """Returns the gaps that are not zero."""
    gaps = asdict(health.gaps)
    del gaps['frames']
    return {name: value for name, value in gaps.items() if value}


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_a_good_session_is_good(bags, examine_messages, storage):
    health = examine_messages(bags.session_messages(30), storage=storage)
    assert (health.verdict, health.reasons, found(health)) == ('good', (), {})
    assert health.gaps == Gaps(frames=60)
    assert health.duration == pytest.approx(6.0, abs=0.01)
    assert health.topics['camera/image_raw/compressed'].rate == pytest.approx(10.0, rel=0.01)
    assert health.size > 60 * 300


def test_dropped_frames_are_counted_in_frames(bags, examine_messages):
    said = bags.session_messages(50)
    images = [entry for entry in said if entry[1].endswith('compressed')]
    gone = {id(entry) for entry in images[40:43] + images[70:71]}
    health = examine_messages([entry for entry in said if id(entry) not in gone])
    assert found(health) == {'dropped_frames': 4} and health.gaps.frames == 96
    assert health.verdict == 'fair' and health.reasons == ('4 images missing (4.0%)',)


@pytest.mark.parametrize('stall', [0, 10, 17, 20, 40, 80, 150])
def test_late_frames_are_not_missing(stall):
    """At 33 ms, every 20th image is delayed by `stall` ms, and those queued after it follow at once."""
    last, stamps = 0, []
    for number in range(200):
        last = max(last + 1, number * 33 + (stall if number % 20 == 10 else 0))
        stamps.append(last * 1_000_000)
    assert count_missing(stamps) == 0
    assert count_missing(stamps[:25] + stamps[27:60] + stamps[63:]) == 5
    assert count_missing([*stamps[:100], *(stamp + 60_000_000_000 for stamp in stamps[100:])]) == 0


def test_no_frame_is_missing_in_lock_step(bags, examine_messages):
    said = [entry for number, entry in enumerate(bags.session_messages(50)) if number % 7]
    kept = [entry for entry in said if entry[1] != '/robot/info']
    kept.append((bags.begin, '/robot/info', bags.robot(lock_step=True)))
    assert examine_messages(kept).gaps.dropped_frames == 0


@pytest.mark.parametrize('leap', [-0.3, -30.0, 30.0])
def test_a_jump_of_a_stamp_is_a_clock_jump(bags, examine_messages, leap):
    """The camera's clock changes, the recorder's does not."""
    half = bags.begin + 5 * bags.second
    said = bags.session_messages(50)
    for number, (time_ns, topic, message) in enumerate(said):
        if topic.endswith('compressed') and time_ns > half:
            was = message.header.stamp.sec * bags.second + message.header.stamp.nanosec
            changed = bags.make('sensor_msgs/msg/CompressedImage', header=bags.header(was + int(leap * bags.second)))
            said[number] = (time_ns, topic, changed)
    assert found(examine_messages(said)) == {'clock_jumps': 1}


def test_a_recorder_whose_clock_is_set_back_is_reported(bags, tmp_path):
    """It does not show in the order of log time."""
    said = bags.session_messages(50)
    back = [
        (time_ns - (number > 100) * bags.second, topic, message)
        for number, (time_ns, topic, message) in enumerate(said)
    ]
    bags.write_chunks(tmp_path / 'one' / 'one_0.mcap', back)
    repair(tmp_path / 'one')
    assert examine(tmp_path / 'one').gaps.clock_jumps >= 1


def test_a_pause_is_a_silence(bags, examine_messages):
    said = bags.session_messages(30)
    late = [(time_ns + (number > 60) * 8 * bags.second, *rest) for number, (time_ns, *rest) in enumerate(said)]
    health = examine_messages([entry for entry in late if not entry[1].endswith('compressed')])
    assert found(health) == {'silences': 1}


def test_reconnects_faults_learner_restarts_and_missing_numbers_are_counted(bags, examine_messages):
    said = bags.session_messages(30)
    second = bags.second
    said += [
        (bags.begin + second, '/robot/info', bags.robot()),  # the recorder's, once more in its next file
        (bags.begin + 2 * second, '/robot/info', bags.robot(time_ns=bags.begin + 2 * second)),
        (bags.begin + 2 * second, '/robot/state', bags.state(3, error_msg='the board does not answer')),
        (bags.begin + 2 * second + 1, '/robot/state', bags.state(3, error_msg='the board does not answer')),
        (bags.begin + 2 * second + 2, '/robot/state', bags.state(0)),
        (bags.begin + 3 * second, '/robot/state', bags.state(2)),
    ]
    actions = [entry for entry in said if entry[1] == '/robot/applied_action']
    experiences = [entry for entry in said if entry[1] == '/experience']
    gone = {id(entry) for entry in actions[5:7] + experiences[20:21]}
    later = {id(entry): bags.experience(0, number + 1, 'new') for number, entry in enumerate(experiences[25:], 25)}
    health = examine_messages([(*entry[:2], later.get(id(entry), entry[2])) for entry in said if id(entry) not in gone])
    assert found(health) == {
        'reconnects': 1,
        'faults': {'the board does not answer': 1, 'stopped': 1},
        'restarts': 1,
        'missing_actions': 2,
        'missing_experiences': 1,
    }
    assert health.verdict == 'fair' and '1 times: the board does not answer' in health.reasons


def test_losses_of_the_recorder_are_reported(bags, examine_messages):
    custom = SessionInfo(name='session', lost=4, dropped=2, repaired='it had no end').to_custom_data()
    health = examine_messages(bags.session_messages(), custom=custom)
    assert health.verdict == 'bad'
    assert health.reasons == ('2 messages dropped', '4 messages lost before the recorder', 'repaired: it had no end')


@pytest.mark.parametrize(
    ('lacking', 'reason'),
    [('info', 'no robot/info'), ('compressed', 'no images'), ('applied_action', 'no action that was carried out')],
)
def test_missing_topics_make_a_session_bad(bags, examine_messages, lacking, reason):
    health = examine_messages([entry for entry in bags.session_messages() if not entry[1].endswith(lacking)])
    assert health.verdict == 'bad' and len(health.reasons) == 1 and health.reasons[0].startswith(reason)


def test_actions_are_counted_by_channel_and_as_a_whole(bags, examine_messages):
    said = [(bags.begin, '/robot/info', bags.robot()), (bags.begin, '/camera/image_raw/compressed', bags.image(0))]
    for step in range(200):
        time_ns = bags.begin + step * bags.second // 4
        values = (step / 10 - 10, (-5.0, 0.0, 5.0)[step % 3], step % 2)
        said.append((time_ns, '/robot/applied_action', bags.applied(time_ns, step, values, reward=0.5)))
    said += [
        (time_ns + 1, '/robot/applied_action', bags.applied(0, 200, (math.nan,) * 3, error_code=210, error_msg='NaN')),
        (time_ns + 2, '/robot/applied_action', bags.applied(0, 201, error_code=212, source='teleop')),
        (
            time_ns + 3,
            '/robot/applied_action',
            bags.applied(time_ns, 202, (9.9, 0.0, 1.0), source='teleop', terminal=True),
        ),
    ]
    actions = examine_messages(said).actions
    pan, tilt, grip = actions.channels
    assert actions.accepted == 201 and actions.refused == {'NaN': 1, 'error 212': 1}
    assert actions.sources == {'fast_learner': 200, 'teleop': 1}
    assert (actions.rewarded, actions.episodes) == (200, 1)
    assert (actions.period, actions.duration) == (pytest.approx(0.25), pytest.approx(0.05))
    low, high, deviation = actions.periods
    assert low < 0.001 and high == pytest.approx(0.25) and 0.0 < deviation < 0.03
    assert pan.edges == tuple(np.linspace(-10.0, 10.0, 11)) and pan.counts == (20,) * 9 + (21,)
    assert (pan.name, pan.unit, pan.mean) == ('pan', 'deg', pytest.approx(0.0, abs=0.01))
    assert (tilt.edges, tilt.values, tilt.counts) == ((), (-5.0, 0.0, 5.0), (67, 68, 66))
    assert (grip.values, grip.counts) == ((0.0, 1.0), (100, 101))
    assert actions.most_frequent[0][1] == 2 and actions.most_frequent[0][0] == pytest.approx((9.9, 0.0, 1.0))


@pytest.mark.parametrize('stamp', ['0', 'since boot', 'a day ago'])
def test_images_whose_stamps_match_no_action_make_a_session_bad(bags, examine_messages, stamp):
    shifts = {'0': None, 'since boot': bags.begin - 100 * bags.second, 'a day ago': 86_400 * bags.second}
    said = bags.session_messages(20)
    for time_ns, topic, message in said:
        if topic.endswith('compressed'):
            message.header = bags.header(0 if shifts[stamp] is None else time_ns - shifts[stamp])
    health = examine_messages([entry for entry in said if entry[1] != '/experience'])
    reason = next(reason for reason in health.reasons if 'no message before and after an action' in reason)
    assert health.verdict == 'bad'
    shown = {'0': 'stamped 0 (never)', 'since boot': 's (since boot)', 'a day ago': 'stamped 2023-11-13'}[stamp]
    assert shown in reason and 'actions 2023-11-14' in reason


@pytest.mark.parametrize('count', [1, 3])
def test_images_that_can_not_be_decoded_are_counted(bags, examine_messages, count):
    said = bags.session_messages(30)
    images = [message for _, topic, message in said if topic.endswith('compressed')]
    for message in images[10 : 10 + count]:
        message.data = message.data[:-20]
    health = examine_messages(said)
    assert health.bad_frames == count and health.verdict == 'fair' and health.gaps.dropped_frames == 0
    assert [reason for reason in health.reasons if reason.startswith(f'{count} images that can not be decoded')]


def test_setting_back_the_recorder_s_clock_loses_no_image(bags, tmp_path):
    """Images and actions of both times lie in between each other by log time, but not as they were written."""
    said = bags.session_messages(400)
    half = len(said) // 2
    back = [
        (time_ns - (number > half) * 20 * bags.second, topic, message)
        for number, (time_ns, topic, message) in enumerate(said)
    ]
    bags.write_chunks(tmp_path / 'one' / 'one_0.mcap', back)
    repair(tmp_path / 'one')
    health = examine(tmp_path / 'one')
    assert health.gaps == Gaps(frames=800, clock_jumps=1)
    assert '1 clock jumps' in health.reasons

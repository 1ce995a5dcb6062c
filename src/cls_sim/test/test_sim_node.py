"""The simulator as a real process."""

import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import pytest
from rclpy.serialization import serialize_message

from cls_common import comms
from cls_common.images import from_jpeg
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_image, from_robot_info, to_array, to_nanoseconds
from cls_interfaces.msg import AppliedAction, RobotState
from cls_sim.pace import RefusalCode, Status
from cls_sim.robots import make, SimulatorSettings, Step

pytestmark = pytest.mark.xdist_group('sim_node')


def test_refusals_and_states_equal_the_constants_of_the_messages():
    for code in RefusalCode:
        assert getattr(AppliedAction, code.name) == code
    for status in Status:
        assert getattr(RobotState, status.name) == status


def test_in_real_time_the_robot_acts_and_publishes_images(simulate):
    listener = simulate(seed=2, noise_sigma=0.0)
    info = from_robot_info(listener.first(comms.ROBOT_INFO))
    assert info == make('sim', SimulatorSettings()).info
    before = from_image(listener.first(comms.IMAGE))
    answer = listener.ask(10.0, -5.0)
    assert (answer.source, answer.error_code) == ('test', AppliedAction.NONE)
    np.testing.assert_allclose(answer.applied, [10.0, -5.0], atol=1e-5)
    np.testing.assert_allclose(np.rad2deg(answer.joints_after), [10.0, -5.0])
    start_ns, end_ns = to_nanoseconds(answer.start), to_nanoseconds(answer.end)
    assert 8e6 < end_ns - start_ns < 9e6  # 10 degrees at 1,200 degrees a second
    later = listener.until(lambda: [s for s in listener.images() if s >= end_ns], 'an image after the action')[0]
    twin = make('sim', SimulatorSettings(seed=2, noise_sigma=0.0))
    np.testing.assert_array_equal(before, twin.reset().image)
    np.testing.assert_array_equal(listener.images()[later], twin.step([10.0, -5.0]).image)
    check_order_and_stamps(listener)
    check_refusals(listener)
    check_compressed(listener)


def check_order_and_stamps(listener) -> None:
    stamps = [to_nanoseconds(m.header.stamp) for m in listener.all(comms.IMAGE)]
    assert stamps == sorted(set(stamps)) and abs(stamps[-1] - time.time_ns()) < 60e9
    image, calibration = listener.all(comms.IMAGE)[0], listener.first(comms.CAMERA_INFO)
    assert image.header.frame_id == calibration.header.frame_id == 'camera_link_optical'
    assert calibration.k[0] == pytest.approx(112 / np.tan(np.radians(30)))
    joints = [m for m in listener.all(comms.JOINT_STATES) if to_nanoseconds(m.header.stamp) in stamps]
    assert joints and joints[0].name == ['pan', 'tilt']
    assert not listener.all(comms.CLOCK)
    listener.until(lambda: len(listener.all(comms.DIAGNOSTICS)) > 1, 'diagnostics')
    diagnostics: DiagnosticArray = listener.all(comms.DIAGNOSTICS)[-1]
    names = ['camera: stream', 'robot: link', 'robot: joint pan', 'robot: joint tilt']
    assert [s.name for s in diagnostics.status] == names, 'those of the hardware'


def check_refusals(listener) -> None:
    assert listener.ask(float('nan'), 0.0).error_code == AppliedAction.NON_FINITE
    refused = listener.ask(1.0)
    assert refused.error_code == AppliedAction.WRONG_LENGTH and list(refused.applied) == [0.0, 0.0]
    done = listener.ask(2.0, 0.0)
    count = len(listener.all(comms.APPLIED_ACTION))
    listener.send([2.0, 0.0], done.sequence)
    listener.until(lambda: len(listener.all(comms.APPLIED_ACTION)) > count, 'the same answer again')
    # As bytes, since the reward is NaN.
    assert serialize_message(listener.answer_to(done.sequence)) == serialize_message(done)
    np.testing.assert_allclose(np.rad2deg(listener.ask(0.0, 0.0).joints_before), [12.0, -5.0])


def check_compressed(listener) -> None:
    found = []
    listener.until(lambda: listener.all(comms.IMAGE), 'an image')
    qos.subscription(listener.node, comms.COMPRESSED, found.append)
    listener.until(lambda: found, 'a compressed image')
    stamp = to_nanoseconds(found[0].header.stamp)
    raw = listener.until(lambda: listener.images().get(stamp) is not None or stamp < max(listener.images()), 'raw')
    assert raw and found[0].format == 'jpeg'
    jpeg, image = from_jpeg(found[0].data.tobytes()).astype(int), list(listener.images().values())[-1]
    assert jpeg.shape == image.shape and np.abs(jpeg - image).mean() < 6


def test_an_emergency_stop_ends_a_slow_motion_and_rearm_lets_it_move_again(simulate):
    listener = simulate(servo_speed=5.0)
    listener.sequence += 1
    listener.first(comms.ROBOT_STATE)

    def moves() -> bool:
        listener.send([10.0, 0.0], listener.sequence)
        return any(m.position[0] > 0.02 for m in listener.all(comms.JOINT_STATES))

    listener.until(moves, 'motion')
    assert listener.all(comms.ROBOT_STATE)[-1].state == RobotState.MOVING
    assert listener.call(comms.EMERGENCY_STOP).success
    cut = listener.until(lambda: listener.answer_to(listener.sequence), 'an answer to the action cut short')
    assert 1.0 < cut.applied[0] < 9.9 and cut.error_code == AppliedAction.NONE
    listener.until(lambda: listener.all(comms.ROBOT_STATE)[-1].state == RobotState.STOPPED, 'the state')
    assert listener.all(comms.ROBOT_STATE)[-1].error_code == RobotState.EMERGENCY_STOP
    assert listener.ask(1.0, 0.0).error_code == AppliedAction.NOT_READY
    assert listener.call(comms.REARM).success
    after = listener.ask(0.5, 0.0)
    assert after.error_code == AppliedAction.NONE and after.applied[0] == 0.5
    np.testing.assert_allclose(np.rad2deg(after.joints_before[0]), cut.applied[0], atol=1e-4)


@pytest.mark.parametrize(
    ('robot', 'settings', 'count'),
    [
        (
            'sim',
            {
                'scene': 1,
                'moving_things': 3,
                'latency': 0.01,
                'servo_speed': 150.0,
                'faults.duplicate': 0.2,
                'faults.black': 0.2,
                'faults.late': 0.2,
            },
            12,
        ),
        ('gym:CartPole-v1', {}, 24),
    ],
)
def test_in_lock_step_the_node_publishes_exactly_the_results_of_step(simulate, robot, settings, count):
    listener = simulate(robot=robot, seed=7, lock_step='true', **settings)
    flat = {'robot': robot, 'seed': 7, 'lock_step': True, **settings}
    twin = make(robot, SimulatorSettings.from_flat(flat))
    assert from_robot_info(listener.first(comms.ROBOT_INFO)) == twin.info
    shown, draws = [twin.reset()], np.random.default_rng(0)
    for _ in range(count):
        values = twin.info.to_units(draws.uniform(-1, 1, len(twin.info.channels)))
        step = twin.step(values)
        check_answer(listener.ask(*values), step)
        shown += [step] if step.restart is None else [step, step.restart]
    check_senses(listener, shown)
    check_repetition(listener)


def check_senses(listener, shown: list[Step]) -> None:
    last = shown[-1].stamp_ns
    listener.until(lambda: last in listener.images(), 'the last image')
    images = listener.images()
    # The first one may have been sent before the client was connected.
    assert set(images) | {shown[0].stamp_ns} == {s.stamp_ns for s in shown}
    states = {to_nanoseconds(m.header.stamp): m.data for m in listener.all(comms.observation_topic('state'))}
    for step in shown[1:]:
        np.testing.assert_array_equal(images[step.stamp_ns], step.image)
        for values in step.observations.values():
            np.testing.assert_array_equal(to_array(states[step.stamp_ns]), values)

    def times() -> list[int]:
        return [to_nanoseconds(m.clock) for m in listener.all(comms.CLOCK)]

    listener.until(lambda: times()[-1] == last, 'the time of the last image')
    assert times() == sorted(times())


def check_repetition(listener) -> None:
    """After a pause without actions the last image is published again, unchanged."""
    seen = listener.all(comms.IMAGE)
    again = listener.until(lambda: listener.all(comms.IMAGE)[len(seen) :], 'the last image again')[0]
    assert again == seen[-1]


def check_answer(answer: AppliedAction, step: Step) -> None:
    np.testing.assert_array_equal(answer.commanded, step.commanded)
    np.testing.assert_array_equal(answer.applied, step.applied)
    np.testing.assert_array_equal(answer.joints_before, step.joints_before)
    np.testing.assert_array_equal(answer.joints_after, step.joints)
    assert (to_nanoseconds(answer.start), to_nanoseconds(answer.end)) == (step.start_ns, step.end_ns)
    assert (answer.terminal, answer.truncated) == (step.terminal, step.truncated)
    np.testing.assert_array_equal(answer.reward, np.float32(step.reward))


def test_a_wrong_parameter_ends_the_process_with_one_clear_line(start_process):
    wrong = [
        ({'robot': 'rover'}, 'one of cart_pole, corridor, gym, '),
        ({'robot': 'gym:CartPol-v1'}, 'CartPole-v1'),
        ({'servo_sped': 3.0}, "unknown parameter 'servo_sped'"),
        ({'faults.black': 3.0}, '0.0 to 1.0'),
    ]
    started = [(start_process(**parameters), words) for parameters, words in wrong]  # at once: starting takes longest
    for process, words in started:
        _, errors = process.communicate(timeout=60)
        lines = [line for line in errors.splitlines() if line.startswith('error:')]
        assert process.returncode == 2 and len(lines) == 1 and words in lines[0]

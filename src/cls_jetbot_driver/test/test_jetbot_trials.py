"""A fault at a random moment of an action: the motors end at 0, as the robot's own log of commands shows."""

from collections.abc import Callable
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
import time

import pytest

from cls_common.driver.safety import Code, DriverState
from cls_jetbot_driver.fake_jetbot import FakeJetBot, MotorCommand
from cls_jetbot_driver.motion import STILL
from cls_jetbot_driver.testing import Host

KINDS = ('cut', 'drop', 'garbage', 'hang', 'battery', 'no images')
DURATION, OWN_TIMEOUT, MOTOR_TIMEOUT = 0.3, 0.5, 0.5
# A busy machine delays both sides.
SLACK = 1.5


def break_link(host: Host, kind: str) -> None:
    wire = host.robot.wire
    if kind == 'cut':
        wire.holds_requests = wire.holds_answers = True
    elif kind == 'drop':
        wire.refuses = True
        wire.drop()
    elif kind == 'garbage':
        wire.garbles_answers = True
    elif kind == 'hang':
        wire.holds_answers = True
    elif kind == 'battery':
        host.robot.battery = 8.0
    else:
        host.camera_problem = 'no frame for 2 s'


def mend_link(host: Host) -> None:
    wire = host.robot.wire
    wire.holds_requests = wire.holds_answers = wire.garbles_answers = wire.refuses = False
    host.robot.battery = 12.0
    host.camera_problem = ''


def last_turning(log: list[MotorCommand]) -> float:
    """Returns the time at which the motors came to rest for good, s of the steady clock."""
    turning = [i for i, command in enumerate(log) if command.motors != STILL]
    return log[turning[-1] + 1].time if turning else 0.0


def run_trial(make_host: Callable[..., Host], kind: str, number: int) -> None:
    moment = random.Random(number).uniform(0.0, DURATION + 0.05)
    # Where the driver can stop it the robot does not stop by itself.
    own_timeout = OWN_TIMEOUT if kind in ('cut', 'drop') else 30.0
    host = make_host(timeout=own_timeout, seed=number, duration=DURATION, motor_timeout=MOTOR_TIMEOUT)
    host.send(1.0)
    host.robot.wait_for(lambda: host.robot.motors != STILL)
    begun = host.robot.log[-1].time
    while time.monotonic() < begun + moment:
        pass
    broken = time.monotonic()
    break_link(host, kind)
    host.wait_for_state(DriverState.FAULT)
    host.robot.wait_for(lambda: host.robot.motors == STILL)
    assert host.next_result().code in (Code.NONE, Code.LINK_LOST)
    assert host.ask(1.0).code is Code.NOT_READY, 'no motion in fault'
    host.wait_for(lambda: host.driver.status().lost_for > 0.1)
    log = list(host.robot.log)
    assert log[-1].motors == STILL
    assert last_turning(log) < max(broken, begun + DURATION) + MOTOR_TIMEOUT + OWN_TIMEOUT + SLACK
    mend_link(host)
    host.wait_for_state(DriverState.READY)
    known = len(host.robot.log)
    host.robot.wait_for(lambda: len(host.robot.log) > known + 4)
    host.robot.wait_for(lambda: host.robot.motors == STILL)
    log = list(host.robot.log)
    # Only what the network held back can turn the motors now, until the stop behind it on the same connection.
    for turning, after in zip(log[known:], log[known + 1 :]):
        assert turning.motors == STILL or (
            kind == 'cut' and after.motors == STILL and after.time - turning.time < SLACK
        )
    assert host.ask(1.0).code is Code.NONE, 'it goes on'


@pytest.mark.parametrize('kind', KINDS)
def test_motors_end_at_zero_after_a_fault_at_a_random_moment(make_host: Callable[..., Host], kind: str) -> None:
    run_trial(make_host, kind, KINDS.index(kind))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize('number', range(84))
def test_motors_end_at_zero_in_every_trial(make_host: Callable[..., Host], number: int) -> None:
    run_trial(make_host, KINDS[number % len(KINDS)], 1000 + number)


@pytest.mark.slow
@pytest.mark.parametrize('number', range(16))
def test_motors_end_at_zero_when_the_driver_is_asked_to_end(number: int) -> None:
    moment = random.Random(number).uniform(0.0, 0.6)
    with FakeJetBot(timeout=30.0) as robot:
        arguments = [f'port:={robot.port}', 'duration:=0.5', 'autostart:=true']
        command = [sys.executable, '-m', 'cls_jetbot_driver.nodes.jetbot_driver', '--ros-args']
        command += [part for argument in arguments for part in ('-p', argument)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        acting = subprocess.Popen([sys.executable, str(Path(__file__).with_name('acting.py'))], env=os.environ)
        try:
            robot.wait_for(lambda: robot.motors != STILL, 60.0)
            begun = robot.log[-1].time
            while time.monotonic() < begun + moment:
                pass
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=30)
        finally:
            acting.kill()
            acting.wait()
            process.kill()
        assert process.returncode == 0, output
        assert (robot.motors, robot.log[-1].is_request) == (STILL, True)

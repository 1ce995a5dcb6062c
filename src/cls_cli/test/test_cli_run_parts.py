"""The pure parts of `run`: one action at a time, its outcome, overdue answers, statistics and the image."""

import io
import os

from hypothesis import given, strategies
import numpy as np
import pytest
from rich.console import Console

from cls_cli.run_policy import statistics
from cls_cli.run_policy.actor import Actor, ASK_AGAIN, GIVE_UP, LATE, REST, SOURCE
from cls_cli.run_policy.prompt import Lines
from cls_cli.run_policy.statistics import Statistics
from cls_cli.run_policy.terminal_image import picture
from cls_common.robot import Channel, Kind, RobotInfo
from cls_common.step_builder import Applied
from cls_learning import policies
from cls_learning.config import LearningSettings

CHANNELS = tuple(Channel(name, Kind.RELATIVE, 'deg', -10.0, 10.0) for name in ('pan', 'tilt'))
ROBOT = RobotInfo('pan_tilt', ('camera',), CHANNELS, ('pan', 'tilt'), (-1.5, -0.7), (1.5, 0.7), settle_time=0.1)
NS = 10**9


class World:
    """An actor, a manual clock, and a robot that answers on request."""

    def __init__(self, sequence='1 0; 2 0; 3 0', **options):
        self.now = 100.0
        settings = LearningSettings.from_flat({'policy.kind': 'sequence', 'policy.sequence': sequence})
        policy = policies.make(settings, ROBOT, 0, None, 1)
        self.actor = Actor(policy, ROBOT, clock=lambda: self.now, **options)
        self.look()
        self.actor.set_joints(np.zeros(2))

    def look(self):
        self.actor.add_observation(int(self.now * NS))

    def answer(self, command, trouble='', reward=float('nan'), ended=False):
        stamp, zero = int(self.now * NS), np.zeros(2)
        applied = Applied(command.values, command.values, zero, zero, stamp, stamp, reward, ended, False)
        self.actor.add_applied_action(command.sequence, SOURCE, applied, trouble)

    def do(self):
        """One whole step; returns the values."""
        command = self.actor.act()
        assert command is not None
        self.answer(command)
        self.now += 0.2
        self.look()
        return command.values.tolist()


def test_one_action_at_a_time_after_answer_and_settled_image():
    world = World()
    command = world.actor.act()
    assert command.values.tolist() == [1, 0] and world.actor.act() is None
    world.answer(command)
    assert world.actor.act() is None, 'not yet seen'
    world.now += 0.1
    world.look()
    assert world.actor.act() is None, 'not yet settled'
    world.now += 0.01
    world.look()
    assert world.actor.act().values.tolist() == [2, 0]


def test_the_first_action_waits_for_an_observation_and_joints():
    world = World()
    world.actor.restart()
    assert world.actor.lacks == 'an image or observation' and world.actor.act() is None
    world.look()
    assert world.actor.lacks == 'joint_states' and world.actor.act() is None
    world.actor.set_joints(np.array([np.nan, 0.0]))
    assert world.actor.lacks == 'joint_states'
    world.actor.set_joints(np.zeros(2))
    assert not world.actor.lacks and world.actor.act()


def test_steps_end_the_run_after_the_last_outcome():
    world = World(steps=2)
    assert [world.do(), world.do()] == [[1, 0], [2, 0]]
    assert not world.actor.ended and world.actor.act() is None
    assert world.actor.ended == 'all 2 actions are done' and world.actor.statistics.actions == 2


def test_the_rate_is_kept_and_lateness_does_not_add_up():
    world, sent = World(max_rate=2.0), []
    for _ in range(4000):
        world.now += 0.003
        world.look()
        if command := world.actor.act():
            sent.append(world.now)
            world.answer(command)
    assert np.diff(sent).mean() == pytest.approx(0.5, abs=1e-3) and np.diff(sent).min() > 0.49
    assert world.actor.statistics.report()['interval_seconds']['median'] == pytest.approx(0.5, abs=0.004)


def test_a_refused_action_is_chosen_again_after_a_rest():
    world = World()
    world.do()
    world.answer(world.actor.act(), 'stopped; call rearm (212)')
    assert 'stopped; call rearm' in world.actor.news
    world.look()
    assert world.actor.act() is None, 'it rests'
    world.now += REST
    world.actor.news = ''
    command = world.actor.act()
    assert command.values.tolist() == [2, 0], 'the same step'
    world.answer(command, 'stopped; call rearm (212)')
    assert not world.actor.news, 'said once'
    report = world.actor.statistics.report()
    assert report['refused'] == {'stopped; call rearm (212)': 2} and report['actions'] == 1


def test_an_unanswered_action_is_sent_again_then_given_up():
    world = World()
    command = world.actor.act()
    assert world.actor.repeat() is None
    world.now += ASK_AGAIN + 0.01
    again = world.actor.repeat()
    assert (again.sequence, again.values.tolist()) == (command.sequence, [1, 0]) and world.actor.repeat() is None
    world.now += GIVE_UP
    assert world.actor.repeat() is None and 'no answer' in world.actor.news
    world.answer(command)
    assert world.actor.statistics.actions == 0, 'an answer that comes after all is not ours any more'
    world.now += 1.0
    world.look()
    assert world.do() == [1, 0] and world.actor.statistics.unanswered == 1


def test_a_missing_observation_is_reported_and_awaited():
    world = World()
    world.answer(world.actor.act())
    world.now += LATE + 0.01
    for _ in range(3):
        assert world.actor.repeat() is None and world.actor.act() is None
    assert world.actor.statistics.missing == 1 and 'waiting' in world.actor.news
    world.now += 60.0
    world.look()
    assert world.actor.act().values.tolist() == [2, 0], 'it goes on'


def test_the_wait_after_the_last_action_is_bounded():
    world = World(steps=1)
    world.answer(world.actor.act())
    assert world.actor.act() is None and not world.actor.ended
    world.now += LATE + 0.01
    world.actor.repeat()
    assert world.actor.act() is None and world.actor.ended


def test_actions_of_other_sources_are_not_counted():
    world = World()
    zero, stamp = np.zeros(2), int(world.now * NS) + 1
    world.actor.add_applied_action(7, 'teleop', Applied(zero, zero, zero, zero, stamp, stamp, 0.0, False, False))
    world.now += 0.2
    world.look()
    assert world.do() == [1, 0] and world.actor.statistics.actions == 1


def test_statistics_of_a_run():
    counts = Statistics(CHANNELS)
    for step in range(10):
        counts.sent(10.0 + step * 0.1 + (1.0 if step == 9 else 0.0))
        counts.done(np.array([step % 2, -0.5], np.float32), reward=1.0, ended=step % 5 == 4)
    counts.refused['too old (213)'] += 2
    report = counts.report()
    assert report['distribution'] == {'pan=0 tilt=-0.5': 5, 'pan=1 tilt=-0.5': 5} and report['kinds'] == 2
    assert report['interval_seconds'] == pytest.approx({'mean': 1.9 / 9, 'median': 0.1})
    assert (report['episodes'], report['reward'], report['refused']) == (2, 10.0, {'too old (213)': 2})
    assert counts.line() == '10 actions   10.0 a second   2 refused'
    assert '  pan=1 tilt=-0.5                5   50.0%' in counts.summary()
    assert 'interval: mean 211.1 ms, median 100.0 ms' in counts.summary()
    assert 'refused 2 times: too old (213)' in counts.summary()


def test_statistics_without_actions_are_null():
    report = Statistics(CHANNELS).report()
    assert report['reward'] is None and report['interval_seconds'] == {'mean': None, 'median': None}
    assert Statistics(CHANNELS).summary() == '0 actions, 0 different'


def test_continuous_actions_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(statistics, 'MOST_KINDS', 50)
    counts = Statistics(CHANNELS)
    for step in range(500):
        counts.done([step * 0.01, 0.0], float('nan'), False)
    counts.done([0.0, 0.0], float('nan'), False)
    assert len(counts.distribution) == 50 and counts.report()['kinds'] == 500
    assert counts.report()['distribution']['pan=0 tilt=0'] == 2


@given(parts=strategies.lists(strategies.binary(max_size=12), max_size=8))
def test_lines_are_whole_for_any_split_of_their_bytes(parts):
    reader, writer = os.pipe()
    lines, found = Lines(reader), []
    try:
        for part in parts:
            os.write(writer, part)
            while (line := lines.read(0.0)) is not None:
                found.append(line)
        os.close(writer)
        while (line := lines.read(0.0)) is not None or lines.is_open:
            found += [line] if line is not None else []
    finally:
        os.close(reader)
    sent = b''.join(parts)
    expected = sent.split(b'\n')
    assert found == [line.decode(errors='replace') for line in (expected if expected[-1] else expected[:-1])]


def test_an_image_becomes_half_blocks_of_its_colours():
    rgb = np.zeros((40, 60, 3), np.uint8)
    rgb[:20], rgb[20:, :30], rgb[20:, 30:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    text = picture(rgb, columns=6)
    console = Console(file=io.StringIO(), force_terminal=True, color_system='truecolor', width=80)
    console.print(text)
    shown = console.file.getvalue()
    first, second = shown.splitlines()
    assert first.count('▀') == second.count('▀') == 6
    assert '48;2;255;0;0m' in first and '38;2;0;255;0' in second and '38;2;0;0;255' in second

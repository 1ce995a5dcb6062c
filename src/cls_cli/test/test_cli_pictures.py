"""Pictures of a brain in the terminal, and actions of a learner that the user confirms."""

import io
import os
import time
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from rich.console import Console

from cls_bringup.nodes.graph_client import connect
from cls_bringup.snapshot import LearnerStatuses, Snapshot
from cls_cli.confirmation import Confirmation
from cls_cli.picture_table import picture_table
from cls_cli.view import render, Screen
from cls_common import comms, picture_grid
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_image
from cls_common.robot import Channel, Kind, RobotInfo
from cls_learning.policies.contract import EndOfActionsError

NAMES = ('seen', 'predicted', 'decoded', 'move=0', 'move=1')
FAST = Snapshot(
    node='fast_learner', brain='developmental', phase='wake', mode='curiosity', model='m', loaded=True, steps=12,
    wake_steps_per_cycle=500, metrics={'r2': 0.5}, headlines={'r2': True},
)  # fmt: skip
STATUSES = LearnerStatuses(FAST, Snapshot(node='slow_learner', loaded=True))
DOT = RobotInfo(name='dot', modalities=('camera',), channels=(Channel('move', Kind.DISCRETE, '', 0.0, 1.0),))


def shades(names=NAMES):
    return {name: np.full((224, 224, 3), 20 + 10 * i, np.uint8) for i, name in enumerate(names)}


def drawn(renderable, columns):
    console = Console(width=columns, height=100, record=True, file=io.StringIO(), color_system='truecolor')
    console.print(renderable)
    return console.export_text()


@pytest.mark.parametrize(
    'columns, rows, shown', [(76, 16, NAMES), (56, 43, NAMES), (40, 8, NAMES[:3]), (12, 7, NAMES[:1]), (8, 40, ())]
)
def test_pictures_are_as_large_as_they_fit_and_the_last_are_left_out(columns, rows, shown):
    text = drawn(picture_table(shades(), columns, rows), columns)
    lines = text.rstrip().splitlines()
    assert len(lines) <= rows and all(len(line.rstrip()) <= columns for line in lines)
    assert [name for name in NAMES if name in text] == list(shown)
    assert text.count('▀') >= 72 * len(shown)


@pytest.mark.parametrize('size, alone', [((80, 24), True), ((160, 50), False), ((124, 30), False)])
def test_the_view_shows_what_was_predicted_beside_what_is_seen(size, alone):
    screen = Screen(
        robot='dot', elapsed=1.0, statuses=STATUSES, pictures=shades(), size=size, are_pictures_alone=alone,
        channels=('move',),
    )  # fmt: skip
    lines = drawn(render(screen), size[0]).splitlines()
    assert len(lines) < size[1] and max(map(len, lines)) <= size[0]
    assert any('seen' in line and 'predicted' in line for line in lines) or size == (124, 30)
    assert all(any(name in line for line in lines) for name in NAMES[:3])
    assert ('losses' in '\n'.join(lines)) is not alone and any('v pictures' in line for line in lines)


def test_a_narrow_view_shows_figures_until_pictures_are_asked_for():
    screen = Screen(robot='dot', elapsed=1.0, statuses=STATUSES, pictures=shades(), size=(80, 24))
    assert '▀' not in drawn(render(screen), 80)
    empty = Screen(robot='dot', elapsed=1.0, statuses=STATUSES, size=(80, 24), are_pictures_alone=True)
    assert 'no pictures yet' in drawn(render(empty), 80)


def test_pictures_of_the_running_graph_arrive_with_their_names():
    context = rclpy.Context()
    context.init()
    node = rclpy.create_node('fast_learner', namespace='pictures', context=context)
    out = qos.publisher(node, comms.PICTURES)
    deadline = time.monotonic() + 30
    with connect('pictures') as client:
        client.watch_pictures()
        client.watch_pictures()  # once is enough
        while not client.pictures():
            out.publish(to_image(picture_grid.join(shades()), node.get_clock().now().to_msg(), ';'.join(NAMES)))
            assert time.monotonic() < deadline
        assert out.get_subscription_count() == 1
        found = client.pictures()
    assert tuple(found) == NAMES and all(map(np.array_equal, found.values(), shades().values()))
    node.destroy_node()
    context.try_shutdown()


def answered(*typed):
    """Returns the actions that answers give to a proposal of 1."""
    reader, writer = os.pipe()
    os.write(writer, ''.join(f'{line}\n' for line in typed).encode())
    os.close(writer)
    learner = SimpleNamespace(
        total_steps=4, pictures=dict, action_uncertainty=lambda _: {'move=0': 0.25, 'move=1': 0.5}
    )
    proposal = SimpleNamespace(robot=DOT, learner=learner, observation=None, action=np.ones(1, np.float32))
    confirm, found = Confirmation(reader), []
    try:
        while True:
            found.append(confirm(proposal).tolist())
    except EndOfActionsError as end:
        return found, str(end)
    finally:
        os.close(reader)


def test_an_action_is_accepted_replaced_or_ends_the_run(capsys):
    assert answered('', '0', 'move=0', 'stop', '') == ([[1.0], [0.0], [0.0]], 'ended by the user')
    shown = capsys.readouterr().out
    assert '5: move=1   uncertainty: move=0 0.25, move=1 0.5   [Enter: do it' in shown
    assert answered('') == ([[1.0]], 'the input ended') and answered('Q')[1] == 'ended by the user'


def test_what_is_typed_is_never_evaluated(capsys):
    typed = ('__import__("os").getpid() * 0', '2', '0.5', '0 0', 'stay=1', '1')
    assert answered(*typed) == ([[1.0]], 'the input ended')
    assert capsys.readouterr().err.count('error: action') == 5

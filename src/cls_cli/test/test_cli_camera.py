"""The live image: from a JetBot or the running graph, in the terminal or a window."""

import os
import pty
import re
import signal
import subprocess
import sys
import time

from fake_graph.screen import Screen
import numpy as np
import pytest
import rclpy

from cls_cli.live_image import displays, sources
from cls_cli.run_policy.terminal_image import escapes
from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_image
from cls_common.testing import refusal
from cls_jetbot_driver.fake_jetbot import FakeJetBot

RED, BLUE = (255, 0, 0), (0, 0, 255)


def halves():
    """Returns an image that is red above and blue below, uint8 (4, 6, 3)."""
    image = np.zeros((4, 6, 3), np.uint8)
    image[:2], image[2:] = RED, BLUE
    return image


def test_each_line_of_text_has_two_pixels_in_all_colours():
    above, below = escapes(halves(), 6, has_all_colours=True)
    assert above.count('▀') == below.count('▀') == 6
    assert set(re.findall(r'38;2;([\d;]+?);48;2;([\d;]+?)m', above)) == {('255;0;0', '255;0;0')}
    assert set(re.findall(r'38;2;([\d;]+?);48;2;([\d;]+?)m', below)) == {('0;0;255', '0;0;255')}


def test_colours_are_those_of_the_cube_where_a_terminal_has_no_others():
    assert re.findall(r'38;5;(\d+);48;5;(\d+)m', escapes(halves(), 1, has_all_colours=False)[0]) == [('196', '21')]


@pytest.mark.parametrize('end', ['q', 'ctrl-c'])
def test_the_live_image_of_a_jetbot_is_shown_until_q_or_ctrl_c(end):
    master, slave = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != 'DISPLAY'}
    with FakeJetBot() as robot:
        command = [sys.executable, '-m', 'cls_cli', 'camera', 'view', f'jetbot:127.0.0.1:{robot.port}']
        process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=subprocess.STDOUT, env=environment)
        os.close(slave)
        screen = Screen(master)
        try:
            screen.wait_for('▀')
            os.write(master, b'q') if end == 'q' else process.send_signal(signal.SIGINT)
            screen.wait_for('images in')
            assert process.wait(40) == 0
        finally:
            process.kill()
        assert len(robot.log) == 1, 'a viewer commands no motors'


def test_images_of_the_running_graph_arrive():
    context = rclpy.Context()
    context.init()
    node = rclpy.create_node('camera', namespace='view', context=context)
    images = qos.publisher(node, comms.IMAGE)
    deadline = time.monotonic() + 30
    with sources.graph('view') as newest:
        assert newest() is None
        while newest() is None:
            images.publish(to_image(halves(), node.get_clock().now().to_msg(), 'camera'))
            assert time.monotonic() < deadline
        assert np.array_equal(newest(), halves())
    node.destroy_node()
    context.try_shutdown()


@pytest.mark.parametrize('source', ['jetbot:127.0.0.1:0', 'jetbot:127.0.0.1:port', 'jetbot:127.0.0.1:1', '/no/such'])
def test_a_camera_that_is_not_there_is_named_in_one_line(source):
    def view():
        with sources.camera(source, 30.0):
            pass

    assert re.search('JetBot|camera', refusal(view))


def test_without_terminal_and_screen_there_is_one_line(monkeypatch):
    def view(display):
        with display():
            pass

    monkeypatch.delenv('DISPLAY', raising=False)
    assert not displays.has_screen()
    assert 'expected a terminal' in refusal(view, displays.terminal)
    assert '--no-window' in refusal(view, displays.window)


@pytest.mark.skipif(not displays.has_screen(), reason='needs a screen')
def test_a_window_shows_images_until_it_is_interrupted():
    with displays.window() as window:
        ends = iter([False, False, True])
        assert displays.run(window, halves, 'halves', 0.01, lambda: next(ends)) == 2

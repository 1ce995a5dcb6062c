"""No episode spans a gap, from bags and for all orders of steps."""

from collections.abc import Callable
import math
from pathlib import Path
import sys

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from cls_recording.export.episodes import split, step_rate
from cls_recording.export.statistics import ImageStatistics, of_vectors
from cls_recording.export.timeline import read_timelines, RecordedStep, Shot, Timeline

sys.path.insert(0, str(Path(__file__).parent))

from export_bags import BagMessages, FRAME, NS, picture, REACTION, ROBOT, START, STEP, walk


def nothing(recording: BagMessages) -> None:
    walk(3, start=START + 4 * STEP, recording=recording)


def pause(recording: BagMessages) -> None:
    walk(3, start=START + 4 * STEP + NS, recording=recording)


def lost_action(recording: BagMessages) -> None:
    recording.sequence += 1
    nothing(recording)


def refused_action(recording: BagMessages) -> None:
    recording.action(START + 4 * STEP - FRAME, (0, 0), (0, 0), error_code=212)
    nothing(recording)


def end_of_episode(recording: BagMessages) -> None:
    time, topic, kind, fields = recording.messages[-4]
    assert topic == 'robot/applied_action'
    recording.messages[-4] = (time, topic, kind, fields | {'terminal': True})
    nothing(recording)


def clock_set_back(recording: BagMessages) -> None:
    # Logged afterwards, as a recorder does whose own clock goes on.
    begun = len(recording.messages)
    walk(3, start=START - 50 * NS, recording=recording)
    later = [(time + 60 * NS, *rest) for time, *rest in recording.messages[begun:]]
    recording.messages[begun:] = later  # type: ignore[assignment]


def clock_set_forward(recording: BagMessages) -> None:
    walk(3, start=START + 3600 * NS, recording=recording)


def another_source(recording: BagMessages) -> None:
    begun = len(recording.messages)
    nothing(recording)
    for place, (time, topic, kind, fields) in enumerate(recording.messages[begun:], begun):
        if topic == 'robot/applied_action':
            fields = fields | {'source': 'teleop', 'sequence': fields['sequence'] + 1000}
            recording.messages[place] = (time, topic, kind, fields)


@pytest.mark.parametrize(
    ('between', 'lengths'),
    [
        (nothing, [7]),
        (pause, [4, 3]),
        (lost_action, [4, 3]),
        (refused_action, [4, 3]),
        (end_of_episode, [4, 3]),
        (clock_set_back, [4, 3]),
        (clock_set_forward, [4, 3]),
        (another_source, [7]),
    ],
)
def test_an_episode_ends_at(between: Callable[[BagMessages], None], lengths: list[int], tmp_path: Path) -> None:
    recording = walk(4)
    recording.messages.pop()  # the image after the last step, which the next walk takes again
    recording.images -= 1
    between(recording)
    timelines = read_timelines([recording.write(tmp_path / 'bag')])
    assert [len(episode.steps) for episode in split(timelines, ROBOT).episodes] == lengths


def test_the_image_of_a_step_has_the_same_clock(tmp_path: Path) -> None:
    recording = walk(2)
    clock_set_back(recording)
    steps = read_timelines([recording.write(tmp_path / 'bag')])[0].steps
    assert [(step.shot.epoch, step.start - step.shot.stamp) for step in steps if step.shot] == [
        (epoch, REACTION) for epoch in (0, 0, 1, 1, 1)
    ]


def test_a_step_whose_image_was_lost_is_left_out(tmp_path: Path) -> None:
    recording = walk(7)
    # All images from after step 2's own up to and with step 3's.
    lost = (START + 2 * STEP + FRAME, START + 3 * STEP)
    recording.messages = [m for m in recording.messages if not lost[0] <= m[3].get('header', 0) <= lost[1]]
    timelines = read_timelines([recording.write(tmp_path / 'bag')])
    cut = split(timelines, ROBOT)
    assert [len(episode.steps) for episode in cut.episodes] == [3, 3]
    assert cut.left_out == {'no image before the action': 1}


def test_a_camera_slower_than_the_steps_repeats_images(tmp_path: Path) -> None:
    recording = BagMessages()
    for number in range(8):
        if number % 2 == 0:
            recording.image(START + number * STEP, picture(number))
        recording.action(START + number * STEP + REACTION, (0, 0), (0, 0))
    cut = split(read_timelines([recording.write(tmp_path / 'bag')]), ROBOT)
    assert [len(episode.steps) for episode in cut.episodes] == [8]
    assert step_rate(cut.episodes) == pytest.approx(5.0)
    assert [step.shot.place for step in cut.episodes[0].steps if step.shot] == [0, 0, 1, 1, 2, 2, 3, 3]


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Draws steps of 5 Hz, plain ones and then every kind of gap between them."""
    epoch, time, steps = 0, START, list[RecordedStep]()
    events = st.sampled_from(['', 'end', 'pause', 'back', 'lost', 'blind', 'stale', 'nan'])
    for happened in [''] * 20 + draw(st.lists(events, max_size=15)):
        time += STEP + (5 * NS if happened == 'pause' else 0)
        if happened == 'back':
            epoch, time = epoch + 1, START
        stamp = time - REACTION - (3 * NS if happened == 'stale' else 0)
        shot = None if happened == 'blind' else Shot(len(steps), epoch, stamp)
        action = np.full(2, math.nan if happened == 'nan' else 0.0, np.float32)
        ends, follows = happened == 'end', happened != 'lost'
        end = time + REACTION
        steps.append(RecordedStep(epoch, time, end, follows, action, np.zeros(2), math.nan, ends, False, shot, {}))
    shots = tuple(step.shot for step in steps if step.shot)
    return Timeline(Path('drawn'), ROBOT, 'camera/image_raw', shots, tuple(steps))


@given(st.lists(timelines(), min_size=1, max_size=3))
def test_no_episode_spans_a_gap(drawn: list[Timeline]) -> None:
    cut = split(drawn, ROBOT)
    for episode in cut.episodes:
        first = episode.timeline.steps.index(episode.steps[0])
        assert episode.steps == episode.timeline.steps[first : first + len(episode.steps)]
        for before, step in zip(episode.steps, episode.steps[1:]):
            assert step.follows and step.epoch == before.epoch and not before.terminal
            assert 0 < step.start - before.start < 5 * NS
        assert all(s.shot and s.start - s.shot.stamp < NS and np.isfinite(s.action).all() for s in episode.steps)
    kept = [step for episode in cut.episodes for step in episode.steps]
    assert len(kept) + sum(cut.left_out.values()) == sum(len(timeline.steps) for timeline in drawn)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_statistics_of_images_equal_those_of_their_pixels(seed: int, count: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
    whole, halves = ImageStatistics(), [ImageStatistics(), ImageStatistics()]
    for number, image in enumerate(images):
        whole.add(image)
        halves[number % 2].add(image)
    halves[0].merge(halves[1])
    assert whole.figures() == halves[0].figures()
    pixels = images.reshape(-1, 3) / 255.0
    expected = of_vectors(pixels)
    gap = np.diff(np.sort(pixels, axis=0), axis=0).max() + 1e-12
    for name, figure in whole.figures().items():
        if name == 'count':
            assert figure == [count]
        else:
            # A quantile lies on a pixel here and between two there.
            tolerance = gap if name.startswith('q') else 1e-12
            np.testing.assert_allclose(np.reshape(figure, 3), expected[name], atol=tolerance)


def test_statistics_leave_out_values_that_are_not_finite() -> None:
    figures = of_vectors(np.array([1.0, math.nan, 3.0, math.inf]))
    assert (figures['min'], figures['max'], figures['mean'], figures['count']) == ([1.0], [3.0], [2.0], [2])
    assert math.isnan(of_vectors(np.array([math.nan]))['mean'][0])

"""Pairing of observations and applied actions to transitions, and where the chain of transitions breaks."""

from hypothesis import given, strategies
import numpy as np
import pytest

from cls_common.step_builder import Applied, StepBuilder
from cls_common.transition import CAMERA, EMBEDDING, JOINTS, Observation, Reading, Transition

MS = 1_000_000


def embedding(ms: float) -> Reading:
    """An embedding whose one number is the time of its image, ms."""
    return Reading(np.array([ms], np.float32), round(ms * MS))


def add(builder: StepBuilder, ms: float) -> Transition | None:
    """Adds the embedding of an image taken at `ms`."""
    return builder.add_reading(EMBEDDING, embedding(ms))


def applied(start_ms: float, end_ms: float, terminal: bool = False, truncated: bool = False) -> Applied:
    return Applied(
        commanded=np.array([10.0], np.float32), applied=np.array([8.0], np.float32), joints_before=np.array([start_ms]),
        joints_after=np.array([end_ms]), start=round(start_ms * MS), end=round(end_ms * MS), reward=1.0,
        terminal=terminal, truncated=truncated,
    )  # fmt: skip


def own(number: int) -> tuple[str, int]:
    return ('fast_learner', number)


def span(transition: Transition | None) -> tuple[float, float, bool]:
    assert transition is not None
    return float(transition.z[0]), float(transition.z_next[0]), transition.boundary


def with_open_step(settle_time: float = 0.0, max_still: float = 1.0) -> StepBuilder:
    """Has an image of 100 ms and has sent action 1."""
    builder = StepBuilder(settle_time=settle_time, max_still=max_still)
    assert not builder.can_start
    add(builder, 100)
    assert builder.can_start
    builder.open(own(1), now=0.0)
    return builder


def test_a_step_is_closed_by_the_first_image_after_it() -> None:
    builder = with_open_step()
    assert builder.is_open and builder.is_unanswered and not builder.can_start
    assert builder.add_applied_action(own(1), applied(110, 150), now=0.1) is None
    assert builder.is_open and not builder.is_unanswered
    assert add(builder, 150) is None, 'taken at the very end'
    transition = add(builder, 151)
    assert span(transition) == (100, 151, True)
    assert transition is not None and not builder.is_open
    assert (transition.action_commanded[0], transition.action_applied[0], transition.reward) == (10, 8, 1)
    assert (transition.joints[0], transition.joints_next[0], builder.joints[0]) == (110, 150, 150)
    assert (transition.stamp_z, transition.stamp_next) == (100 * MS, 151 * MS)


def test_an_image_may_come_before_the_answer() -> None:
    builder = with_open_step()
    assert add(builder, 160) is None
    assert span(builder.add_applied_action(own(1), applied(110, 150), now=0.1)) == (100, 160, True)


def test_images_within_the_settle_time_do_not_close_a_step() -> None:
    builder = with_open_step(settle_time=0.1)
    builder.add_applied_action(own(1), applied(110, 150), now=0.1)
    assert add(builder, 200) is None and add(builder, 250) is None
    assert span(add(builder, 251)) == (100, 251, True)


def test_old_embeddings_are_ignored() -> None:
    builder = with_open_step()
    builder.add_applied_action(own(1), applied(110, 150), now=0.1)
    for ms in (100, 99, 1):
        assert add(builder, ms) is None
        assert builder.newest is not None and builder.newest.stamp == 100 * MS
    assert span(add(builder, 200)) == (100, 200, True)
    assert add(builder, 180) is None and builder.newest.stamp == 200 * MS


def with_closed_step() -> StepBuilder:
    """Has closed one step, from 100 to 200 ms."""
    builder = with_open_step()
    builder.add_applied_action(own(1), applied(110, 150), now=0.1)
    assert add(builder, 200) is not None
    return builder


def test_the_next_step_continues_the_chain() -> None:
    builder = with_closed_step()
    builder.open(own(2), now=0.2)
    builder.add_applied_action(own(2), applied(210, 250), now=0.3)
    assert span(add(builder, 300)) == (200, 300, False)


def test_a_paced_robot_keeps_the_chain() -> None:
    """At rest the last z_next stands for the images after it: 2 Hz with 30 images a second gives unbroken windows."""
    builder = with_closed_step()
    for ms in range(233, 700, 33):
        assert add(builder, ms) is None
    builder.open(own(2), now=0.7)
    builder.add_applied_action(own(2), applied(710, 750), now=0.8)
    assert span(add(builder, 800)) == (200, 800, False)


@pytest.mark.parametrize('rest_ms, boundary', [(1000, False), (1001, True), (60_000, True)])
def test_a_rest_longer_than_max_still_breaks_the_chain(rest_ms: int, boundary: bool) -> None:
    builder = with_closed_step()
    add(builder, 200 + rest_ms)
    first, breaks = builder.start()
    assert breaks is boundary and first.stamp == (200 + (rest_ms if boundary else 0)) * MS


def test_a_second_answer_to_an_action_is_ignored() -> None:
    """The action was asked for twice; also when the next one is under way already."""
    builder = with_open_step()
    builder.add_applied_action(own(1), applied(110, 150), now=0.1)
    assert builder.add_applied_action(own(1), applied(110, 150), now=0.2) is None and builder.is_open
    assert span(add(builder, 200)) == (100, 200, True)
    builder.open(own(2), now=0.2)
    assert builder.add_applied_action(own(1), applied(110, 150), now=0.3) is None and builder.is_unanswered
    builder.add_applied_action(own(2), applied(210, 250), now=0.4)
    assert span(add(builder, 300)) == (200, 300, False)


def test_actions_of_another_source_make_steps_of_the_same_chain() -> None:
    builder = with_closed_step()
    add(builder, 230)
    assert builder.add_applied_action(('teleop', 1), applied(240, 280), now=0.3) is None and builder.is_open
    assert span(add(builder, 300)) == (200, 300, False)
    builder.open(own(2), now=0.4)
    builder.add_applied_action(own(2), applied(310, 350), now=0.5)
    assert span(add(builder, 400)) == (300, 400, False)


def test_a_replay_has_the_windows_of_the_recorded_run() -> None:
    """In mode follow this process sends nothing; without unbroken windows there would be no REM on recordings."""
    builder, spans = StepBuilder(), []
    add(builder, 0)
    for number in range(1, 5):
        builder.add_applied_action(own(number), applied(number * 100 - 90, number * 100 - 50), now=0.0)
        spans.append(span(add(builder, number * 100)))
    add(builder, 5000)
    builder.add_applied_action(own(5), applied(5010, 5050), now=0.0)
    spans.append(span(add(builder, 5100)))
    assert spans == [(0, 100, True), (100, 200, False), (200, 300, False), (300, 400, False), (5000, 5100, True)]


def test_an_action_of_another_source_replaces_an_open_step() -> None:
    builder = with_open_step()
    assert builder.add_applied_action(('teleop', 1), applied(105, 150), now=0.1) is None
    assert span(add(builder, 200)) == (100, 200, True)
    builder.open(own(2), now=0.2)
    late = builder.add_applied_action(own(1), applied(110, 160), now=0.3)
    assert late is None, 'it began before the last step had ended'
    assert not builder.is_open and builder.can_start


def test_an_action_without_an_image_before_it_makes_no_step() -> None:
    builder = StepBuilder()
    assert builder.add_applied_action(('teleop', 1), applied(10, 50), now=0.0) is None and not builder.is_open
    add(builder, 100)
    assert builder.add_applied_action(('teleop', 2), applied(90, 120), now=0.0) is None and not builder.is_open
    assert add(builder, 200) is None


def test_no_answer_in_time_breaks_the_chain() -> None:
    builder = with_closed_step()
    builder.open(own(2), now=1.0)
    assert not builder.expire(now=6.0, timeout=5.0)
    assert builder.expire(now=6.1, timeout=5.0) and not builder.expire(now=20.0, timeout=5.0)
    assert not builder.is_open and builder.can_start
    assert builder.start()[1], 'a boundary, since what the robot did is unknown'
    assert add(builder, 300) is None, 'never a transition'
    assert builder.add_applied_action(own(2), applied(210, 250), now=7.0) is None, 'an answer that came too late'
    assert not builder.is_open


@pytest.mark.parametrize('flags', [{'terminal': True}, {'truncated': True}])
def test_no_step_starts_from_the_last_image_of_an_episode(flags: dict[str, bool]) -> None:
    """Neither one of this process nor one of another source; the next episode's first image begins a chain."""
    builder = with_open_step()
    builder.add_applied_action(own(1), applied(110, 150, **flags), now=0.1)
    transition = add(builder, 200)
    assert transition is not None and (transition.terminal, transition.truncated) == (
        flags.get('terminal', False), flags.get('truncated', False),
    )  # fmt: skip
    assert not builder.can_start
    assert builder.add_applied_action(('teleop', 1), applied(210, 250), now=0.2) is None and not builder.is_open
    assert add(builder, 300) is None and builder.can_start
    assert builder.start()[0].stamp == 300 * MS and builder.start()[1]


def test_reset_accepts_a_clock_that_starts_again() -> None:
    builder = with_closed_step()
    builder.reset()
    assert not builder.can_start
    assert add(builder, 5) is None and builder.can_start
    assert builder.start()[1]


@given(strategies.lists(strategies.sampled_from('saehxo'), max_size=60), strategies.integers(0, 200))
def test_unbroken_transitions_share_an_observation_in_any_order_of_events(events: list[str], settle_ms: int) -> None:
    """A transition that is no boundary begins where the one before ended; each closes after its action settled."""
    builder = StepBuilder(settle_time=settle_ms / 1000, max_still=0.15)
    now_ms, number, sent, last = 100.0, 0, 0, None
    for event in events:
        now_ms += 10
        transition = None
        if event == 's':
            transition = add(builder, now_ms)
        elif event == 'o':
            transition = add(builder, now_ms - 35)
        elif event == 'a' and builder.can_start:
            number += 1
            sent = number
            builder.open(own(sent), now_ms / 1000)
        elif event == 'h' and sent:
            transition = builder.add_applied_action(own(sent), applied(now_ms - 4, now_ms - 2), now_ms / 1000)
        elif event == 'e':
            ended = applied(now_ms - 4, now_ms - 2, terminal=True)
            transition = builder.add_applied_action(('teleop', round(now_ms)), ended, 0.0)
        elif event == 'x':
            builder.expire(now_ms / 1000, 0.02)
        if transition is None:
            continue
        assert transition.stamp_next > transition.joints_next[0] * MS + settle_ms * MS
        assert transition.stamp_z <= transition.joints[0] * MS, 'sensed before the action began'
        if not transition.boundary:
            assert last is not None and transition.stamp_z == last.stamp_next and not last.terminal
        last = transition


def resumed_in_lock_step() -> StepBuilder:
    """Continues from another process's image at 100 ms; the world may already be further."""
    builder = StepBuilder(lock_step=True)
    builder.resume(Observation({EMBEDDING: embedding(100)}), np.array([1.0]))
    assert not builder.can_start, 'nothing was sensed yet: the world may have started again'
    return builder


@pytest.mark.parametrize('shown', [100, 200], ids=['no action since', 'the next action is done already'])
def test_in_lock_step_a_restarted_process_continues_the_chain(shown: float) -> None:
    builder = resumed_in_lock_step()
    add(builder, shown)
    builder.set_joints(np.array([9.0]))
    first, breaks = builder.start()
    assert builder.can_start and (first.stamp, breaks) == (100 * MS, False) and builder.joints[0] == 1.0
    builder.open(own(2), now=0.0)
    transition = builder.add_applied_action(own(2), applied(101, 150), now=0.1) or add(builder, 200)
    assert span(transition) == (100, 200, False)


def test_in_lock_step_an_action_that_was_not_received_breaks_the_chain() -> None:
    builder = resumed_in_lock_step()
    add(builder, 200)
    builder.open(own(2), now=0.0)
    assert builder.add_applied_action(own(2), applied(201, 250), now=0.1) is None and not builder.is_open
    assert add(builder, 300) is None and builder.start()[1]


def test_in_lock_step_a_world_that_started_again_breaks_the_chain() -> None:
    builder = resumed_in_lock_step()
    add(builder, 5)
    assert builder.start()[0].stamp == 5 * MS and builder.start()[1]


@pytest.mark.parametrize(
    'shown, start',
    [([100, 200], 200), ([100, 200, 300], 200), ([5], 5)],
    ids=['no action since', 'the first action is done already', 'the world started again'],
)
def test_in_lock_step_a_restarted_process_begins_the_next_episode_where_it_began(
    shown: list[float], start: int
) -> None:
    builder = StepBuilder(lock_step=True)
    builder.resume_after(Observation({EMBEDDING: embedding(100)}))
    for stamp in shown:
        add(builder, stamp)
        assert builder.can_start == (stamp != 100), 'the end of an episode is nothing to act from'
    first, breaks = builder.start()
    assert (first.stamp, breaks) == (start * MS, True)
    builder.open(own(2), now=0.0)
    builder.break_chain()
    assert builder.start()[0].stamp == shown[-1] * MS, 'only the first step begins there'


def test_in_real_time_a_restarted_process_begins_with_what_it_senses() -> None:
    builder = StepBuilder()
    builder.resume_after(Observation({EMBEDDING: embedding(100)}))
    for stamp in (200, 300):
        add(builder, stamp)
    assert builder.can_start and builder.start()[0].stamp == 300 * MS


def test_a_stamp_more_than_a_second_back_clears_what_was_sensed() -> None:
    """A replay that jumped back; a reading that is only late is ignored."""
    builder = with_closed_step()
    assert add(builder, 150) is None and builder.newest is not None and builder.newest.stamp == 200 * MS
    add(builder, 5000)
    assert add(builder, 1000) is None and builder.newest.stamp == 1000 * MS
    assert builder.start() == (builder.newest, True)


@pytest.mark.parametrize('order', ['aee', 'eae', 'eea'])
def test_answer_and_images_may_come_in_any_order(order: str) -> None:
    builder = StepBuilder()
    add(builder, 100)
    images = iter([160, 200])
    found = [
        add(builder, next(images))
        if event == 'e'
        else builder.add_applied_action(('player', 7), applied(110, 150), 0.0)
        for event in order
    ]
    (transition,) = [t for t in found if t is not None]
    assert span(transition) == (100, 160, True)


def test_an_action_of_the_same_source_that_was_missed_breaks_the_chain() -> None:
    builder = StepBuilder()
    add(builder, 100)
    boundaries = []
    for number, start in ((1, 110), (2, 210), (4, 310)):
        builder.add_applied_action(('player', number), applied(start, start + 50), 0.0)
        boundaries.append(span(add(builder, start + 90))[2])
    assert boundaries == [True, False, True]


# --- Several senses


def vector(ms: float) -> Reading:
    """A vector whose one number is its time, ms."""
    return Reading(np.array([ms], np.float32), round(ms * MS))


def image(ms: float) -> Reading:
    return Reading(np.full((2, 3, 3), ms % 256, np.uint8), round(ms * MS))


SENSES = (CAMERA, 'touch')


def with_two_senses(settle_time: float = 0.0) -> StepBuilder:
    """Perceives images and touch, has sensed both at 100 and 90 ms, and has sent action 1."""
    builder = StepBuilder(senses=SENSES, settle_time=settle_time)
    builder.add_reading(CAMERA, image(100))
    assert builder.newest is None and not builder.can_start, 'touch has given nothing yet'
    builder.add_reading('touch', vector(90))
    builder.open(own(1), now=0.0)
    return builder


def stamps(observation: Observation) -> dict[str, float]:
    """Time of each reading, ms."""
    return {name: reading.stamp / MS for name, reading in observation.readings.items()}


def test_an_observation_of_several_senses_has_the_newest_reading_of_each() -> None:
    builder = with_two_senses()
    assert builder.newest is not None and stamps(builder.newest) == {CAMERA: 100, 'touch': 90}
    assert builder.newest.stamp == 100 * MS
    builder.add_reading('touch', vector(120))
    assert stamps(builder.newest) == {CAMERA: 100, 'touch': 120}
    assert builder.newest['touch'].tolist() == [120] and builder.newest[CAMERA].shape == (2, 3, 3)


@pytest.mark.parametrize('last', SENSES)
def test_a_step_is_closed_when_every_sense_has_a_reading_after_the_action(last: str) -> None:
    builder, read = with_two_senses(settle_time=0.1), {CAMERA: image, 'touch': vector}
    (first,) = (sense for sense in SENSES if sense != last)
    assert builder.add_applied_action(own(1), applied(110, 150), now=0.1) is None
    for sense in SENSES:
        assert builder.add_reading(sense, read[sense](250)) is None, 'not yet settled'
    assert builder.add_reading(first, read[first](251)) is None
    assert builder.add_reading(first, read[first](300)) is None and builder.is_open
    transition = builder.add_reading(last, read[last](400))
    assert transition is not None and not builder.is_open
    assert stamps(transition.before) == {CAMERA: 100, 'touch': 90}
    assert stamps(transition.after) == {first: 251, last: 400}, 'the first of each after the action'


def test_a_step_of_several_senses_is_closed_by_an_answer_that_comes_last() -> None:
    builder = with_two_senses()
    assert builder.add_reading(CAMERA, image(160)) is None and builder.add_reading('touch', vector(155)) is None
    transition = builder.add_applied_action(own(1), applied(110, 150), now=0.1)
    assert transition is not None and stamps(transition.after) == {CAMERA: 160, 'touch': 155}


def test_missing_names_the_senses_that_an_answered_step_waits_for() -> None:
    builder = with_two_senses()
    assert builder.missing() == [], 'the robot has not answered'
    builder.add_applied_action(own(1), applied(110, 150), now=0.1)
    assert builder.missing() == list(SENSES)
    builder.add_reading('touch', vector(150))
    assert builder.missing() == list(SENSES), 'sensed at the very end'
    builder.add_reading('touch', vector(151))
    assert builder.missing() == [CAMERA]
    assert builder.add_reading(CAMERA, image(151)) is not None
    assert builder.missing() == []


def test_a_step_of_several_senses_continues_the_chain() -> None:
    builder = with_two_senses()
    builder.add_applied_action(own(1), applied(110, 150), now=0.1)
    builder.add_reading(CAMERA, image(160))
    first = builder.add_reading('touch', vector(170))
    builder.open(own(2), now=0.2)
    builder.add_applied_action(own(2), applied(210, 250), now=0.3)
    builder.add_reading('touch', vector(260))
    second = builder.add_reading(CAMERA, image(270))
    assert first is not None and second is not None
    assert (first.boundary, second.boundary) == (True, False) and second.before == first.after


@pytest.mark.parametrize('missing', SENSES)
def test_an_action_of_another_source_needs_every_sense_before_it(missing: str) -> None:
    builder, read = StepBuilder(senses=SENSES), {CAMERA: image, 'touch': vector}
    for sense in SENSES:
        builder.add_reading(sense, read[sense](120 if sense == missing else 100))
    assert builder.add_applied_action(('teleop', 1), applied(110, 150), now=0.1) is None and not builder.is_open
    builder.add_applied_action(('teleop', 2), applied(130, 150), now=0.2)
    assert builder.is_open


def test_an_episode_starts_when_every_sense_has_a_reading_of_it() -> None:
    builder = with_two_senses()
    builder.add_applied_action(own(1), applied(110, 150, terminal=True), now=0.1)
    builder.add_reading(CAMERA, image(160))
    assert builder.add_reading('touch', vector(180)) is not None and not builder.can_start
    builder.add_reading('touch', vector(300))
    assert not builder.can_start, 'the last image is of the episode before'
    builder.add_reading(CAMERA, image(170))
    assert not builder.can_start, 'this image is older than the end of the episode'
    builder.add_reading(CAMERA, image(310))
    assert builder.can_start and builder.start()[1]


@pytest.mark.parametrize('sense', SENSES)
def test_in_lock_step_a_reading_of_any_sense_before_the_action_breaks_the_chain(sense: str) -> None:
    builder, read = StepBuilder(senses=SENSES, lock_step=True), {CAMERA: image, 'touch': vector}
    for each in SENSES:
        builder.add_reading(each, read[each](100))
    builder.open(own(1), now=0.0)
    builder.add_reading(sense, read[sense](120))
    assert builder.add_applied_action(own(1), applied(130, 150), now=0.1) is None and not builder.is_open


@pytest.mark.parametrize('sense', SENSES)
def test_a_jump_of_the_stamps_of_one_sense_clears_all(sense: str) -> None:
    builder, read = with_two_senses(), {CAMERA: image, 'touch': vector}
    builder.add_applied_action(own(1), applied(110, 150), now=0.1)
    (other,) = (name for name in SENSES if name != sense)
    builder.add_reading(sense, read[sense](5000))
    assert builder.add_reading(sense, read[sense](20)) is None
    assert builder.newest is None and not builder.is_open and not builder.can_start
    builder.add_reading(other, read[other](30))
    assert builder.newest is not None and stamps(builder.newest) == {sense: 20, other: 30}
    assert builder.start() == (builder.newest, True)


def test_other_senses_clear_what_was_sensed() -> None:
    builder = with_closed_step()
    builder.set_senses((EMBEDDING,))
    assert builder.can_start and not builder.start()[1], 'the same ones change nothing'
    builder.set_senses((EMBEDDING, 'touch'))
    assert builder.newest is None and not builder.can_start
    add(builder, 300)
    assert not builder.can_start
    builder.add_reading('touch', vector(300))
    assert builder.can_start and builder.start()[1]


def test_readings_that_are_no_part_of_the_observation_close_nothing() -> None:
    builder = with_open_step()
    builder.add_applied_action(own(1), applied(110, 150), now=0.1)
    assert builder.add_reading('touch', vector(200)) is None and builder.missing() == [EMBEDDING]
    transition = add(builder, 210)
    assert transition is not None and stamps(transition.after) == {EMBEDDING: 210}


def test_joints_as_a_sense_are_those_of_the_answer_and_delay_nothing() -> None:
    builder = StepBuilder((EMBEDDING, JOINTS))
    builder.set_joints(np.array([7.0]))
    add(builder, 100)
    observation, is_new = builder.start()
    assert is_new and observation[JOINTS].dtype == np.float32 and observation[JOINTS] == [7.0]
    builder.open(own(1), now=0.0)
    builder.add_applied_action(own(1), applied(110, 150), now=0.1)
    assert builder.missing() == [EMBEDDING]
    transition = add(builder, 151)
    assert transition is not None and (transition.before[JOINTS], transition.after[JOINTS]) == ([110.0], [150.0])
    assert stamps(transition.after) == {EMBEDDING: 151, JOINTS: 151}
    assert builder.start()[0][JOINTS] == [150.0] and not builder.start()[1]
    builder.set_senses((EMBEDDING,))
    add(builder, 200)
    assert builder.start()[0].readings.keys() == {EMBEDDING}

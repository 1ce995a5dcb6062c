"""What fast_learner knows between messages: which embedding closes which action, and when the chain is broken (H2)."""

from types import SimpleNamespace

from hypothesis import given, strategies
import numpy as np
import pytest

from cls_common.step_builder import Applied, Seen, StepBuilder
from cls_common.transition import Transition
from cls_learning.evaluation.prediction_skill import PredictionSkill
from cls_learning.runtime import online_step
from cls_learning.runtime.lease import Lease
from cls_learning.runtime.rate_meter import Rate

MS = 1_000_000


def seen(ms: float) -> Seen:
    """An embedding that says when its image was taken."""
    return Seen(np.array([ms], np.float32), round(ms * MS))


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


def begun(settle_time: float = 0.0, max_still: float = 1.0) -> StepBuilder:
    """Saw an image at 100 ms and sent action 1."""
    state = StepBuilder(settle_time=settle_time, max_still=max_still)
    assert not state.can_start
    see(state, seen(100))
    assert state.can_start
    state.open(own(1), now=0.0)
    return state


def test_a_step_is_closed_by_the_first_image_after_it() -> None:
    state = begun()
    assert state.is_open and state.is_unanswered and not state.can_start
    assert state.hear(own(1), applied(110, 150), now=0.1) is None
    assert state.is_open and not state.is_unanswered
    assert see(state, seen(150)) is None, 'taken at the very end'
    transition = see(state, seen(151))
    assert span(transition) == (100, 151, True)
    assert transition is not None and not state.is_open
    assert (transition.action_commanded[0], transition.action_applied[0], transition.reward) == (10, 8, 1)
    assert (transition.joints[0], transition.joints_next[0], state.joints[0]) == (110, 150, 150)
    assert (transition.stamp_z, transition.stamp_next) == (100 * MS, 151 * MS)


def test_an_image_may_come_before_the_answer() -> None:
    state = begun()
    assert see(state, seen(160)) is None
    assert span(state.hear(own(1), applied(110, 150), now=0.1)) == (100, 160, True)


def test_the_robot_settles_first() -> None:
    """Row 000-068: 0.1 s on pan_tilt."""
    state = begun(settle_time=0.1)
    state.hear(own(1), applied(110, 150), now=0.1)
    assert see(state, seen(200)) is None and see(state, seen(250)) is None
    assert span(see(state, seen(251))) == (100, 251, True)


def test_old_embeddings_are_ignored() -> None:
    state = begun()
    state.hear(own(1), applied(110, 150), now=0.1)
    for ms in (100, 99, 1):
        assert see(state, seen(ms)) is None
        assert state.newest is not None and state.newest.stamp == 100 * MS
    assert span(see(state, seen(200))) == (100, 200, True)
    assert see(state, seen(180)) is None and state.newest.stamp == 200 * MS


def closed() -> StepBuilder:
    """One step lived: from 100 to 200 ms."""
    state = begun()
    state.hear(own(1), applied(110, 150), now=0.1)
    assert see(state, seen(200)) is not None
    return state


def test_the_next_step_continues_the_chain() -> None:
    state = closed()
    state.open(own(2), now=0.2)
    state.hear(own(2), applied(210, 250), now=0.3)
    assert span(see(state, seen(300))) == (200, 300, False)


def test_a_paced_robot_keeps_the_chain() -> None:
    """At rest, z next stands for what came after it: 2 Hz and 30 images a second are unbroken windows."""
    state = closed()
    for ms in range(233, 700, 33):
        assert see(state, seen(ms)) is None
    state.open(own(2), now=0.7)
    state.hear(own(2), applied(710, 750), now=0.8)
    assert span(see(state, seen(800))) == (200, 800, False)


@pytest.mark.parametrize('rest_ms, boundary', [(1000, False), (1001, True), (60_000, True)])
def test_who_rested_too_long_begins_anew(rest_ms: int, boundary: bool) -> None:
    state = closed()
    see(state, seen(200 + rest_ms))
    seen_first, breaks = state.start()
    assert breaks is boundary and seen_first.stamp == (200 + (rest_ms if boundary else 0)) * MS


def test_a_second_answer_says_nothing_new() -> None:
    """The action was asked for twice; also when the next one is under way already."""
    state = begun()
    state.hear(own(1), applied(110, 150), now=0.1)
    assert state.hear(own(1), applied(110, 150), now=0.2) is None and state.is_open
    assert span(see(state, seen(200))) == (100, 200, True)
    state.open(own(2), now=0.2)
    assert state.hear(own(1), applied(110, 150), now=0.3) is None and state.is_unanswered
    state.hear(own(2), applied(210, 250), now=0.4)
    assert span(see(state, seen(300))) == (200, 300, False)


def test_actions_of_others_are_lived_through() -> None:
    """They go on with the chain, and the next own step does after them."""
    state = closed()
    see(state, seen(230))
    assert state.hear(('teleop', 1), applied(240, 280), now=0.3) is None and state.is_open
    assert span(see(state, seen(300))) == (200, 300, False)
    state.open(own(2), now=0.4)
    state.hear(own(2), applied(310, 350), now=0.5)
    assert span(see(state, seen(400))) == (300, 400, False)


def test_a_replayed_life_has_the_windows_of_the_first_one() -> None:
    """Mode follow: nobody here sends anything; without unbroken windows there would be no REM on recordings."""
    state, spans = StepBuilder(), []
    see(state, seen(0))
    for number in range(1, 5):
        state.hear(own(number), applied(number * 100 - 90, number * 100 - 50), now=0.0)
        spans.append(span(see(state, seen(number * 100))))
    see(state, seen(5000))
    state.hear(own(5), applied(5010, 5050), now=0.0)
    spans.append(span(see(state, seen(5100))))
    assert spans == [(0, 100, True), (100, 200, False), (200, 300, False), (300, 400, False), (5000, 5100, True)]


def test_another_action_on_top_of_an_open_step_gives_it_up() -> None:
    state = begun()
    assert state.hear(('teleop', 1), applied(105, 150), now=0.1) is None
    assert span(see(state, seen(200))) == (100, 200, True)
    state.open(own(2), now=0.2)
    assert state.hear(own(1), applied(110, 160), now=0.3) is None, 'its image before is long gone'
    assert not state.is_open and state.can_start


def test_an_action_without_an_image_before_it_is_none() -> None:
    state = StepBuilder()
    assert state.hear(('teleop', 1), applied(10, 50), now=0.0) is None and not state.is_open
    see(state, seen(100))
    assert state.hear(('teleop', 2), applied(90, 120), now=0.0) is None and not state.is_open
    assert see(state, seen(200)) is None


def test_no_answer_in_time_breaks_the_chain() -> None:
    state = closed()
    state.open(own(2), now=1.0)
    assert not state.expire(now=6.0, timeout=5.0)
    assert state.expire(now=6.1, timeout=5.0) and not state.expire(now=20.0, timeout=5.0)
    assert not state.is_open and state.can_start
    assert state.start()[1], 'a boundary, since nobody knows what the robot did'
    assert see(state, seen(300)) is None, 'never a transition'
    assert state.hear(own(2), applied(210, 250), now=7.0) is None, 'an answer that came too late'
    assert not state.is_open


@pytest.mark.parametrize('flags', [{'terminal': True}, {'truncated': True}])
def test_an_episode_ends(flags: dict[str, bool]) -> None:
    """The last image starts nothing, whoever acts; the next episode's first one begins a chain."""
    state = begun()
    state.hear(own(1), applied(110, 150, **flags), now=0.1)
    transition = see(state, seen(200))
    assert transition is not None and (transition.terminal, transition.truncated) == (
        flags.get('terminal', False), flags.get('truncated', False),
    )  # fmt: skip
    assert not state.can_start
    assert state.hear(('teleop', 1), applied(210, 250), now=0.2) is None and not state.is_open
    assert see(state, seen(300)) is None and state.can_start
    assert state.start()[0].stamp == 300 * MS and state.start()[1]


def test_another_robot_another_clock() -> None:
    state = closed()
    state.restart()
    assert not state.can_start
    assert see(state, seen(5)) is None and state.can_start, 'its time began anew'
    assert state.start()[1]


@given(strategies.lists(strategies.sampled_from('saehxo'), max_size=60), strategies.integers(0, 200))
def test_whatever_happens_chains_are_true(events: list[str], settle_ms: int) -> None:
    """A transition that is no boundary begins where the one before ended; each closes after its action settled."""
    state = StepBuilder(settle_time=settle_ms / 1000, max_still=0.15)
    now_ms, number, sent, last = 100.0, 0, 0, None
    for event in events:
        now_ms += 10
        transition = None
        if event == 's':
            transition = see(state, seen(now_ms))
        elif event == 'o':
            transition = see(state, seen(now_ms - 35))
        elif event == 'a' and state.can_start:
            number += 1
            sent = number
            state.open(own(sent), now_ms / 1000)
        elif event == 'h' and sent:
            transition = state.hear(own(sent), applied(now_ms - 4, now_ms - 2), now_ms / 1000)
        elif event == 'e':
            transition = state.hear(('teleop', round(now_ms)), applied(now_ms - 4, now_ms - 2, terminal=True), 0.0)
        elif event == 'x':
            state.expire(now_ms / 1000, 0.02)
        if transition is None:
            continue
        assert transition.stamp_next > transition.joints_next[0] * MS + settle_ms * MS
        assert transition.stamp_z <= transition.joints[0] * MS, 'seen before the action began'
        if not transition.boundary:
            assert last is not None and transition.stamp_z == last.stamp_next and not last.terminal
        last = transition


def in_lock_step() -> StepBuilder:
    """Another process lived up to the image at 100 ms; the world may already be further."""
    state = StepBuilder(lock_step=True)
    state.go_on(seen(100), np.array([1.0]))
    assert not state.can_start, 'nothing was seen yet: the world may have begun anew'
    return state


@pytest.mark.parametrize('shown', [100, 200], ids=['nothing happened', 'the next action was done already'])
def test_in_lock_step_a_restarted_process_goes_on_with_the_chain(shown: float) -> None:
    state = in_lock_step()
    see(state, seen(shown))
    state.feel(np.array([9.0]))
    assert state.can_start and state.start() == (state._closed, False) and state.joints[0] == 1.0
    state.open(own(2), now=0.0)
    transition = state.hear(own(2), applied(101, 150), now=0.1) or see(state, seen(200))
    assert span(transition) == (100, 200, False)


def test_in_lock_step_an_action_that_nobody_heard_of_breaks_the_chain() -> None:
    state = in_lock_step()
    see(state, seen(200))
    state.open(own(2), now=0.0)
    assert state.hear(own(2), applied(201, 250), now=0.1) is None and not state.is_open
    assert see(state, seen(300)) is None and state.start()[1]


def test_in_lock_step_a_world_that_began_anew_breaks_the_chain() -> None:
    state = in_lock_step()
    see(state, seen(5))
    assert state.start()[0].stamp == 5 * MS and state.start()[1]


def test_a_stamp_from_long_before_is_another_time() -> None:
    """A replay that jumped back: what was seen before is forgotten, what was only late is not."""
    state = closed()
    assert see(state, seen(150)) is None and state.newest is not None and state.newest.stamp == 200 * MS
    see(state, seen(5000))
    assert see(state, seen(1000)) is None and state.newest.stamp == 1000 * MS
    assert state.start() == (state.newest, True)


@pytest.mark.parametrize('order', ['aee', 'eae', 'eea'])
def test_it_does_not_matter_whether_the_answer_or_its_images_come_first(order: str) -> None:
    state = StepBuilder()
    see(state, seen(100))
    images = iter([seen(160), seen(200)])
    found = [
        see(state, next(images)) if event == 'e' else state.hear(('player', 7), applied(110, 150), 0.0)
        for event in order
    ]
    (transition,) = [t for t in found if t is not None]
    assert span(transition) == (100, 160, True)


def test_an_action_of_the_same_source_that_was_missed_breaks_the_chain() -> None:
    state = StepBuilder()
    see(state, seen(100))
    boundaries = []
    for number, start in ((1, 110), (2, 210), (4, 310)):
        state.hear(('player', number), applied(start, start + 50), 0.0)
        boundaries.append(span(see(state, seen(start + 90)))[2])
    assert boundaries == [True, False, True]


# --- The order of a wake step


class Diary:
    """A waking half that writes down what is asked of it."""

    def __init__(self, tools: SimpleNamespace, early: bool) -> None:
        self.entries: list[str] = []
        half = tools.waking(tools.recipe({'act_before_learning': early, 'policy.kind': 'prediction_error'}))
        for transition in tools.Body().walk(10):
            half.learn(transition)
        self.half, learn = half, half.learn

        def noted(transition: Transition) -> object:
            self.entries.append('learn')
            return learn(transition)

        half.learn = noted

    def send(self, action: np.ndarray) -> None:
        self.entries.append('act')
        self.action = action


@pytest.mark.parametrize('early, order', [(True, ['act', 'learn']), (False, ['learn', 'act'])])
def test_the_next_action_goes_out_before_or_after_learning(
    early: bool, order: list[str], tools: SimpleNamespace
) -> None:
    """Row 000-029 is the reference's order; before learning, the body moves while we learn."""
    diary = Diary(tools, early)
    transition = next(tools.Body().walk(1))
    experience = online_step.close(diary.half, transition, 'curiosity', True, diary.send)
    assert diary.entries == order and experience.sequence == 11
    if not early:
        expected = diary.half.act(transition.z_next, transition.joints_next, 'curiosity', 11)
        assert np.array_equal(diary.action, expected)


@pytest.mark.parametrize('early', [True, False])
@pytest.mark.parametrize(
    'mode, goes_on, terminal',
    [('manual', True, False), ('follow', True, False), ('curiosity', False, False), ('random', True, True)],
)
def test_some_steps_send_nothing(mode: str, goes_on: bool, terminal: bool, early: bool, tools: SimpleNamespace) -> None:
    """Not ours to act, sleep is next or acting is paced, or the episode is over: learned from all the same."""
    diary = Diary(tools, early)
    transition = next(tools.Body().walk(1))
    object.__setattr__(transition, 'terminal', terminal)
    online_step.close(diary.half, transition, mode, goes_on, diary.send)
    assert diary.entries == ['learn']


def test_random_actions_do_not_depend_on_when_they_are_chosen(tools: SimpleNamespace) -> None:
    actions = []
    for early in (True, False):
        diary = Diary(tools, early)
        online_step.close(diary.half, next(tools.Body().walk(1)), 'random', True, diary.send)
        actions.append(diary.action)
    assert np.array_equal(actions[0], actions[1])


def test_the_last_step_of_a_cycle_is_known_before_it_closes(tools: SimpleNamespace) -> None:
    """Row 000-028."""
    half, ends = tools.waking(), []
    for number, transition in enumerate(tools.Body().walk(61), 1):
        if online_step.ends_cycle(half):
            ends.append(number)
        half.learn(transition)
    assert ends == [30, 60]


# --- Lease, skill, rate


def test_a_lease_holds_while_it_is_renewed() -> None:
    lease = Lease()
    assert lease.id == '' and not lease.renew('a', 0.0, 3.0) and not lease.runs_out(9.9)

    def runs_out(begin: int, end: int) -> bool:
        return any(lease.runs_out(tick / 10) for tick in range(begin, end + 1))

    lease.begin('a', 10.0, 3.0)
    assert lease.id == 'a' and not runs_out(100, 130)
    assert lease.renew('a', 13.0, 3.0) and not lease.renew('b', 13.0, 3.0)
    assert not runs_out(130, 160) and runs_out(160, 161)
    assert lease.id == '' and not lease.runs_out(17.0), 'says so once'
    assert not lease.renew('a', 17.0, 3.0) and not lease.has_ended('a'), 'too late: it woke by itself'


def test_a_lease_that_was_ended_answers_the_same_again() -> None:
    lease = Lease()
    for sleep_id in ('a', 'b'):
        lease.begin(sleep_id, 0.0, 3.0)
        assert not lease.has_ended(sleep_id)
        lease.end()
        assert lease.id == '' and lease.has_ended(sleep_id) and not lease.runs_out(100.0)
    assert lease.has_ended('a') and not lease.has_ended('c')


def test_skill_is_what_is_better_than_no_change() -> None:
    skill = PredictionSkill(length=3)
    assert np.isnan(skill.value())
    skill.add(0.0, 0.0)
    assert np.isnan(skill.value()), 'nothing changed'
    skill.add(1.0, 4.0)
    assert skill.value() == 0.75
    skill.add(11.0, 4.0)
    assert skill.value() == -0.5
    skill.add(0.0, 4.0)
    skill.add(0.0, 4.0)
    assert skill.value() == pytest.approx(1 - 11 / 12), 'the last three'


def test_rate_is_events_a_second() -> None:
    rate = Rate(window=5.0)
    assert rate.value(0.0) == 0.0
    for number in range(100):
        rate.tick(100.0 + number * 0.1)
    assert rate.value(109.9) == pytest.approx(10.0)
    assert rate.value(112.0) == pytest.approx(10.0 * 29 / 50, rel=0.1), 'slower while nothing comes'
    assert rate.value(200.0) == 0.0
    rate.tick(200.0)
    rate.pause()
    rate.tick(260.0)
    rate.tick(260.5)
    assert rate.value(260.5) == pytest.approx(2.0)

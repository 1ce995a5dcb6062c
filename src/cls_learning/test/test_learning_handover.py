"""slow_learner and fast_learner come to the same step, whichever of them was restarted; both in one process here."""

from collections.abc import Callable
from dataclasses import dataclass, field
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from cls_common.errors import UserError
from cls_common.transition import Experience
from cls_learning import state_bytes
from cls_learning.brain import Goal, OnlineLearner
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.runtime.experience_intake import ExperienceIntake
from cls_learning.runtime.handover import Handover
from cls_learning.runtime.job_queue import JobQueue
from cls_learning.runtime.learner_link import NoAnswerError, OnlineState, SentExperiences
from cls_learning.runtime.learner_session import make_online_learner


@dataclass
class OnlineSide:
    """An online learner that another side asks directly; it keeps the last `kept` experiences that it sent.

    Attributes:
        loads: times that a state was loaded.
    """

    learner: OnlineLearner | None = None
    kept: int = 1000
    run_id: str = 'first'
    answers: bool = True
    loads: int = 0
    sent: list[Experience] = field(default_factory=list)

    def learn(self, steps: Any) -> list[Experience]:
        assert self.learner is not None
        new = [self.learner.learn(self.learner.prepare(step)) for step in steps]
        self.sent = (self.sent + new)[-self.kept :]
        return new

    def get_state(self, patience: float = 5.0) -> OnlineState:
        if self.learner is None:
            return OnlineState()
        return OnlineState(True, 'm', self.run_id, self.learner.total_steps, self.learner.to_bytes())

    def load_state(self, run_id: str, model: str, config: ModelConfig, data: bytes, last: Experience | None) -> None:
        self.learner = make_online_learner(config)
        self.learner.load_bytes(data)
        self.run_id = run_id
        self.loads += 1

    def get_experiences(self, after: int, patience: float = 2.0, *, hold: float = 0.0) -> SentExperiences:
        if not self.answers:
            raise NoAnswerError('fast_learner')
        part = [experience for experience in self.sent if experience.sequence > after][:2]
        oldest, newest = (self.sent[0].sequence, self.sent[-1].sequence) if self.sent else (0, 0)
        return SentExperiences(self.run_id if self.sent else '', oldest, newest, hold > 0, part)


class Pair:
    """A session that has learned 20 steps of a world, and an online side at the same step."""

    def __init__(self, run: Any, tools: SimpleNamespace, kept: int = 1000) -> None:
        self.run = run
        self.session = run.session
        self.online = OnlineSide(run.learner, kept, run.session.run_id)
        self.jobs = JobQueue()
        log = logging.getLogger(__name__)
        self.intake = ExperienceIntake(self.session, self.online, self.jobs, log, lambda: tools.NOW)
        self.handover = Handover(self.session, self.intake, self.online, log, lambda: tools.NOW)

    def ahead(self, steps: int) -> list[Experience]:
        """Lets the online side go on alone; returns its experiences."""
        return self.online.learn(list(self.run.world.walk(steps)))

    def rest(self) -> bool:
        """Receives at the end until complete; returns whether it became so."""
        for _ in range(10):
            if self.intake.write_down_rest(self.online.get_experiences(self.session.written, hold=5.0)):
                return True
        return False


@pytest.fixture
def pair(open_run: Callable[..., Any], tools: SimpleNamespace) -> Any:
    pairs: list[Pair] = []

    def make(kept: int = 1000) -> Pair:
        pairs.append(Pair(open_run().train(20), tools, kept))
        return pairs[-1]

    yield make
    for made in pairs:
        made.intake.close()


def test_a_new_online_side_gets_the_state_after_all_queued_steps(pair: Callable[..., Pair]) -> None:
    one = pair()
    for experience in one.ahead(3):
        one.jobs.put(experience)
    expected = one.run.learner.to_bytes()
    one.online.learner = None
    one.handover.connect()
    assert one.online.loads == 1 and one.session.sequence == 23
    assert one.online.learner is not None and one.online.learner.to_bytes() == expected


def test_an_online_side_that_went_on_alone_is_taken_over(pair: Callable[..., Pair]) -> None:
    one = pair()
    one.online.run_id = 'of the run before'
    one.ahead(5)
    one.handover.connect()
    assert one.online.loads == 0 and one.intake.learned == 5
    assert one.session.sequence == 25 and one.session.consolidator.gaps == 0
    assert one.session.run_id == 'of the run before'


def test_only_what_is_no_longer_held_becomes_a_gap(pair: Callable[..., Pair]) -> None:
    one = pair(kept=3)
    one.ahead(5)
    one.handover.connect()
    assert one.session.sequence == 25 and one.session.consolidator.gaps == 5, 'a hole hides what comes after it'


def test_a_sleep_that_was_kept_by_the_online_side_is_repeated(
    pair: Callable[..., Pair], tools: SimpleNamespace
) -> None:
    one = pair()
    goal = Goal({'sws': 2, 'rem': 1, 'tether': 1})
    one.session.announce(goal)
    sleep = one.session.begin_sleep(one.run.learner.to_bytes(), goal)
    list(sleep.run())
    data = state_bytes.pack(sleep.finish())
    one.session.roll_back(sleep, tools.NOW)
    one.session.pending = goal
    one.run.learner.load_bytes(data)
    one.handover.connect()
    assert one.session.cycles == 1 and one.session.pending is None and one.online.loads == 0


def test_a_missed_experience_is_requested_before_a_later_one_is_learned(pair: Callable[..., Pair]) -> None:
    one = pair()
    one.intake.learn(one.ahead(4)[-1])
    assert one.session.sequence == 24 and one.session.consolidator.gaps == 0 and one.intake.learned == 4


def test_without_an_answer_the_missed_experiences_are_a_gap(pair: Callable[..., Pair]) -> None:
    one = pair()
    one.online.answers = False
    one.intake.learn(one.ahead(4)[-1])
    assert one.session.sequence == 24 and one.session.consolidator.gaps == 3 and one.intake.learned == 1


def test_learning_up_to_a_step_takes_the_queue_first_and_requests_the_rest(pair: Callable[..., Pair]) -> None:
    one = pair()
    for experience in one.ahead(4)[:2]:
        one.jobs.put(experience)
    one.intake.learn_up_to(23, patience=0.01)
    assert one.session.sequence == 23


def test_a_save_is_a_consistent_cut_or_refused(pair: Callable[..., Pair]) -> None:
    one = pair(kept=1)
    generation = one.session.folder.generation
    assert one.handover.save() == generation + 1
    one.ahead(2)
    one.intake.learn_up_to(22, patience=0.01)
    with pytest.raises(UserError, match='expected step 22; found step 20'):
        one.handover.save()
    one.online.learner = None
    with pytest.raises(UserError, match='expected weights to save'):
        one.handover.save()
    assert one.session.folder.generation == generation + 1


def test_at_the_end_the_journal_gets_everything_that_is_held(pair: Callable[..., Pair]) -> None:
    one = pair()
    one.ahead(5)
    assert one.rest() and one.session.written == 25 and one.intake.lost == 0
    assert one.session.sequence == 20, 'the next start learns it'


def test_at_the_end_lost_experiences_are_counted(pair: Callable[..., Pair]) -> None:
    one = pair(kept=2)
    one.ahead(5)
    assert one.rest() and one.session.written == 25 and one.intake.lost == 3


def test_at_the_end_nothing_is_taken_from_another_run(pair: Callable[..., Pair]) -> None:
    one = pair()
    one.ahead(2)
    one.online.run_id = 'another'
    assert one.rest() and one.session.written == 20


def test_the_journal_is_not_complete_while_a_step_may_follow(pair: Callable[..., Pair]) -> None:
    one = pair()
    one.ahead(1)
    assert not one.intake.write_down_rest(one.online.get_experiences(20, hold=5.0)), 'asks once more'
    assert not one.intake.write_down_rest(one.online.get_experiences(21)), 'not settled'
    assert one.intake.write_down_rest(one.online.get_experiences(21, hold=5.0))


def test_at_the_end_queued_experiences_are_written_down(pair: Callable[..., Pair]) -> None:
    one = pair()
    for experience in one.ahead(3):
        one.jobs.put(experience)
    one.intake.write_down_queued()
    assert one.session.written == 23 and one.session.sequence == 20

"""The queue between slow_learner's callbacks and its worker."""

from dataclasses import dataclass
import threading
from types import SimpleNamespace

import pytest

from cls_common.transition import Experience
from cls_learning.runtime.job_queue import JobQueue


@dataclass
class Job:
    name: str


@pytest.fixture
def experiences(tools: SimpleNamespace) -> list[Experience]:
    return [
        Experience(transition=step, sequence=number, episode=0)
        for number, step in enumerate(tools.PanTiltWorld().walk(5), 1)
    ]


def test_entries_are_taken_in_order(experiences: list[Experience]) -> None:
    jobs, sleep, save = JobQueue(), Job('sleep'), Job('save')
    for job in (experiences[0], sleep, experiences[1], save):
        jobs.put(job)
    assert [jobs.take(object) for _ in range(5)] == [experiences[0], sleep, experiences[1], save, None]


def test_entries_of_other_kinds_keep_their_place(experiences: list[Experience]) -> None:
    jobs, sleep = JobQueue(), Job('sleep')
    for job in (experiences[0], sleep, *experiences[1:3]):
        jobs.put(job)
    assert jobs.take(Experience) is experiences[0] and jobs.take(Experience) is experiences[1]
    assert jobs.take(object) is sleep and jobs.take(object) is experiences[2]
    assert jobs.take(Job) is None


def test_a_full_queue_drops_and_counts_experiences_but_no_job(experiences: list[Experience]) -> None:
    jobs, sleep = JobQueue(capacity=2), Job('sleep')
    for job in (*experiences, sleep):
        jobs.put(job)
    assert jobs.dropped == 3
    assert [jobs.take(object) for _ in range(4)] == [*experiences[:2], sleep, None]


def test_taking_waits_for_the_wanted_kind(experiences: list[Experience]) -> None:
    jobs, taken = JobQueue(), list[Experience | None]()
    thread = threading.Thread(target=lambda: taken.append(jobs.take(Experience, timeout=60.0)))
    thread.start()
    jobs.put(Job('save'))
    jobs.put(experiences[0])
    thread.join(60.0)
    assert taken == [experiences[0]] and jobs.take(Job) == Job('save')

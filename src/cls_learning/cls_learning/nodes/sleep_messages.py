"""Between the Sleep action and what the worker does."""

from cls_common.errors import UserError
from cls_common.nodes.experience_messages import to_metrics
from cls_interfaces.action import Sleep

from ..brain import Goal
from .jobs import SleepJob


def from_goal(goal: Sleep.Goal) -> Goal:
    """Reads a goal; raises UserError where it does not give one number of steps for each phase."""
    if len(goal.phases) != len(goal.steps):
        raise UserError(
            'sleep goal', expected='one number of steps for each phase',
            found=f'{len(goal.phases)} phases and {len(goal.steps)} numbers',
        )  # fmt: skip
    return Goal(dict(zip(goal.phases, goal.steps)))


def to_result(job: SleepJob) -> Sleep.Result:
    """Makes the answer to a goal."""
    statistics, verdict = job.statistics, job.verdict
    # Where no phase came to its turn there was nothing to judge either.
    status = f'{statistics.text()}, gate: {verdict.text}' if statistics.text() else ''
    return Sleep.Result(
        error_code=job.code, error_msg=job.message, status=status, phases=list(statistics.status),
        steps=[statistics.steps.get(name, 0) for name in statistics.status],
        metrics=to_metrics({**statistics.means, **verdict.metrics}), duration=job.duration, judged=verdict.judged,
        rolled_back=verdict.rolled_back,
    )  # fmt: skip

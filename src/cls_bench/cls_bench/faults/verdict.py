"""What a trial showed, and whether that is good enough. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
import math
from pathlib import Path
from typing import Any

from cls_common import atomic_file

# A resume may be this much short, s of steps at the rate of before.
ALLOWED_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one kill did.

    Attributes:
        aim: of the plan. phase: what the learners did when it came: waking, sleeping, saving.
        before: sequence of the last experience heard, of whoever died. after: total steps gone on from.
        lost: steps of before that the model does not have: short of `before`, or missing in between.
        rate: wake steps a second before.
        is_equal: whether weights are those of never having stopped; None where that was not looked at.
        compared: (total steps, cycles) at which they were compared.
        seconds: from the kill to the first new step, or to the opened folder.
        failures: why it is not good enough; empty where it is.
    """

    number: int
    kind: str
    aim: str
    phase: str
    before: int
    after: int
    lost: int
    rate: float
    is_equal: bool | None
    compared: tuple[int, int] | None = None
    seconds: float = 0.0
    failures: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether nothing that was learned is lost."""
        return not self.failures


def allowed(rate: float) -> int:
    """Returns how many steps a resume may be short, at `rate` steps a second."""
    return math.ceil(ALLOWED_SECONDS * rate)


def judge(lost: int, rate: float, is_equal: bool | None, problems: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns what is wrong: `problems`, too many steps lost, other weights than those of never having stopped."""
    failures = list(problems)
    if lost > allowed(rate):
        failures.append(f'{lost} steps lost, {allowed(rate)} allowed')
    if is_equal is False:
        failures.append('other weights than those of never having stopped')
    return tuple(failures)


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Returns counts by kind and phase, and the largest loss."""
    return {
        'trials': len(outcomes),
        'failed': sum(not o.passed for o in outcomes),
        'by_kind': _count(outcomes, 'kind'),
        'by_phase': _count(outcomes, 'phase'),
        'most_steps_lost': max((o.lost for o in outcomes), default=0),
        'weights_equal': sum(o.is_equal is True for o in outcomes),
    }


def _count(outcomes: Sequence[Outcome], name: str) -> dict[str, dict[str, int]]:
    groups = sorted({str(getattr(o, name)) for o in outcomes})
    members = {group: [o for o in outcomes if getattr(o, name) == group] for group in groups}
    return {g: {'trials': len(own), 'failed': sum(not o.passed for o in own)} for g, own in members.items()}


def write_json(path: Path, outcomes: Sequence[Outcome], **about: Any) -> None:
    """Writes everything, whole or not at all; called after each trial, so that a run that is ended leaves its part."""
    content = {**about, 'summary': summary(outcomes), 'outcomes': [asdict(o) for o in outcomes]}
    atomic_file.write_json(path, content, allow_nan=True)

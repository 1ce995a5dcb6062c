"""Result of a trial, and its criteria."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
import math
from pathlib import Path
from typing import Any

from cls_common import atomic_file

# Steps that may be lost, in s at the rate before the kill.
ALLOWED_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """Result of one trial.

    Attributes:
        aim: of the plan. phase: of the learners at the kill: waking, sleeping, saving.
        before: sequence of the last experience observed. after: total steps from which the model continued.
        lost: steps up to `before` that the model does not have.
        rate: wake steps a second before the kill.
        is_equal: whether the weights equal those of the uninterrupted run; None where not compared.
        compared: (total steps, cycles) at which weights were compared.
        seconds: from the kill to the first new step, or to the opened folder.
        failures: criteria that are not met.
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
        """Whether all criteria are met."""
        return not self.failures


def allowed(rate: float) -> int:
    """Returns how many steps may be lost, at `rate` steps a second."""
    return math.ceil(ALLOWED_SECONDS * rate)


def failures_of(lost: int, rate: float, is_equal: bool | None, problems: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns the failures of a trial: `problems`, too many steps lost, weights that differ from the reference."""
    failures = list(problems)
    if lost > allowed(rate):
        failures.append(f'{lost} steps lost, {allowed(rate)} allowed')
    if is_equal is False:
        failures.append('weights differ from those of the uninterrupted run')
    return tuple(failures)


def summary(results: Sequence[TrialResult]) -> dict[str, Any]:
    """Returns counts by kind and phase, and the largest loss."""
    return {
        'trials': len(results),
        'failed': sum(not o.passed for o in results),
        'by_kind': _count(results, 'kind'),
        'by_phase': _count(results, 'phase'),
        'most_steps_lost': max((o.lost for o in results), default=0),
        'weights_equal': sum(o.is_equal is True for o in results),
    }


def _count(results: Sequence[TrialResult], name: str) -> dict[str, dict[str, int]]:
    groups = sorted({str(getattr(o, name)) for o in results})
    members = {group: [o for o in results if getattr(o, name) == group] for group in groups}
    return {g: {'trials': len(own), 'failed': sum(not o.passed for o in own)} for g, own in members.items()}


def write_json(path: Path, results: Sequence[TrialResult], **about: Any) -> None:
    """Writes all results to a temporary name and renames it; called after each trial, so that a stopped run is kept."""
    content = {**about, 'summary': summary(results), 'outcomes': [asdict(o) for o in results]}
    atomic_file.write_json(path, content, allow_nan=True)

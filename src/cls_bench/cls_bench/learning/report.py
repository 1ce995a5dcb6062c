"""From figures by seed to the JSON report: means, intervals, and comparisons of rows that are paired by seed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cls_common import atomic_file

from .judge import Figures
from .runner import Line, Results
from .statistics import clean, summary

# A row beats the best of a family; `action_blind` counts as 0 where it is worse (learning probe, 7.7).
_BLIND, _JOINT, _CONVERGED = 'action_blind', 'joint_equal', 'joint_converged'
_RETRIEVAL, _REPLAY = 'retrieval_', ('er_', 'der')
# What only a life in order, with Fast or with nights, has; null in other rows.
_LIVED = (
    'matrix', 'average', 'own_scene', 'forgetting', 'bwt', 'fwt', 'fast_at', 'fast_at_worst', 'fast_skill',
    'fast_own_scene', 'fast_lived', 'earlier_scenes', 'sleep_gain', 'sleep_gain_mean', 'sleep_gain_worst',
    'rolled_back', 'night_seconds', 'sleep_scores', 'first_sleep_before', 'first_sleep_after', 'after_sleep_worst',
    'fast_first_sleep_before', 'fast_first_sleep_after', 'fast_after_sleep_worst',
)  # fmt: skip


def document(results: Results) -> dict[str, Any]:
    """Returns the report as plain JSON values."""
    plan = results.plan
    lines = [_row(line, [o for o in results.lines if o.encoder == line.encoder], results) for line in results.lines]
    hashes = {encoder: digest for encoder, (digest, _) in results.worlds.items()}
    report: dict[str, Any] = {
        # The world does not depend on the eyes that look at it.
        'world': next(iter(hashes.values())),
        'life': plan.life, 'name': plan.world, 'scenes': plan.scenes, 'steps_per_scene': plan.steps,
        'seeds': results.seeds,
        'encoders': {encoder: summary(found) for encoder, (_, found) in results.worlds.items()},
        'rows': lines,
        'evidence': {encoder: _evidence([r for r in lines if r['encoder'] == encoder]) for encoder in hashes},
    }  # fmt: skip
    plain: dict[str, Any] = clean(report)
    return plain


def write(path: Path, report: dict[str, Any]) -> None:
    """Writes it, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_file.write_json(path, report)


def _row(line: Line, others: Sequence[Line], results: Results) -> dict[str, Any]:
    # Rows without a memory of their own stand beside every share.
    others = [other for other in others if line.share is None or other.share in (None, line.share)]
    figures = [
        {**dict.fromkeys(_LIVED), **own, **compared} for own, compared in zip(line.figures, _compared(line, others))
    ]
    return {
        'recipe': line.recipe, 'encoder': line.encoder, 'life': results.plan.life, 'memory': line.share,
        'values': line.values, 'skill_by_seed': [each['skill'] for each in line.figures], **summary(figures),
    }  # fmt: skip


def _compared(line: Line, others: Sequence[Line]) -> list[Figures]:
    """Returns, by seed, what the row is better by than its opponents; None where those were not run."""
    found: list[Figures] = []
    for seed, own in enumerate(line.figures):
        blind = _best(others, seed, lambda name: name == _BLIND)
        converged, bests = _best(others, seed, lambda name: name == _CONVERGED), {
            'over_action_blind': None if blind is None else max(0.0, blind),
            'over_retrieval': _best(others, seed, lambda name: name.startswith(_RETRIEVAL)),
            'over_replay': _best(others, seed, lambda name: name.startswith(_REPLAY)),
            'over_joint_equal': _best(others, seed, lambda name: name == _JOINT),
            'over_no_sleep': _best(others, seed, lambda name: name == 'no_sleep'),
            'over_best': _best(others, seed, lambda name: name != line.recipe),
        }  # fmt: skip
        skill = own['skill']
        compared = {n: None if best is None or skill is None else skill - best for n, best in bests.items()}
        positive = converged is not None and converged > 0 and skill is not None
        compared['of_joint_converged'] = skill / converged if positive else None
        fast = own.get('fast_skill')
        compared['over_fast'] = None if fast is None or skill is None else skill - fast
        found.append(compared)
    return found


def _best(others: Sequence[Line], seed: int, belongs: Callable[[str], bool]) -> float | None:
    """Returns the best skill of a family in one seed; the member is the one best over all seeds, not in this one."""
    family = [o for o in others if belongs(o.recipe) and all(f['skill'] is not None for f in o.figures)]
    if not family:
        return None
    best = max(family, key=lambda line: sum(float(f['skill']) for f in line.figures))
    return float(best.figures[seed]['skill'])


def _evidence(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Rows 000-107 and 000-108 by name, from the default recipe; None where it was not run."""
    default = next((line for line in lines if line['recipe'] == 'default'), None)
    if default is None:
        return {'000-107': None, '000-108': None}
    return {'000-107': default['fast_lived'], '000-108': default['earlier_scenes']}

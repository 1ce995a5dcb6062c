"""JSON report of results: means over seeds, intervals, and comparisons of baselines that are paired by seed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cls_common import atomic_file

from .evaluator import Metrics
from .runner import BaselineResult, StreamResults
from .statistics import clean, summary

# Families of baselines to compare with. A negative skill of `action_blind` counts as 0: copying is always possible.
_BLIND, _JOINT, _CONVERGED = 'action_blind', 'joint_equal', 'joint_converged'
_RETRIEVAL, _REPLAY = 'retrieval_', ('er_', 'der')
# Metrics of streams in order, with Fast or with sleep; null in other rows.
_STREAM_ONLY = (
    'matrix', 'average', 'own_scene', 'forgetting', 'bwt', 'fwt', 'fast_at', 'fast_at_worst', 'fast_skill',
    'fast_own_scene', 'fast_lived', 'earlier_scenes', 'sleep_gain', 'sleep_gain_mean', 'sleep_gain_worst',
    'rolled_back', 'night_seconds', 'sleep_scores', 'first_sleep_before', 'first_sleep_after', 'after_sleep_worst',
    'fast_first_sleep_before', 'fast_first_sleep_after', 'fast_after_sleep_worst',
)  # fmt: skip


def document(results: StreamResults) -> dict[str, Any]:
    """Returns the report as plain JSON values."""
    protocol = results.protocol
    rows = [
        _row(result, [o for o in results.results if o.encoder == result.encoder], results) for result in results.results
    ]
    hashes = {encoder: digest for encoder, (digest, _) in results.environments.items()}
    report: dict[str, Any] = {
        # The hash of the environment does not depend on the encoder.
        'world': next(iter(hashes.values())),
        'life': protocol.stream,
        'name': protocol.environment,
        'scenes': protocol.scenes,
        'steps_per_scene': protocol.steps,
        'seeds': results.seeds,
        'encoders': {encoder: summary(found) for encoder, (_, found) in results.environments.items()},
        'rows': rows,
        'evidence': {encoder: _evidence([r for r in rows if r['encoder'] == encoder]) for encoder in hashes},
    }
    plain: dict[str, Any] = clean(report)
    return plain


def write(path: Path, report: dict[str, Any]) -> None:
    """Writes the report to a temporary name and renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_file.write_json(path, report)


def _row(result: BaselineResult, others: Sequence[BaselineResult], results: StreamResults) -> dict[str, Any]:
    # Baselines without a memory are compared with every share.
    others = [other for other in others if result.share is None or other.share in (None, result.share)]
    metrics = [
        {**dict.fromkeys(_STREAM_ONLY), **own, **compared}
        for own, compared in zip(result.metrics, _compared(result, others))
    ]
    return {
        'recipe': result.recipe,
        'encoder': result.encoder,
        'life': results.protocol.stream,
        'memory': result.share,
        'values': result.values,
        'skill_by_seed': [each['skill'] for each in result.metrics],
        **summary(metrics),
    }


def _compared(result: BaselineResult, others: Sequence[BaselineResult]) -> list[Metrics]:
    """Returns, by seed, the differences of skill to other baselines; None where those were not run."""
    found: list[Metrics] = []
    for seed, own in enumerate(result.metrics):
        blind = _best(others, seed, lambda name: name == _BLIND)
        converged, bests = (
            _best(others, seed, lambda name: name == _CONVERGED),
            {
                'over_action_blind': None if blind is None else max(0.0, blind),
                'over_retrieval': _best(others, seed, lambda name: name.startswith(_RETRIEVAL)),
                'over_replay': _best(others, seed, lambda name: name.startswith(_REPLAY)),
                'over_joint_equal': _best(others, seed, lambda name: name == _JOINT),
                'over_no_sleep': _best(others, seed, lambda name: name == 'no_sleep'),
                'over_best': _best(others, seed, lambda name: name != result.recipe),
            },
        )
        skill = own['skill']
        compared = {n: None if best is None or skill is None else skill - best for n, best in bests.items()}
        positive = converged is not None and converged > 0 and skill is not None
        compared['of_joint_converged'] = skill / converged if positive else None
        fast = own.get('fast_skill')
        compared['over_fast'] = None if fast is None or skill is None else skill - fast
        found.append(compared)
    return found


def _best(others: Sequence[BaselineResult], seed: int, belongs: Callable[[str], bool]) -> float | None:
    """Returns the skill, in one seed, of the member of a family that is best over all seeds."""
    family = [o for o in others if belongs(o.recipe) and all(f['skill'] is not None for f in o.metrics)]
    if not family:
        return None
    best = max(family, key=lambda result: sum(float(f['skill']) for f in result.metrics))
    return float(best.metrics[seed]['skill'])


def _evidence(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns two metrics of the default recipe, None where it was not run: the learners' acceptance criteria.

    Fast predicts better than copying before it learns a step; Slow keeps earlier scenes better than Fast.
    """
    default = next((result for result in results if result['recipe'] == 'default'), None)
    if default is None:
        return {'fast_before_learning': None, 'earlier_scenes': None}
    return {'fast_before_learning': default['fast_lived'], 'earlier_scenes': default['earlier_scenes']}

"""Baselines by name, one family a file: each module has a function `baselines()`; to add a family, add a file."""

import importlib
import pkgutil

from cls_common.errors import UserError
from cls_common.resources import config_dir

from .contract import Baseline

# The order of the table; other names follow.
_FIRST = (
    'default', 'gru', 'reference', 'fast_only', 'no_sleep', 'distill_only', 'real_only', 'no_virtual_pairs', 'er_slow',
    'er_slow_samples', 'er_slow_waking', 'er_slow_pairs', 'er_slow_samples_pairs', 'er_slow_waking_pairs', 'er_fast',
    'er_fast_samples', 'er_fast_waking', 'er_fast_pairs', 'er_fast_samples_pairs', 'er_fast_waking_pairs', 'der',
    'ewc', 'action_blind', 'retrieval_change', 'retrieval_absolute', 'retrieval_change_capped',
    'retrieval_absolute_capped', 'ridge', 'joint_equal', 'joint_converged',
)  # fmt: skip


def all_baselines() -> dict[str, Baseline]:
    """Returns every baseline by name, in the order of the table."""
    found: dict[str, Baseline] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name != 'contract':
            found |= {
                baseline.name: baseline for baseline in importlib.import_module(f'{__name__}.{module.name}').baselines()
            }
    return dict(sorted(found.items(), key=lambda item: _FIRST.index(item[0]) if item[0] in _FIRST else len(_FIRST)))


def find(name: str) -> Baseline:
    """Returns a baseline by name, a preset of config/presets, or either changed: `NAME,SETTING=VALUE,...`.

    Raises:
        UserError: unknown name, or settings changed in a baseline that is no recipe of the learners.
    """
    from .recipe import RecipeBaseline

    base, *changes = name.split(',')
    known = all_baselines()
    presets = sorted(p.name.removesuffix('.param.yaml') for p in (config_dir() / 'presets').glob('*.param.yaml'))
    if base not in known and base not in presets:
        raise UserError(f'unknown recipe {base!r}', expected='one of ' + ', '.join([*known, *presets]))
    baseline = known.get(base) or RecipeBaseline(name=base, preset=base)
    if not changes:
        return baseline
    if not isinstance(baseline, RecipeBaseline):
        raise UserError(f'recipe {name!r}', expected='settings changed in a recipe of the learners', found=base)
    return baseline.changed(name, changes)

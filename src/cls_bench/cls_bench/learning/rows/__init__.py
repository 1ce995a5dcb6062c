"""Rows of the table, one family a file: each file's `rows()` returns its rows; adding one is adding a file."""

import importlib
import pkgutil

from cls_common.errors import UserError
from cls_common.resources import config_dir

from .contract import Row

# The order of the table; rows of other names follow.
_FIRST = (
    'default', 'gru', 'reference', 'fast_only', 'no_sleep', 'distill_only', 'real_only', 'no_virtual_pairs', 'er_slow',
    'er_slow_samples', 'er_slow_waking', 'er_slow_pairs', 'er_slow_samples_pairs', 'er_slow_waking_pairs', 'er_fast',
    'er_fast_samples', 'er_fast_waking', 'er_fast_pairs', 'er_fast_samples_pairs', 'er_fast_waking_pairs', 'der',
    'ewc', 'action_blind', 'retrieval_change', 'retrieval_absolute', 'retrieval_change_capped',
    'retrieval_absolute_capped', 'ridge', 'joint_equal', 'joint_converged',
)  # fmt: skip


def all_rows() -> dict[str, Row]:
    """Returns every row by name, in the order of the table."""
    found: dict[str, Row] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name != 'contract':
            found |= {row.name: row for row in importlib.import_module(f'{__name__}.{module.name}').rows()}
    return dict(sorted(found.items(), key=lambda item: _FIRST.index(item[0]) if item[0] in _FIRST else len(_FIRST)))


def find(name: str) -> Row:
    """Returns a row by name, a preset of config/presets, or either changed: `NAME,SETTING=VALUE,...`.

    Raises:
        UserError: neither a row nor a preset, or a changed row that is not made of the product's own halves.
    """
    from .product import ProductRow

    base, *changes = name.split(',')
    known = all_rows()
    presets = sorted(p.name.removesuffix('.param.yaml') for p in (config_dir() / 'presets').glob('*.param.yaml'))
    if base not in known and base not in presets:
        raise UserError(f'unknown recipe {base!r}', expected='one of ' + ', '.join([*known, *presets]))
    row = known.get(base) or ProductRow(name=base, preset=base)
    if not changes:
        return row
    if not isinstance(row, ProductRow):
        raise UserError(f'recipe {name!r}', expected='settings changed in a recipe of the learners', found=base)
    return row.changed(name, changes)

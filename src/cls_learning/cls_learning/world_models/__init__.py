"""World models by name: one file each, found by `network.world_model`."""

import importlib
from pathlib import Path
from types import ModuleType

from cls_common.errors import UserError

from .contract import WorldModel


def find(kind: str) -> ModuleType:
    """Returns the module of a kind of world model.

    Raises:
        UserError: no such kind.
    """
    kinds = sorted(p.stem for p in Path(__file__).parent.glob('*.py') if p.stem not in ('__init__', 'contract'))
    if kind not in kinds:
        raise UserError(f'unknown world model {kind!r}', expected='one of ' + ', '.join(kinds))
    return importlib.import_module(f'.{kind}', __package__)


def make(kind: str, *, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool, seed: int) -> WorldModel:
    """Makes an untrained world model; equal arguments give equal weights.

    Raises:
        UserError: no such kind.
    """
    model: WorldModel = find(kind).make(
        z_size=z_size, action_size=action_size, hidden=hidden, residual=residual, seed=seed
    )
    return model

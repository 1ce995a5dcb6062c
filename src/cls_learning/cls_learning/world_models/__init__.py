"""World models by name: one file each, found by `network.world_model`."""

from pathlib import Path
from types import ModuleType

from .. import by_name
from .contract import WorldModel


def find(kind: str) -> ModuleType:
    """Returns the module of a kind of world model.

    Raises:
        UserError: no such kind.
    """
    return by_name.find(__name__, Path(__file__).parent, 'world model', kind)


def make(kind: str, *, z_size: int, action_size: int, hidden: tuple[int, ...], residual: bool, seed: int) -> WorldModel:
    """Makes an untrained world model; equal arguments give equal weights.

    Raises:
        UserError: no such kind.
    """
    model: WorldModel = find(kind).make(
        z_size=z_size, action_size=action_size, hidden=hidden, residual=residual, seed=seed
    )
    return model

"""World models by name: one file each, found by `network.world_model`."""

from typing import TYPE_CHECKING

from cls_common.settings import PluginSettings

from ..registries import WORLD_MODELS

if TYPE_CHECKING:  # settings of world models are listed without PyTorch
    from .contract import WorldModel


def make(
    kind: str,
    *,
    z_size: int,
    action_size: int,
    hidden: tuple[int, ...],
    residual: bool,
    seed: int,
    plugins: PluginSettings | None = None,
) -> 'WorldModel':
    """Makes an untrained world model; equal arguments give equal weights.

    Args:
        plugins: of the settings that chose `kind`; None: defaults. A module that declares SETTINGS gets its own as the
            keyword `own`.

    Raises:
        UserError: no such kind.
    """
    settings_class = getattr(WORLD_MODELS.find(kind), 'SETTINGS', None)
    own = {'own': plugins.of(settings_class) if plugins else settings_class()} if settings_class else {}
    model: WorldModel = WORLD_MODELS.make(
        kind, z_size=z_size, action_size=action_size, hidden=hidden, residual=residual, seed=seed, **own
    )
    return model

"""What is compared, by world and name. No PyTorch here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cls_common.errors import UserError

DOT, ROOM, CORRIDOR = 'dot', 'room', 'corridor'
DEFAULT, REFERENCE, SLEEP, FLAT, MACRO = 'default', 'reference', 'sleep', 'flat', 'macro'


@dataclass(frozen=True)
class Recipe:
    """One row of a world.

    Attributes:
        kind: 'exact' needs no learning; 'brain' is the brain `developmental`; 'peer' runs in an environment of its own;
            'planner' is one of several that share a model.
        preset, settings: of the brain, and of a room's.
        walks: on which it is measured; fewer where a prediction takes long.
    """

    kind: str
    preset: str = ''
    settings: Mapping[str, Any] = field(default_factory=dict)
    walks: int = 256


_AWAKE: Final = {'sleep.wake_steps_per_cycle': 1_000_000}
_BLACK_AND_WHITE: Final = ('squared', 'weighted', 'focal')
RECIPES: Final[Mapping[str, Mapping[str, Recipe]]] = {
    DOT: {
        'black': Recipe('exact'),
        'copy': Recipe('exact'),
        'blind': Recipe('exact'),
        DEFAULT: Recipe('brain'),
        **{name: Recipe('brain', settings={'loss.picture': name}) for name in _BLACK_AND_WHITE},
        'no_sleep': Recipe('brain', settings=_AWAKE),
        REFERENCE: Recipe('brain', preset=REFERENCE, walks=16),
        'lewm': Recipe('peer'),
    },
    ROOM: {
        SLEEP: Recipe('brain'),
        'no_sleep': Recipe('brain', settings=_AWAKE),
        'fifo': Recipe('brain', settings={'memory.keep': 'newest'}),
    },
    CORRIDOR: {FLAT: Recipe('planner'), MACRO: Recipe('planner'), 'flat_breadth': Recipe('planner')},
}  # fmt: skip
SHORT: Final = (DEFAULT, REFERENCE)


def find(world: str, name: str) -> Recipe:
    """Returns a recipe of a world; raises UserError for an unknown world, or for a name that it does not have."""
    if world not in RECIPES:
        raise UserError(f'unknown world {world!r}', expected='one of ' + ', '.join(RECIPES))
    if name not in RECIPES[world]:
        raise UserError(f'unknown recipe {name!r} of {world}', expected='one of ' + ', '.join(RECIPES[world]))
    return RECIPES[world][name]


def rows(worlds: Sequence[str], names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Returns worlds and recipes; without names all of each world.

    Raises:
        UserError: an unknown world, or a name that none of them has.
    """
    for world in worlds:
        if world not in RECIPES:
            find(world, '')
    known = {name for world in worlds for name in RECIPES[world]}
    for name in names:
        if name not in known:
            raise UserError(f'unknown recipe {name!r}', expected='one of ' + ', '.join(sorted(known)))
    return tuple((world, name) for world in worlds for name in RECIPES[world] if not names or name in names)

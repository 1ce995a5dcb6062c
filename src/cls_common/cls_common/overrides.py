"""Settings as texts: `--set NAME=VALUE` on the command line, `settings` of a launch file."""

from collections.abc import Sequence
import json
from typing import Any

from .errors import UserError

# First part of a name -> the node whose parameter the rest names. Names without any of these are of the recipe.
NODES = {'sim': 'simulator', 'encoder': 'encoder', 'jetbot': 'jetbot_driver'}
RECIPE = 'slow_learner'


def parse_override(text: str) -> tuple[str, Any]:
    """Parses NAME=VALUE, VALUE as JSON if it is valid, else as text."""
    name, equals, value = text.partition('=')
    name, value = name.strip(), value.strip()
    if not equals or not name:
        raise UserError(f'setting {text!r}', expected='NAME=VALUE')
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def by_node(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Returns the settings of each node by their dotted names: 'sim.scene=1' is `scene` of `simulator`."""
    chosen: dict[str, dict[str, Any]] = {}
    for name, value in map(parse_override, texts):
        room, _, rest = name.partition('.')
        node, name = (NODES[room], rest) if room in NODES else (RECIPE, name)
        chosen.setdefault(node, {})[name] = value
    return chosen

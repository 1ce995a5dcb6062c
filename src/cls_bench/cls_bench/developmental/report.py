"""JSON report: a row for each recipe and world with 95 % intervals, all runs, and the targets."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..learning.statistics import clean, summary
from ..targets import target
from .recipes import CORRIDOR, DEFAULT, DOT, FLAT, MACRO, RECIPES, ROOM, SLEEP
from .runner import DevelopmentalResults

Row = Mapping[str, Any]
# Of every row; None where a world or a recipe has no such figure.
NAMES = (
    'r2', 'r2_unseen', 'r2_moved', 'r2_at', 'r2_gap', 'nearest_action', 'object_error_px', 'object_found',
    'pose_gain_1', 'pose_gain_5', 'forgetting', 'seconds', 'processor_seconds', 'steps', 'restarts', 'sleeps',
    'seconds_a_step', 'parameters',
)  # fmt: skip


def document(results: DevelopmentalResults) -> dict[str, Any]:
    """Returns the report as plain JSON values."""
    by_row: dict[tuple[str, str], dict[int, Row]] = {}
    for job, metrics in results.found.items():
        by_row.setdefault((job.world, job.recipe), {})[job.seed] = metrics
    order = [(world, name) for world, recipes in RECIPES.items() for name in recipes]
    rows = [
        {
            'world': world, 'recipe': name, 'seeds': len(by_row[world, name]), **dict.fromkeys(NAMES),
            **summary([_figures(each) for each in by_row[world, name].values()]),
        }
        for world, name in sorted(by_row, key=order.index)
    ]  # fmt: skip
    report: dict[str, Any] = {
        'peers_date': results.peers_date,
        'targets': targets(rows),
        'rows': rows,
        'runs': [
            {**metrics, 'world': world, 'recipe': name, 'seed': seed}
            for (world, name), runs in by_row.items()
            for seed, metrics in sorted(runs.items())
        ],
    }
    plain: dict[str, Any] = clean(report)
    return plain


def _figures(run: Row) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name not in ('world', 'recipe', 'seed')}


def targets(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Returns the targets of the worlds of the rows with what was measured; `met`: None where it was not run."""
    worlds = list(dict.fromkeys(row['world'] for row in rows))
    by_world: dict[str, list[tuple[str, str, float | None, str, float]]] = {
        DOT: _of_dot(rows), ROOM: _of_room(rows), CORRIDOR: _of_corridor(rows)
    }  # fmt: skip
    return [
        target(f'{world}, {recipe}: {text}', value, sign, bound)
        for world in worlds
        for recipe, text, value, sign, bound in by_world.get(world, ())
    ]


def _of_dot(rows: Sequence[Row]) -> list[tuple[str, str, float | None, str, float]]:
    own = find(rows, DOT, DEFAULT)
    at = own.get('r2_at') or {}
    return [
        (DEFAULT, 'R2 of one step on unseen rows', own.get('r2_unseen'), '>=', 0.95),
        (DEFAULT, 'R2 of ten steps on unseen rows', at.get('10'), '>=', 0.8),
        (DEFAULT, 'share of frames in which the true action is the nearest', own.get('nearest_action'), '>=', 0.99),
        (DEFAULT, 'R2 gap between true and other action', own.get('r2_gap'), '>=', 1.5),
        (DEFAULT, 'processor seconds', own.get('processor_seconds'), '<=', 300.5),
    ]


def _of_room(rows: Sequence[Row]) -> list[tuple[str, str, float | None, str, float]]:
    own = find(rows, ROOM, SLEEP)
    # What the encoder `joint_prediction` with the network `film` reaches, trained on all scenes at once.
    return [
        (SLEEP, 'pose gain of one step', own.get('pose_gain_1'), '>=', 0.87),
        (SLEEP, 'pose gain of five steps', own.get('pose_gain_5'), '>=', 0.75),
        (SLEEP, 'forgetting of the pose gain', own.get('forgetting'), '<=', 0.03),
    ]


def _of_corridor(rows: Sequence[Row]) -> list[tuple[str, str, float | None, str, float]]:
    far, flat = find(rows, CORRIDOR, MACRO), find(rows, CORRIDOR, FLAT)
    share = far['planning_ms'] / flat['planning_ms'] if far and flat else None
    return [
        (MACRO, 'share of goals reached', far.get('reached'), '>=', 0.7),
        (FLAT, 'share of goals reached', flat.get('reached'), '<=', 0.2),
        (MACRO, f'planning time of an action, as a share of that of {FLAT}', share, '<=', 0.5),
    ]


def find(rows: Sequence[Row], world: str, recipe: str) -> Row:
    """Returns the row of a recipe, an empty one where it was not run."""
    return next((row for row in rows if (row['world'], row['recipe']) == (world, recipe)), {})


def figure(row: Row, path: str) -> Any:
    """Returns a figure of a row by name, or `name.part` of one by parts; None where it has none."""
    name, _, part = path.partition('.')
    value = row.get(name)
    return value.get(part) if part and value is not None else value

"""Console tables of a report."""

from typing import Any

from rich.console import Console
from rich.table import Table

_Columns = tuple[tuple[str, str], ...]

# Heading and metric; a dot leads into a mapping. Prediction, retention, and comparison with baselines.
_PREDICTS: _Columns = (
    ('skill', 'skill'), ('balanced', 'balanced_skill'), ('uniform', 'uniform_skill'), ('k 3', 'skill_at.3'),
    ('k 5', 'skill_at.5'), ('k 10', 'skill_at.10'), ('pose 1', 'pose_predicted_1'), ('gain 1', 'pose_gain_1'),
    ('gain 5', 'pose_gain_5'), ('to 2.5 deg', 'skill_by_move.0-2.5'), ('to 5', 'skill_by_move.2.5-5'),
    ('to 10', 'skill_by_move.5-10'), ('still', 'still_error'),
)  # fmt: skip
_KEEPS: _Columns = (
    ('own scene', 'own_scene'), ('forgets', 'forgetting'), ('bwt', 'bwt'), ('fwt', 'fwt'),
    ('a sleep gains', 'sleep_gain_mean'), ('worst', 'sleep_gain_worst'), ('Fast, all', 'fast_skill'),
    ('own', 'fast_own_scene'), ('at 200', 'fast_at.200'), ('worst', 'fast_at_worst.200'),
)  # fmt: skip
_WORTH: _Columns = (
    ('shuffled', 'shuffled_drop'), ('over blind', 'over_action_blind'), ('5-NN', 'over_retrieval'),
    ('replay', 'over_replay'), ('no sleep', 'over_no_sleep'), ('joint_equal', 'over_joint_equal'),
    ('of converged', 'of_joint_converged'), ('noise 4', 'skill_shifted.noise_4'), ('8', 'skill_shifted.noise_8'),
    ('exposure', 'skill_shifted.exposure'),
)  # fmt: skip
# Of a stream in a named environment.
_USE: _Columns = (
    ('skill', 'skill'), ('over best', 'over_best'), ('before first sleep', 'first_sleep_before'),
    ('after', 'first_sleep_after'), ('worst after any', 'after_sleep_worst'),
    ('Fast: before', 'fast_first_sleep_before'), ('after', 'fast_first_sleep_after'),
    ('worst', 'fast_after_sleep_worst'), ('forgets', 'forgetting'), ('k 10', 'skill_at.10'),
    ('true pose', 'pose_true_1'), ('gain 1', 'pose_gain_1'), ('gain 5', 'pose_gain_5'), ('rolled back', 'rolled_back'),
)  # fmt: skip
_SPENT = (('steps', 'steps'), ('samples', 'sample_gradients'), ('kept', 'stored'), ('s', 'seconds'))


def show(report: dict[str, Any], console: Console) -> None:
    """Prints the report: tables for each encoder, means over seeds with half the 95 % interval."""
    console.print(
        f'stream {report["life"]}: {report["scenes"]} scenes x {report["steps_per_scene"]} steps, '
        f'seeds {report["seeds"]}, world {report["world"]}'
    )
    for encoder, world in report['encoders'].items():
        rows = [row for row in report['rows'] if row['encoder'] == encoder]
        console.print(
            f'\n[bold]{encoder}[/]: first component {_text(world["first_component"])} of the variance, '
            f'participation ratio {_text(world["participation_ratio"])}, a step changes {_text(world["step_share"])} '
            f'of the variance in a scene\n{_text(world["overlap"])} of the test frames near visited poses '
            f'(worst scene {_text(world["overlap_worst"])}); there the true pose is read to '
            f'{_text(_first(rows, "pose_true_1"))} degrees, a copied one to {_text(_first(rows, "pose_copied_1"))}'
        )
        for title, columns in (('predicts', _PREDICTS), ('keeps', _KEEPS), ('is worth', _WORTH)):
            console.print(_table(title, columns, rows))
        _show_evidence(report['evidence'][encoder], console)


def show_environments(report: dict[str, Any], console: Console) -> None:
    """Prints one table for each encoder: all environments, means over seeds with half the 95 % interval."""
    reports = report['worlds'].values()
    first = next(iter(reports))
    steps = first['scenes'] * first['steps_per_scene']
    console.print(f'{steps} steps in each world, seeds {first["seeds"]}')
    for encoder in first['encoders']:
        table = Table(box=None, pad_edge=False, header_style='bold', title=encoder)
        for heading in ('world', 'row', *(heading for heading, _ in _USE), 's'):
            table.add_column(heading, justify='left' if heading in ('world', 'row') else 'right')
        for each in reports:
            rows = [row for row in each['rows'] if row['encoder'] == encoder]
            for row in rows:
                metrics = [_with_interval(_get(row, name), _get(row, name, '_ci')) for _, name in _USE]
                is_last = row is rows[-1]
                table.add_row(each['name'], row['recipe'], *metrics, _count(row['seconds']), end_section=is_last)
        console.print(table)


def _table(title: str, columns: _Columns, rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style='bold')
    table.add_column(title)
    table.add_column('memory', justify='right')
    spends = columns is _WORTH
    for heading, _ in (*columns, *(_SPENT if spends else ())):
        table.add_column(heading, justify='right')
    for row in rows:
        memory = '' if row['memory'] is None else f'{row["memory"]:.0%}'
        metrics = [_with_interval(_get(row, name), _get(row, name, '_ci')) for _, name in columns]
        if any(figure != '-' for figure in metrics):
            spent = [_count(row.get(name)) for _, name in _SPENT] if spends else []
            table.add_row(row['recipe'], memory, *metrics, *spent)
    return table


def _show_evidence(evidence: dict[str, Any], console: Console) -> None:
    before, earlier = evidence['fast_before_learning'], evidence['earlier_scenes']
    if before:
        quarters = ', '.join(f'{_text(q["error"])} / {_text(q["copied"])}' for q in before)
        console.print(f'error of Fast before learning / of copying, by quarter of the stream: {quarters}')
    if earlier:
        slow, fast = _text(earlier['slow_error']), _text(earlier['fast_error'])
        console.print(f'error on earlier scenes: Slow {slow}, Fast {fast}')


def _first(rows: list[dict[str, Any]], name: str) -> float | None:
    return next((value for row in rows if (value := row.get(name)) is not None), None)


def _get(row: dict[str, Any], name: str, ending: str = '') -> Any:
    first, _, rest = name.partition('.')
    value = row.get(first + ending)
    return value.get(rest) if rest and isinstance(value, dict) else value


def _with_interval(value: float | None, ends: list[float] | None) -> str:
    return _text(value) if ends is None or value is None else f'{_text(value)} ±{(ends[1] - ends[0]) / 2:.3f}'


def _text(value: float | None) -> str:
    if value is None:
        return '-'
    return f'{value:.3f}' if abs(value) < 10 else f'{value:.1f}' if abs(value) < 1000 else f'{value:.2g}'


def _count(value: float | None) -> str:
    return '-' if value is None else f'{value:,.0f}'

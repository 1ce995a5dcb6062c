"""JSON report of costs and learning, and five lines that say what it shows."""

from typing import Any

from ..learning.statistics import clean, summary
from . import costs, late_robot, learning
from .runner import RecurrentResults


def document(results: RecurrentResults) -> dict[str, Any]:
    """Returns the report as plain JSON values."""
    request = results.request
    report: dict[str, Any] = {
        'lengths': list(request.lengths),
        'seeds': request.seeds,
        'episodes': request.episodes,
        'units': request.units,
        'costs': results.costs,
        'bptt': results.bptt,
        'learned': [
            {'agent': job.agent, 'signal': job.signal, 'length': job.length, **summary(metrics)}
            for job, metrics in results.learned.items()
        ],
        'late_steps': request.late_steps,
        'late': [{'agent': job.agent, **summary(metrics)} for job, metrics in results.late.items()],
    }
    report['summary'] = _lines(report)
    plain: dict[str, Any] = clean(report)
    return plain


def _lines(report: dict[str, Any]) -> list[str]:
    units = max(row['units'] for row in report['costs'])
    shown = {
        (row['agent'], row['weight_sparsity'], row['width']): row for row in report['costs'] if row['units'] == units
    }
    dense = shown['dense', 0.0, 1.0]
    pruned = [shown['sparse', sparsity, width] for sparsity, width in costs.SETUPS if sparsity]
    return [
        _sparse(dense, pruned),
        _where_dense_wins(report['costs']),
        _memory(report, units, pruned[0]),
        _learned(report),
        _late(report),
    ]


def _sparse(dense: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    first = rows[0]
    found = '; '.join(
        f'surrogate {row["width"]:g} wide ({_share(row["flat"])} of derivatives are 0): {_less(dense, row)} fewer '
        f'multiply-adds than dense RTRL ran, {_less(dense, row, "effective")} fewer without factors of 0, '
        f'{_faster(dense, row)} the speed'
        for row in rows
    )
    return (
        f'Exact sparse RTRL, {first["units"]} units, {_share(first["silent"])} silent, '
        f'{_share(first["weight_sparsity"])} of weights pruned, {found}.'
    )


def _where_dense_wins(rows: list[dict[str, Any]]) -> str:
    dense = {(row['units'], row['weight_sparsity'], row['width']): row for row in rows if row['agent'] == 'dense'}
    slower = [
        row for row in rows
        if row['agent'] == 'sparse'
        and row['seconds'] > dense[row['units'], row['weight_sparsity'], row['width']]['seconds']
    ]  # fmt: skip
    if not slower:
        return 'Nowhere in this table is the dense matrix product of the same cell faster than the sparse level.'
    where = '; '.join(
        f'{row["units"]} units, {_share(row["weight_sparsity"])} pruned, width {row["width"]:g}' for row in slower
    )
    return f'Dense matrix products are faster than the sparse level all the same at: {where}.'


def _memory(report: dict[str, Any], units: int, sparse: dict[str, Any]) -> str:
    tapes = [
        row for row in report['bptt'] if (row['units'], row['cell']) == (units, 'event_gru')
    ]  # fmt: skip
    first, last = tapes[0], tapes[-1]
    return (
        f'Memory of sparse RTRL is {sparse["bytes"] / 1e3:.0f} kB at any length, that of BPTT '
        f'{first["bytes"] / 1e3:.0f} kB at {first["length"]} steps and {last["bytes"] / 1e3:.0f} kB at '
        f'{last["length"]}; a step takes {sparse["seconds"] * 1e6:.0f} us, with BPTT {last["seconds"] * 1e6:.0f} us.'
    )


def _learned(report: dict[str, Any]) -> str:
    longest = max(report['lengths'])
    of = ', '.join(
        f'{row["agent"]} {_share(row["accuracy"])}'
        for row in report['learned'] if (row['length'], row['signal']) == (longest, 'end')
    )  # fmt: skip
    return f'Right answers at length {longest} after {report["episodes"] - learning.JUDGED} episodes: {of}.'


def _late(report: dict[str, Any]) -> str:
    of = ', '.join(f'{row["agent"]} {row["error"]:.2f}' for row in report['late'])
    return (
        f'Robot that answers {late_robot.DELAY} steps late, error of the last quarter of {report["late_steps"]} steps '
        f'as a share of that of predicting no change: {of}.'
    )


def _less(dense: dict[str, Any], row: dict[str, Any], name: str = 'executed') -> str:
    return f'{dense["dense"] / row[name]:.1f} times'


def _faster(dense: dict[str, Any], row: dict[str, Any]) -> str:
    return f'{dense["seconds"] / row["seconds"]:.1f} times'


def _share(value: float) -> str:
    return f'{100 * value:.0f} %'

"""The report of a saved model."""

from collections.abc import Sequence
from datetime import datetime
import math
from pathlib import Path

from cls_common.errors import UserError
from cls_learning.brain import Brain
from cls_learning.model_store.training_log import read_rows

from ..exploration.models import networks_of, read_saved, remembered, SavedModel
from ..exploration.sessions import ActionShare, shares_of
from .curves import curves, Rows, SLEEPS
from .page import Bar, Block, number, Page, Section, Table
from .step_sections import distribution, step_sections

DEVELOPMENTAL = 'developmental'
_MOST_ACTIONS, _WINDOWS = 20, 64


def model_page(folder: Path, made: str) -> Page:
    """Returns the report of a model as last saved; it may be in use.

    Args:
        made: when and by what the report was made, in words.

    Raises:
        UserError: the model is missing, damaged or was never saved.
    """
    saved, rows = read_saved(folder), read_rows(folder / 'training.log')
    sections = [*learning_sections(rows, saved.config.brain), *view_sections(saved), settings_section(saved)]
    return Page(f'Model {folder.name}', made, facts_of(saved), _summary(saved, rows), sections)


def facts_of(saved: SavedModel) -> dict[str, str]:
    """Returns what identifies a model, by name."""
    config, manifest = saved.config, saved.manifest
    accepted = f' (also {", ".join(config.accepted_robots)})' if config.accepted_robots else ''
    return {
        'Model': saved.folder.name, 'Brain': config.brain_name, 'Robot': config.robot.name + accepted,
        'Encoder': str(config.encoder.get('id', '')) if config.encoder else '', 'Seed': str(config.seed),
        'Created': config.created_at, 'Saved': manifest.created_at, 'Generation': str(manifest.number),
        'Run': manifest.run_id, 'Weights (SHA-256)': manifest.weights_sha256, 'Recipe (SHA-256)': config.sha256,
    }  # fmt: skip


def _summary(saved: SavedModel, rows: Rows) -> list[str]:
    manifest, events = saved.manifest, [row['event'] for row in rows]
    refused = events.count('rolled_back')
    lines = [
        f'The brain {saved.config.brain_name} learned {manifest.sequence:,} steps on the robot '
        f'{saved.config.robot.name}, and slept {manifest.cycles} times'
        + (f'; {refused} further sleeps were rolled back.' if refused else '.')
    ]  # fmt: skip
    metrics = {**saved.consolidator.metrics(), **saved.online.metrics()}
    shown = [
        f'{name} {number(metrics[name])} ({"higher" if is_higher else "lower"} is better)'
        for name, is_higher in saved.config.brain.headlines.items()
        if name in metrics and not math.isnan(metrics[name])
    ]
    return [*lines, *(['Now: ' + ', '.join(shown) + '.'] if shown else [])]


def learning_sections(rows: Rows, brain: Brain) -> list[Section]:
    """Returns the curves of training.log, and its sleeps with their verdicts."""
    columns = [*(name for name in brain.headlines if name in brain.columns), *brain.columns]
    drawn = curves(rows, list(dict.fromkeys(columns)))
    text = 'Means over time, with each value behind them. Dotted lines are sleeps, red ones were rolled back.'
    found = Block(text if drawn else 'training.log has no values yet.', drawn, is_large=True)
    return [
        Section('Learning curves', [found]),
        Section('Gate and sleeps', [*_gate(rows), *_sleeps(rows, brain.columns)]),
    ]


def _gate(rows: Rows) -> list[Block]:
    """Returns how often the robot saw well enough to act, for brains that have a gate."""
    gate = [float(row['gate_open']) for row in rows if row.get('gate_open')]
    if not gate:
        return []
    rests = max((float(row['rests']) for row in rows if row.get('rests')), default=0.0)
    recent = gate[-200:]
    return [
        Block(f'Reconstructions were good enough to act in {sum(gate) / len(gate):.0%} of all steps, and in '
              f'{sum(recent) / len(recent):.0%} of the last {len(recent)}; they were not in at most {rests:.0f} steps '
              'in a row.')
    ]  # fmt: skip


def _sleeps(rows: Rows, columns: Sequence[str]) -> list[Block]:
    sleeps = [row for row in rows if row['event'] in SLEEPS]
    if not sleeps:
        return [Block('No sleep was finished yet.')]
    used = [name for name in columns if any(row.get(name) for row in sleeps)]
    verdicts = {'sleep': 'kept', 'rolled_back': 'rolled back'}
    table = [
        (row['timestamp'], row['step'], verdicts[row['event']], *(_cell(row.get(name, '')) for name in used))
        for row in sleeps
    ]
    text = 'A sleep after which held-out steps are predicted worse is rolled back.'
    return [Block(text, table=Table(('time', 'step', 'verdict', *used), table))]


def _cell(text: str) -> str:
    return number(float(text)) if text else '-'


def view_sections(saved: SavedModel) -> list[Section]:
    """Returns what a model makes of steps that it keeps, and their actions; for another brain what is left out."""
    if saved.config.brain_name != DEVELOPMENTAL:
        return [
            Section('Not in this report', [
                Block('Reconstructions, predictions for every action, attention and counterfactuals are made for the '
                      f'brain {DEVELOPMENTAL}, which predicts pictures. The brain of this model is '
                      f'{saved.config.brain_name}.')
            ])
        ]  # fmt: skip
    model, robot = networks_of(saved), saved.config.robot
    try:
        steps, origin = remembered(saved, _WINDOWS, model.context)
    except UserError as error:
        return [Section('Reconstructions and predictions', [Block(f'Left out: {error}.')])]
    # Once drawn, the same windows tell which actions were taken: a sample of all that the model keeps.
    shares = shares_of(robot, distribution(robot, steps.actions[:, -1]))
    text = f'{len(steps.actions)} {origin}. Those of a whole session: ./cls report SESSION.'
    return [*step_sections(model, robot, steps, origin), actions_section(shares, text)]


def actions_section(shares: Sequence[ActionShare], text: str, title: str = 'Distribution of actions') -> Section:
    """Returns the distribution of actions as a table with bars; rare ones are summed up."""
    most = max((each.count for each in shares), default=1)
    rows = [
        (each.text, f'{each.count:,}', f'{each.percent:.1f} %', Bar(each.count / most))
        for each in shares[:_MOST_ACTIONS]
    ]
    rest = shares[_MOST_ACTIONS:]
    if rest:
        count, percent = sum(each.count for each in rest), sum(each.percent for each in rest)
        rows.append((f'{len(rest)} others', f'{count:,}', f'{percent:.1f} %', Bar(min(1.0, count / most))))
    return Section(title, [Block(text), Block(table=Table(('action', 'count', 'percent', ''), rows))])


def settings_section(saved: SavedModel) -> Section:
    """Returns all settings of a model, those that were chosen first."""
    origins = saved.config.origins
    rows = [(name, str(value), origins.get(name, '')) for name, value in saved.config.settings.to_flat().items()]
    chosen = [row for row in rows if row[2] not in ('', 'default')]
    header = ('setting', 'value', 'from')
    text = f'{len(chosen)} of {len(rows)} were chosen; the others have their defaults.'
    every = Block('All settings', table=Table(header, rows), is_closed=True)
    return Section('Settings', [Block(text, table=Table(header, chosen)), every])


def made_now(version: str, now: datetime) -> str:
    """Returns when and by what a report was made."""
    return f'Report of {now.strftime("%Y-%m-%d %H:%M")}, by ./cls report {version}.'

"""Sections about what a model of the brain `developmental` makes of some steps."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
import torch

from cls_common.robot import RobotInfo
from cls_learning.brains.developmental.inspection import views
from cls_learning.brains.developmental.inspection.attention import PREFIX
from cls_learning.brains.developmental.inspection.figures import image
from cls_learning.brains.developmental.inspection.measures import band, explained_variance
from cls_learning.brains.developmental.model import DevelopmentalModel, Steps

from ..exploration.sessions import action_text
from .page import Block, Figure, number, Section, Table

# Examples of each kind, and steps from which measures are taken.
EXAMPLES, MEASURED = 3, 24
_PICTURES = 5
_COUNTERFACTUAL = 'predictor/counterfactual'
# Measures by name: how they are called, and what they say.
_EFFECTS = {
    'predictor_explained_variance': ('R2 with the true action', '1 is perfect, 0 as good as a constant picture'),
    f'{_COUNTERFACTUAL}/r2_wrong': ('R2 with a wrong action', 'clearly below the line above if the action matters'),
    f'{_COUNTERFACTUAL}/r2_gap': ('R2 gap', 'difference of the two'),
    f'{_COUNTERFACTUAL}/asg': ('rise of the loss with actions of other steps', '0 if the model ignores actions'),
    f'{_COUNTERFACTUAL}/azg': ('rise of the loss with zero actions', '0 if the model ignores actions'),
    f'{_COUNTERFACTUAL}/changed': ('share of steps with another action so', '0: actions of other steps tell nothing'),
    'predictor/causal/without_film': ('rise of the loss without FiLM of the action', 'the route by scale and shift'),
    'predictor/causal/without_token': ('rise of the loss without its token', 'the route by attention'),
    'predictor/causal/without_action': ('rise of the loss without the action', 'all routes'),
    'predictor/action_sensitivity/variance': ('variance over all actions', 'of one predicted picture, a pixel'),
}
_ATTENTION = {
    'apa': ('APA', 'share of the last action'), 'uniform_baseline': ('baseline', 'APA if all tokens got the same'),
    'alf': ('ALF', 'share of the last picture'), 'ttar': ('TTAR', 'to all actions, by that to all pictures'),
    'ri16': ('RI@16', 'share of the last 16 tokens'),
    'history_recency': ('history recency', 'share of the last 16 tokens of the history, of that of all of it'),
    'attn_entropy': ('entropy', 'nats; 0 if one token gets all'),
}  # fmt: skip


def step_sections(model: DevelopmentalModel, robot: RobotInfo, steps: Steps, origin: str) -> list[Section]:
    """Returns the sections about reconstruction, prediction, attention and effects of actions.

    Args:
        steps: B windows of equal length, of which some are shown. origin: where they are from, in words.
    """
    order = _by_turns(steps)
    steps, shown = Steps(*(part[order] for part in steps)), range(min(EXAMPLES, len(order)))
    return [
        _reconstructions(model, steps, origin),
        _predictions(model, robot, [_row(steps, number) for number in shown], origin),
        _attention(model, _row(steps, 0)),
        _effects(model, steps),
    ]


def _row(steps: Steps, number: int) -> Steps:
    return Steps(steps.pictures[number : number + 1], steps.actions[number : number + 1])


def _by_turns(steps: Steps) -> list[int]:
    """Returns the numbers of all windows: of each action in turn, so that rare ones are not missing at the start."""
    groups: dict[tuple[float, ...], list[int]] = {}
    for each, action in enumerate(steps.actions[:, -1].tolist()):
        groups.setdefault(tuple(action), []).append(each)
    turns = zip_longest(*groups.values())
    return [each for turn in turns for each in turn if each is not None]


def _reconstructions(model: DevelopmentalModel, steps: Steps, origin: str) -> Section:
    blocks = [
        Block(f'Pictures of {origin}, coded and decoded with nothing hidden. From left to right: the picture, its '
              f'reconstruction, the difference. The loss is that of the recipe ({model.loss}).')
    ]  # fmt: skip
    figures = []
    for picture in np.unique(steps.pictures[:, -1].numpy(), axis=0)[:_PICTURES]:
        found = views.reconstruct(model, torch.from_numpy(picture))
        share = '' if np.isnan(found.share) else f', {found.share:.0%} of the error of its mean colour'
        figures.append(
            Figure.of(found.figure, f'loss {number(found.loss)}; squared error {number(found.squared_error)}{share}')
        )
    return Section('Reconstructions', [*blocks, Block(figures=figures, is_large=True)])


def _predictions(model: DevelopmentalModel, robot: RobotInfo, rows: Sequence[Steps], origin: str) -> Section:
    history = views.checked_history(model)
    section = Section('Predictions for every action')
    section.blocks.append(
        Block(f'Predicted from the last {history} picture{"s" if history > 1 else ""}, for every action that the robot '
              'could have taken. The action that was taken is framed; its prediction should look like the picture '
              f'after, and have the smallest squared error (MSE). The pictures are of {origin}.')
    )  # fmt: skip
    nearest = 0
    for row in rows:
        all_, before = views.sweep(model, row), row.pictures[0, -2]
        nearest += all_.is_nearest
        figures = [Figure.of(image(before), 'before')]
        for at, (action, picture, error) in enumerate(zip(all_.actions, all_.pictures, all_.errors)):
            text = action_text(robot, robot.to_units(action.numpy()))
            taken = '; taken' if at == all_.taken else ''
            best = '; smallest' if error == min(all_.errors) else ''
            caption = f'{text}{taken}: MSE {number(error)}{best}'
            figures.append(Figure.of(image(picture), caption, is_marked=at == all_.taken))
        figures.append(Figure.of(image(all_.actual), 'after'))
        text = action_text(robot, robot.to_units(all_.actions[all_.taken].numpy()))
        r2 = explained_variance(all_.pictures[all_.taken], all_.actual)
        copied = float((before - all_.actual).square().mean())
        text = f'Taken: {text}. R2 {number(r2)}. Copying the picture before has an MSE of {number(copied)}.'
        section.blocks.append(Block(text, figures))
    section.blocks.append(
        Block(f'The prediction for the action that was taken is the best in {nearest} of {len(rows)} examples.')
    )
    return section


def _attention(model: DevelopmentalModel, row: Steps) -> Section:
    section = Section('Attention')
    found = views.attend(model, row)
    if found is None:
        section.blocks.append(Block('The predictor of this model has no attention.'))
        return section
    rows = [(name, number(found.metrics[f'{PREFIX}/{key}_mean']), text) for key, (name, text) in _ATTENTION.items()]
    section.blocks += [
        Block('Attention shows what the predictor reads, not what has an effect: for that see the next section. '
              'One step, last layer with attention.'),
        Block(figures=[
            Figure.of(found.figure, 'The newest picture, and how much each part of it is read (bright: most).'),
            Figure.of(_scaled(found.heat_map), 'Heat map, first head: a row for each token that reads, a column for '
                      'each token that is read.'),
            Figure.of(_scaled(found.breakdown_chart), 'For each token that reads: share of the last action (orange, '
                      'below), of the last picture (violet), and of the rest (grey).'),
        ], is_large=True),
        Block(table=Table(('attention', 'mean', 'what it says'), rows)),
    ]  # fmt: skip
    return section


def _scaled(figure: np.ndarray) -> np.ndarray:
    """Returns a small figure with each pixel as a square."""
    factor = max(1, 400 // max(figure.shape[:2]))
    return figure.repeat(factor, 0).repeat(factor, 1)


def _effects(model: DevelopmentalModel, steps: Steps) -> Section:
    found = views.effects(model, Steps(*(part[:MEASURED] for part in steps)), np.random.default_rng(0))
    r2, gap = found['predictor_explained_variance'], found[f'{_COUNTERFACTUAL}/r2_gap']
    count = min(MEASURED, len(steps.actions))
    text = f'{count} steps, of each action in turn: {band(r2)} (R2 {number(r2)}). '
    text += f'With a wrong action R2 is {number(r2 - gap)}: '
    text += 'the action changes what is predicted.' if gap > 0.05 else 'predictions hardly depend on the action.'
    rows = [(name, number(found[key]), meaning) for key, (name, meaning) in _EFFECTS.items() if key in found]
    names = ('measure', 'value', 'what it says')
    return Section('Effect of the action', [Block(text), Block(table=Table(names, rows))])


def distribution(robot: RobotInfo, actions: torch.Tensor) -> list[tuple[float, ...]]:
    """Returns actions (B, A) in -1..1 in robot units, to be counted."""
    return [tuple(map(float, each)) for each in robot.to_units(actions.numpy())]

"""Goals in a corridor with bends, more than 20 steps away: planners at one and at two time scales on one model.

All of them have the model that was learned from random acting, and the distance of tokens from those of the goal's
picture; none has the map, a learned distance or a reward.
"""

from collections.abc import Callable
from dataclasses import dataclass
import time
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from cls_learning.brains.developmental.hierarchy.level_rule import LevelRule, rollout_errors, RolloutErrors
from cls_learning.brains.developmental.hierarchy.macro import ChunkEncoder, FarPredictor, TwoScales, TwoScaleTrainer
from cls_learning.brains.developmental.hierarchy.planner import FlatPlanner, HierarchicalPlanner, Planner
from cls_learning.brains.developmental.hierarchy.search import BreadthFirst, CrossEntropy, token_distance
from cls_learning.brains.developmental.networks.local import LocalAutoencoder, LocalPredictor
from cls_learning.randomness import stream
from cls_sim.worlds.corridor_map import CorridorMap, CorridorSettings, MOVES, Place

from .corridor_walk import as_input, CODES, PictureMemory, reduced, SIDE, Walker

# A token is 2 x 2 cells of the corridor.
PATCH, WIDTH, MACRO = 14, 32, 32
# Actions of a macro-action; stages of the far predictor.
SPAN, STAGES = 8, 4
# Actions after learning, to which the rule for the level is applied.
_HELD_OUT: Final = 600
# Spans of a window of the level rule.
_RULE_SPANS: Final = 4
# Macro-actions to choose from, and most of them ahead; breadth-first searches continue so many sets of tokens at once,
# the near and the far one. Chosen with seed 900, which no table reports: with 16 and 32 macro plans twice as long.
MACROS, DEPTH, BEAM, FAR_BEAM = 12, 8, 32, 12
# Sequences of SPAN actions that the cross-entropy method draws in each iteration.
SEQUENCES: Final = 16
_FAR_RATE: Final = 3e-3
_FIRST: Final = 100  # actions before the first update
Progress = Callable[[str], None]


def make_model() -> TwoScales:
    """Returns the untrained model, of weights from torch's own generator."""
    grid = (SIDE // PATCH, SIDE // PATCH)
    near = LocalPredictor(grid, WIDTH, len(MOVES), context=1, heads=0, members=1, joins_edges=False)
    far = FarPredictor(grid, WIDTH, MACRO, STAGES, joins_edges=False)
    autoencoder = LocalAutoencoder((SIDE, SIDE), PATCH, WIDTH, joins_edges=False)
    return TwoScales(autoencoder, near, far, ChunkEncoder(SPAN, len(MOVES), MACRO))


@dataclass(frozen=True)
class Budget:
    """How much is learned.

    Attributes:
        near, far: updates of each scale. actions: taken while the near scale learns.
        pairs: of start and goal. limit: actions of an episode.
    """

    near: int = 1000
    far: int = 3800
    actions: int = 6000
    pairs: int = 50
    limit: int = 100


def learn(walker: Walker, budget: Budget, draws: np.random.Generator, progress: Progress) -> TwoScales:
    """Acts and learns the near scale at the same time, then the far one from the same memory."""
    model, memory = make_model(), walker.memory
    trainer = TwoScaleTrainer(model)
    each = budget.actions // budget.near
    walker.act(budget.actions - each * budget.near + _FIRST)
    for number in range(budget.near):
        starts = draws.integers(0, len(memory) - 2, 16)
        trainer.update_near(memory.pictures(starts[:, None] + np.arange(3)), memory.actions(starts, 2))
        walker.act(each)
        if number % 100 == 0:
            progress(f'near scale: {number} of {budget.near}')
    ends, tokens = np.arange(0, SPAN + 1, SPAN // STAGES), memory.tokens(model)
    for number in range(budget.far):
        # Constant, then falling to nothing over the last third.
        trainer.set_far_rate(_FAR_RATE * min(1.0, 3 * (1 - number / budget.far)))
        starts = draws.integers(0, len(memory) - SPAN, 32)
        trainer.update_far(tokens[starts[:, None] + ends], memory.actions(starts, SPAN))
        if number % 100 == 0:
            progress(f'far scale: {number} of {budget.far}')
    return model


@torch.inference_mode()
def held_out(model: TwoScales, walker: Walker) -> RolloutErrors:
    """Returns the errors over windows of actions that are taken now."""
    first, span = len(walker.memory), _RULE_SPANS * SPAN
    walker.act(_HELD_OUT)
    starts = np.arange(first, len(walker.memory) - span, 3)
    memory = walker.memory
    return rollout_errors(model, memory.pictures(starts), memory.actions(starts, span), memory.pictures(starts + span))


@torch.inference_mode()
def tolerance(model: TwoScales, memory: PictureMemory) -> float:
    """Returns the token distance up to which two pictures count as one: a quarter of the median change by an action."""
    before = memory.changes()[-_HELD_OUT:]
    one, other = (model.encode(memory.pictures(steps)) for steps in (before, before + 1))
    return float(token_distance(one, other).median()) / 4


@torch.inference_mode()
def macro_actions(model: TwoScales, memory: PictureMemory, count: int, draws: np.random.Generator) -> Tensor:
    """Returns codes (count, MACRO) of chunks that were made, each as different as possible from those before it.

    They are chosen among chunks on whose way no picture came twice, where there are any: the others wait or turn back.
    """
    direct = memory.direct(SPAN)
    starts = draws.permutation(direct if len(direct) >= count else len(memory) - SPAN)[:2000]
    codes: Tensor = model.chunks(memory.actions(starts, SPAN))
    chosen, nearest = [0], torch.full((len(codes),), torch.inf)
    while len(chosen) < count:
        nearest = nearest.minimum((codes - codes[chosen[-1]]).square().sum(1))
        chosen.append(int(nearest.argmax()))
    return codes[chosen]


def planners(model: TwoScales, memory: PictureMemory, draws: np.random.Generator) -> dict[str, Planner]:
    """Returns the planners that are compared, by recipe.

    flat: sequences of SPAN actions by the cross-entropy method, before each action. macro: breadth first at both
    scales. flat_breadth: breadth first with the near predictor, as many actions ahead as the far scale of macro.
    """
    limit = tolerance(model, memory)
    macros = macro_actions(model, memory, MACROS, draws)

    def breadth(depth: int) -> Planner:
        return FlatPlanner(BreadthFirst(model.near_step, CODES, depth, BEAM, limit), limit)

    far = BreadthFirst(model.far_step, macros, DEPTH, FAR_BEAM, limit)
    return {
        'flat': FlatPlanner(CrossEntropy(model.near_step, CODES, SPAN, SEQUENCES, draws)),
        'macro': HierarchicalPlanner(far, breadth(SPAN), SPAN, limit),
        'flat_breadth': breadth(SPAN * DEPTH),
    }


@torch.inference_mode()
def episode(
    planner: Planner, model: TwoScales, corridor: CorridorMap, pair: tuple[Place, Place], limit: int
) -> dict[str, float]:
    """Acts from a start until its goal is reached, or `limit` actions are taken.

    Returns:
        reached, 0 or 1; actions; evaluations of near and far predictor; seconds of the processor, of planning alone.
    """
    place, goal = pair
    goal_tokens = _tokens(model, corridor, goal)
    sums = {'reached': 0.0, 'actions': 0.0, 'near': 0.0, 'far': 0.0, 'seconds': 0.0}
    planner.reset()
    while sums['actions'] < limit and not sums['reached']:
        tokens = _tokens(model, corridor, place)
        began = time.thread_time()
        plan = planner.plan(tokens, goal_tokens)
        sums['seconds'] += time.thread_time() - began
        place = corridor.advance(place, plan.action)
        sums['actions'] += 1
        sums['near'] += plan.near
        sums['far'] += plan.far
        sums['reached'] = float(place == goal)
    return sums


def _tokens(model: TwoScales, corridor: CorridorMap, place: Place) -> Tensor:
    return model.encode(as_input(reduced(corridor.render(place)))[None])[0]


def run(seed: int, budget: Budget | None = None, progress: Progress = lambda _: None) -> list[dict[str, Any]]:
    """Learns in the corridor and returns a row of metrics for each planner.

    Returns:
        world, recipe, seed; reached, share of the pairs; distance, mean of the shortest paths; actions, mean of the
        episodes that reached the goal (NaN: none did); planning_ms, of the processor for each action; evaluations of
        both predictors for each action; level by the rule and the errors that it had, in shares of the error of
        copying; seconds of the processor, of learning.
    """
    budget, began = budget or Budget(), time.thread_time()
    corridor = CorridorMap(CorridorSettings())
    draws = stream(seed, 'bench.corridor', 0)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        walker = Walker(corridor, draws, corridor.places[draws.integers(len(corridor.places))])
        model = learn(walker, budget, draws, progress)
    seconds = time.thread_time() - began
    errors = held_out(model, walker)
    same = {
        'world': 'corridor', 'seed': seed, 'seconds': seconds, 'level': LevelRule().update(errors),
        'far_error': errors.far / errors.copy, 'near_error': errors.near / errors.copy,
    }  # fmt: skip
    pairs = [corridor.draw_pair(stream(seed, 'bench.corridor.pairs', k)) for k in range(budget.pairs)]
    rows = []
    for recipe, planner in planners(model, walker.memory, draws).items():
        done = []
        for number, pair in enumerate(pairs):
            done.append(episode(planner, model, corridor, pair, budget.limit))
            if number % 10 == 0:
                progress(f'{recipe}: {number} of {budget.pairs}')
        rows.append({**same, 'recipe': recipe, **_metrics(done, [corridor.distance(*pair) for pair in pairs])})
    return rows


def _metrics(done: list[dict[str, float]], distances: list[int]) -> dict[str, float]:
    actions = sum(each['actions'] for each in done)
    taken = [each['actions'] for each in done if each['reached']]
    return {
        'pairs': len(done),
        'reached': float(np.mean([each['reached'] for each in done])),
        'distance': float(np.mean(distances)),
        'actions': float(np.mean(taken)) if taken else float('nan'),
        'planning_ms': 1e3 * sum(each['seconds'] for each in done) / actions,
        'evaluations': sum(each['near'] + each['far'] for each in done) / actions,
    }

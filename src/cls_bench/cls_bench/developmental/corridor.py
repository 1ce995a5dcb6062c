"""Goals in a corridor with bends, more than 20 steps away: planners at one and at two time scales on one model.

All of them have the model that was learned from random acting, and the distance of tokens from those of the goal's
picture; none has the map, a learned distance or a reward.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
import time
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from cls_learning.brains.developmental.hierarchy.level_rule import LevelRule, rollout_errors, RolloutErrors
from cls_learning.brains.developmental.hierarchy.macro import ChunkEncoder, FarPredictor, TwoScales, TwoScaleTrainer
from cls_learning.brains.developmental.hierarchy.planner import FlatPlanner, HierarchicalPlanner, Planner
from cls_learning.brains.developmental.hierarchy.search import BreadthFirst, CrossEntropy, Search, token_distance
from cls_learning.brains.developmental.networks.local import LocalAutoencoder, LocalPredictor
from cls_learning.randomness import stream
from cls_sim.noise import Image
from cls_sim.worlds.corridor_map import CorridorMap, CorridorSettings, MOVES, Place

# Pictures of the camera are reduced to half their side by area; a token is 2 x 2 cells of the corridor.
SIDE, PATCH, WIDTH, MACRO = 112, 14, 32, 32
# Actions of a macro-action; stages of the far predictor.
SPAN, STAGES = 8, 4
# Random acting: actions, those held out at its end, and mean length of a run of one action.
ACTIONS, HELD_OUT, RUN_LENGTH = 6000, 600, 6
# Spans of a window of the level rule.
_RULE_SPANS: Final = 4
# Macro-actions to choose from, and most of them ahead; breadth-first searches continue so many sets of tokens at once.
MACROS, DEPTH, BEAM = 16, 5, 32
# Sequences of SPAN actions that the cross-entropy method draws in each iteration.
SEQUENCES: Final = 32
PAIRS, LIMIT = 50, 100  # of start and goal; most actions of an episode, as in the corridor's own episodes
_FIRST: Final = 100  # actions before the first update
Progress = Callable[[str], None]


class PictureMemory:
    """Pictures in the order in which they came, equal ones stored once, and the action after each."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._pictures: list[Image] = []
        self._order: list[int] = []
        self._actions: list[int] = []

    def __len__(self) -> int:
        return len(self._order)

    def add(self, picture: Image, action: int) -> None:
        """Adds a picture (H, W, 3) and the action that followed."""
        number = self._numbers.setdefault(picture.tobytes(), len(self._pictures))
        if number == len(self._pictures):
            self._pictures.append(picture)
        self._order.append(number)
        self._actions.append(action)

    def was_blocked(self) -> bool:
        """Returns whether the last action changed nothing."""
        return len(self._order) > 1 and self._order[-1] == self._order[-2]

    def pictures(self, at: NDArray[np.int64]) -> Tensor:
        """Returns pictures, float32 (..., 3, H, W) in 0..1, of steps (...)."""
        numbers = np.asarray(self._order)[at]
        found = torch.from_numpy(np.stack([self._pictures[k] for k in numbers.flat]))
        return (found.permute(0, 3, 1, 2).float() / 255).unflatten(0, at.shape)

    @torch.no_grad()
    def tokens(self, model: TwoScales) -> Tensor:
        """Returns the tokens (T, N, D) of all pictures, each encoded once."""
        distinct = torch.from_numpy(np.stack(self._pictures)).permute(0, 3, 1, 2).float() / 255
        return model.encode(distinct)[self._order]

    def actions(self, starts: NDArray[np.int64], count: int) -> Tensor:
        """Returns the codes of `count` actions from each of some steps, float32 (B, count, A)."""
        return CODES[np.asarray(self._actions)[starts[:, None] + np.arange(count)]]

    def changes(self) -> NDArray[np.int64]:
        """Returns the steps whose action changed the picture."""
        return np.flatnonzero(np.diff(self._order))


# An action as the predictors have it: -1, and 1 at its number.
CODES: Final = 2 * torch.eye(len(MOVES)) - 1


@dataclass
class Walker:
    """Acts at random: each action for a random number of times, or until it changes nothing."""

    corridor: CorridorMap
    draws: np.random.Generator
    place: Place
    memory: PictureMemory = field(default_factory=PictureMemory)
    _action: int = 0

    def act(self, count: int) -> None:
        """Takes some actions."""
        for _ in range(count):
            if self.memory.was_blocked() or self.draws.random() < 1 / RUN_LENGTH:
                self._action = int(self.draws.integers(len(MOVES)))
            self.memory.add(reduced(self.corridor.render(self.place)), self._action)
            self.place = self.corridor.advance(self.place, self._action)


def reduced(picture: Image) -> Image:
    """Returns a picture with a side of SIDE pixels, by area."""
    return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


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
    """

    near: int = 900
    far: int = 2500
    actions: int = ACTIONS


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
        starts = draws.integers(0, len(memory) - SPAN, 32)
        trainer.update_far(tokens[starts[:, None] + ends], memory.actions(starts, SPAN))
        if number % 100 == 0:
            progress(f'far scale: {number} of {budget.far}')
    return model


@torch.inference_mode()
def held_out(model: TwoScales, walker: Walker) -> RolloutErrors:
    """Returns the errors over windows of actions that are taken now."""
    first, span = len(walker.memory), _RULE_SPANS * SPAN
    walker.act(HELD_OUT)
    starts = np.arange(first, len(walker.memory) - span, 3)
    memory = walker.memory
    return rollout_errors(model, memory.pictures(starts), memory.actions(starts, span), memory.pictures(starts + span))


@torch.inference_mode()
def tolerance(model: TwoScales, memory: PictureMemory) -> float:
    """Returns the token distance up to which two pictures count as one: half the median change by one action."""
    before = memory.changes()[-HELD_OUT:]
    return (
        float(token_distance(model.encode(memory.pictures(before)), model.encode(memory.pictures(before + 1))).median())
        / 2
    )


@torch.inference_mode()
def macro_actions(model: TwoScales, memory: PictureMemory, count: int, draws: np.random.Generator) -> Tensor:
    """Returns codes (count, MACRO) of chunks that were made, each as different as possible from those before it."""
    starts = draws.permutation(len(memory) - SPAN)[:2000]
    codes = model.chunks(memory.actions(starts, SPAN))
    chosen, nearest = [0], torch.full((len(codes),), torch.inf)
    while len(chosen) < count:
        nearest = nearest.minimum((codes - codes[chosen[-1]]).square().sum(1))
        chosen.append(int(nearest.argmax()))
    return codes[chosen]


def planners(model: TwoScales, memory: PictureMemory, draws: np.random.Generator) -> dict[str, Planner]:
    """Returns the planners that are compared, by recipe.

    flat: sequences of SPAN actions by the cross-entropy method, before each action. flat_far: as many evaluations, of
    sequences as long as the far scale looks. flat_breadth: breadth first, as far, for likes with macro. macro: breadth
    first at both scales.
    """
    limit = tolerance(model, memory)
    macros = macro_actions(model, memory, MACROS, draws)

    def sampled(depth: int) -> Search:
        return CrossEntropy(model.near_step, CODES, depth, SEQUENCES * SPAN // depth, draws)

    def breadth(depth: int) -> Planner:
        return FlatPlanner(BreadthFirst(model.near_step, CODES, depth, BEAM, limit), limit)

    far = BreadthFirst(model.far_step, macros, DEPTH, BEAM, limit)
    return {
        'flat': FlatPlanner(sampled(SPAN)),
        'flat_far': FlatPlanner(sampled(SPAN * DEPTH)),
        'flat_breadth': breadth(SPAN * DEPTH),
        'macro': HierarchicalPlanner(far, breadth(SPAN), SPAN, limit),
    }


@torch.inference_mode()
def episode(planner: Planner, model: TwoScales, corridor: CorridorMap, pair: tuple[Place, Place]) -> dict[str, float]:
    """Acts from a start until its goal is reached, or LIMIT actions are taken.

    Returns:
        reached, 0 or 1; actions; evaluations of near and far predictor; seconds of the processor, of planning alone.
    """
    place, goal = pair
    goal_tokens = model.encode(_pictures(corridor, goal))[0]
    sums = {'reached': 0.0, 'actions': 0.0, 'near': 0.0, 'far': 0.0, 'seconds': 0.0}
    planner.reset()
    while sums['actions'] < LIMIT and not sums['reached']:
        picture = _pictures(corridor, place)
        began = time.thread_time()
        plan = planner.plan(model.encode(picture)[0], goal_tokens)
        sums['seconds'] += time.thread_time() - began
        place = corridor.advance(place, plan.action)
        sums['actions'] += 1
        sums['near'] += plan.near
        sums['far'] += plan.far
        sums['reached'] = float(place == goal)
    return sums


def _pictures(corridor: CorridorMap, place: Place) -> Tensor:
    return torch.from_numpy(reduced(corridor.render(place))).permute(2, 0, 1)[None].float() / 255


def run(seed: int, budget: Budget | None = None, progress: Progress = lambda _: None) -> list[dict[str, Any]]:
    """Learns in the corridor and returns a row of metrics for each planner.

    Returns:
        world, recipe, seed; reached, share of PAIRS; distance, mean of the shortest paths; actions, mean of the
        episodes that reached the goal (NaN: none did); planning_ms, of the processor for each action; evaluations of
        both predictors for each action; level by the rule and the errors that it had, in shares of the error of
        copying; seconds of the processor, of learning.
    """
    began = time.thread_time()
    corridor = CorridorMap(CorridorSettings())
    draws = stream(seed, 'bench.corridor', 0)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        walker = Walker(corridor, draws, corridor.places[draws.integers(len(corridor.places))])
        model = learn(walker, budget or Budget(), draws, progress)
    seconds = time.thread_time() - began
    errors = held_out(model, walker)
    same = {
        'world': 'corridor', 'seed': seed, 'seconds': seconds, 'level': LevelRule().update(errors),
        'far_error': errors.far / errors.copy, 'near_error': errors.near / errors.copy,
    }  # fmt: skip
    pairs = [corridor.draw_pair(stream(seed, 'bench.corridor.pairs', k)) for k in range(PAIRS)]
    rows = []
    for recipe, planner in planners(model, walker.memory, draws).items():
        done = []
        for number, pair in enumerate(pairs):
            done.append(episode(planner, model, corridor, pair))
            if number % 10 == 0:
                progress(f'{recipe}: {number} of {PAIRS}')
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

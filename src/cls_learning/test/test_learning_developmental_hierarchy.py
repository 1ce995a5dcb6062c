"""Two time scales of the brain developmental: training, searches, planners, and the rules for the level."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from cls_learning.brains.developmental.hierarchy.level_rule import (
    LevelRule,
    ReferenceLevelRule,
    rollout_errors,
    RolloutErrors,
)
from cls_learning.brains.developmental.hierarchy.macro import ChunkEncoder, FarPredictor, TwoScales, TwoScaleTrainer
from cls_learning.brains.developmental.hierarchy.planner import FlatPlanner, HierarchicalPlanner, Planner
from cls_learning.brains.developmental.hierarchy.search import BreadthFirst, CrossEntropy, token_distance
from cls_learning.brains.developmental.networks.local import LocalAutoencoder, LocalPredictor

SPAN, LENGTH = 4, 24


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# A known world: a path of LENGTH places. The tokens of a place are one-hot: no distance says which way is nearer.
PLACES = torch.eye(LENGTH)[:, :, None]
ACTIONS = torch.tensor([[0.0], [-1.0], [1.0]])  # stay, back, on
MACROS = torch.tensor([[0.0], [-4.0], [4.0], [2.0]])


def known(tokens: Tensor, moves: Tensor) -> Tensor:
    place = tokens[:, :, 0].argmax(1) + moves[:, 0].long()
    return PLACES[place.clamp(0, LENGTH - 1)]


def walk(planner: Planner, start: int, goal: int, actions: int = 40) -> tuple[int, int, int]:
    """Returns the actions taken until the goal (0: not reached), and the evaluations of both predictors."""
    place, near, far = start, 0, 0
    planner.reset()
    for taken in range(1, actions + 1):
        plan = planner.plan(PLACES[place], PLACES[goal])
        near, far = near + plan.near, far + plan.far
        place = min(max(place + int(ACTIONS[plan.action, 0]), 0), LENGTH - 1)
        if place == goal:
            return taken, near, far
    return 0, near, far


def breadth(moves: Tensor, depth: int, beam: int = 8) -> BreadthFirst:
    return BreadthFirst(known, moves, depth, beam, tolerance=1e-6)


def hierarchical(depth: int = 8) -> HierarchicalPlanner:
    return HierarchicalPlanner(breadth(MACROS, depth), FlatPlanner(breadth(ACTIONS, SPAN), 1e-6), SPAN, 1e-6)


def test_breadth_first_finds_the_shortest_path_and_counts_evaluations():
    found = breadth(ACTIONS, 8)(PLACES[5], PLACES[8])
    assert found.moves == (2, 2, 2) and found.distance == 0
    assert [int(tokens.argmax()) for tokens in found.tokens] == [6, 7, 8]
    # Of three moves two lead to new places, at each depth.
    assert found.evaluations == 3 + 6 + 6


def test_breadth_first_ends_where_nothing_is_new():
    found = breadth(ACTIONS[:1], 8)(PLACES[5], PLACES[8])
    assert (found.moves, found.evaluations) == ((0,), 1)
    assert found.distance == pytest.approx(float(token_distance(PLACES[5:6], PLACES[8])))
    assert len(breadth(ACTIONS, 100)(PLACES[5], torch.zeros(LENGTH, 1)).moves) < LENGTH


def test_a_beam_limits_the_evaluations_of_a_search():
    wide, narrow = (breadth(ACTIONS, 6, beam)(PLACES[12], PLACES[0]).evaluations for beam in (8, 1))
    assert (wide, narrow) == (3 + 5 * 6, 3 * 6)


def test_the_cross_entropy_method_finds_a_near_goal_and_repeats_by_its_generator():
    searches = [CrossEntropy(known, ACTIONS, 5, 64, rng(3)) for _ in range(2)]
    found, again = (search(PLACES[5], PLACES[7]) for search in searches)
    assert found.distance == 0 and found.moves == again.moves and found.evaluations == 2 * 64 * 5
    assert int(found.tokens[-1].argmax()) == 7 and len(found.tokens) == len(found.moves)


def test_two_scales_reach_what_the_same_search_at_one_scale_does_not():
    assert walk(FlatPlanner(breadth(ACTIONS, SPAN)), 1, 22)[0] == 0
    taken, near, far = walk(hierarchical(), 1, 22)
    assert 21 <= taken <= 25 and near > 0 and far > 0
    assert 19 <= walk(hierarchical(), 22, 3)[0] <= 23


def test_a_path_is_followed_as_long_as_pictures_are_as_predicted():
    always, lazy = (walk(FlatPlanner(breadth(ACTIONS, 8), limit), 3, 10) for limit in (-1.0, 1e-6))
    assert always[0] == lazy[0] == 7 and lazy[1] < always[1] / 3
    planner = FlatPlanner(breadth(ACTIONS, 8), 1e-6)
    assert planner.plan(PLACES[3], PLACES[10]).near > 0
    assert planner.plan(PLACES[4], PLACES[10]).near == 0
    assert planner.plan(PLACES[12], PLACES[10]) == (1, planner.plan(PLACES[12], PLACES[10]).near, 0)


def test_level_two_appears_by_a_margin_and_goes_without_an_advantage():
    rule = LevelRule(margin=0.1)
    assert rule.level == 1
    assert rule.update(RolloutErrors(far=0.95, near=1.0, copy=2.0)) == 1
    assert rule.update(RolloutErrors(far=0.89, near=2.0, copy=1.0)) == 2
    assert rule.update(RolloutErrors(far=0.95, near=1.0, copy=2.0)) == 2
    assert rule.update(RolloutErrors(far=1.0, near=1.0, copy=2.0)) == 1
    assert rule.update(RolloutErrors(far=math.nan, near=1.0, copy=2.0)) == 1
    rule.update(RolloutErrors(far=0.1, near=1.0, copy=1.0))
    assert rule.update(RolloutErrors(far=math.nan, near=1.0, copy=2.0)) == 1


def test_the_rule_of_the_original_counts_five_actions_of_lookahead_a_level():
    rule = ReferenceLevelRule(levels=2)
    assert (rule.lookahead, rule.level) == (1, 0)
    assert [rule.update(0.5) for _ in range(12)] == [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2]
    assert rule.lookahead == 10
    assert [rule.update(error) for error in (0.51, math.nan, 0.1)] == [1, 1, 1]
    for _ in range(20):
        rule.update(0.6)
    assert (rule.lookahead, rule.level) == (1, 0)
    assert ReferenceLevelRule(levels=0).update(0.0) == 0


# A bar of one column that moves to the left and right on a picture of 16 x 32, and stops at its edges.
SIDES, GRID, PATCH, WIDTH = (16, 32), (4, 8), 4, 16


def scales() -> TwoScales:
    near = LocalPredictor(GRID, WIDTH, 1, context=1, layers=1, heads=0, members=1, joins_edges=False)
    far = FarPredictor(GRID, WIDTH, 8, stages=2, joins_edges=False)
    autoencoder = LocalAutoencoder(SIDES, PATCH, WIDTH, joins_edges=False)
    return TwoScales(autoencoder, near, far, ChunkEncoder(SPAN, 1, 8))


def windows(count: int, draws: np.random.Generator, steps: int = SPAN) -> tuple[Tensor, Tensor]:
    """Returns pictures (B, steps + 1, 3, H, W) and actions (B, steps, 1)."""
    actions = torch.from_numpy(draws.choice([-1.0, 1.0], (count, steps, 1))).float()
    columns = [torch.from_numpy(draws.integers(0, 8, count))]
    for action in actions.unbind(1):
        columns.append((columns[-1] + action[:, 0].long()).clamp(0, 7))
    bars = torch.eye(8)[torch.stack(columns, 1)].repeat_interleave(4, -1)
    return bars[:, :, None, None].expand(-1, -1, 3, SIDES[0], -1), actions


def test_both_scales_learn_and_the_far_one_changes_nothing_of_the_near_one():
    model, draws = scales(), rng()
    trainer = TwoScaleTrainer(model)
    for _ in range(200):
        pictures, actions = windows(16, draws)
        trainer.update_near(pictures[:, :3], actions[:, :2])
    held = windows(64, rng(1))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    unlearned = rollout_errors(model, held[0][:, 0], held[1], held[0][:, -1])
    for _ in range(150):
        pictures, actions = windows(32, draws)
        tokens = model.encode(pictures[:, ::2].flatten(0, 1)).unflatten(0, (32, 3)).detach()
        trainer.update_far(tokens, actions)
    errors = rollout_errors(model, held[0][:, 0], held[1], held[0][:, -1])
    assert errors.near == unlearned.near < 0.3 * errors.copy
    assert errors.far < 0.3 * min(errors.copy, unlearned.far)
    changed = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed and all(name.startswith(('far.', 'chunks.')) for name in changed)


def test_a_macro_action_depends_on_the_order_of_its_actions():
    pictures, _ = windows(2, rng())
    model = scales()
    chunk = torch.tensor([[[1.0], [1.0], [-1.0], [-1.0]]])
    codes = model.chunks(torch.cat([chunk, chunk.flip(1)]))
    assert codes.shape == (2, 8) and bool((codes.abs() <= 1).all())
    assert not torch.allclose(codes[0], codes[1])
    tokens = model.encode(pictures[:1, 0])
    one, both = model.far_rollout(tokens, chunk), model.far_rollout(tokens, torch.cat([chunk, chunk], 1))
    assert one.shape == tokens.shape
    torch.testing.assert_close(both, model.far_step(one, codes[:1]))

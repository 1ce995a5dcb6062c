"""Planners in the corridor: the memory of random acting, and the rows of a run."""

import numpy as np

from cls_bench.developmental.corridor import Budget, run
from cls_bench.developmental.corridor_walk import as_input, CODES, PictureMemory, reduced, SIDE, Walker
from cls_sim.worlds.corridor_map import CorridorMap, CorridorSettings, MOVES


def walker(seed: int, actions: int) -> Walker:
    corridor = CorridorMap(CorridorSettings())
    found = Walker(corridor, np.random.default_rng(seed), corridor.places[0])
    found.act(actions)
    return found


def test_random_acting_is_a_function_of_its_seed_and_moves_along_the_corridor():
    starts = np.arange(200)
    one, again, other = (walker(seed, 201).memory for seed in (1, 1, 2))
    assert (one.actions(starts, 1) == again.actions(starts, 1)).all()
    assert not (one.actions(starts, 1) == other.actions(starts, 1)).all()
    assert len(one.changes()) > 100


def test_the_memory_gives_the_pictures_and_actions_as_they_came():
    corridor, memory = CorridorMap(CorridorSettings()), PictureMemory()
    places = [corridor.places[k] for k in (0, 1, 1, 0)]
    for action, place in enumerate(places):
        memory.add(reduced(corridor.render(place)), action)
    assert len(memory) == 4 and memory.changes().tolist() == [0, 2] and not memory.was_blocked()
    assert memory.direct(1).tolist() == [0, 2] and memory.direct(2).tolist() == []
    pictures = memory.pictures(np.array([[0, 3], [1, 2]]))
    assert pictures.shape == (2, 2, 3, SIDE, SIDE)
    assert (pictures[0, 0] == pictures[0, 1]).all() and (pictures[1, 0] == pictures[1, 1]).all()
    assert (pictures[1, 0] == as_input(reduced(corridor.render(places[1])))).all()
    assert memory.actions(np.array([1]), 2).argmax(-1).tolist() == [[1, 2]] and CODES.shape == (len(MOVES),) * 2


def test_a_run_has_a_row_for_each_planner():
    rows = run(0, Budget(near=2, far=2, actions=300, pairs=1, limit=2))
    assert [row['recipe'] for row in rows] == ['flat', 'macro', 'flat_breadth']
    for row in rows:
        assert row['world'] == 'corridor' and row['reached'] == 0.0 and row['distance'] >= 20
        assert row['level'] == 1 and row['planning_ms'] > 0 and row['evaluations'] > 0 and row['seconds'] > 0
        assert np.isnan(row['actions'])

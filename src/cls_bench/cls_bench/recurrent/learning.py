"""Learning of the memory chain online: batch 1, no replay, no tape."""

import math
import time
from typing import Any, Final

import numpy as np
from torch import nn

from cls_learning.learners.adam import Adam
from cls_learning.learners.optimisation import step
from cls_learning.randomness import stream
from cls_learning.rtrl import rewire

from .agents import AGENTS, make_cell
from .memory_chain import episode

# Episodes of which the accuracy counts, the last ones.
JUDGED: Final = 100
# Share of weights that are pruned. With 0.8 the event GRU does not learn 32 steps in 300 episodes.
SPARSITY: Final = 0.5
_LEARNING_RATE, _GRADIENT_NORM = 1e-2, 1.0
# SET: share of weights that are replaced, and after how many episodes.
_REWIRED, _REWIRE_INTERVAL = 0.2, 50
SIGNALS: Final = {'end': 'the error of the answer alone', 'every': 'an error at every step, with an update after each'}


def learn(name: str, length: int, seed: int, *, signal: str, episodes: int, units: int) -> dict[str, Any]:
    """Learns and returns its metrics.

    Args:
        name: of AGENTS. length: of episodes. signal: of SIGNALS.

    Returns:
        accuracy in the last JUDGED episodes; silent, zeros: shares of outputs and of entries of the influence that are
        0 in the last episode; refused: gradients that were not finite; processor seconds.
    """
    agent, began = AGENTS[name], time.process_time()
    cell = make_cell(agent, units, seed, sparsity=SPARSITY, span=length)
    learner, readout = agent.learner(cell, seed), nn.Linear(cell.output_size, 1)
    nn.init.zeros_(readout.weight)
    nn.init.zeros_(readout.bias)
    optimizer = Adam([*cell.parameters(), *readout.parameters()], _LEARNING_RATE)
    correct, refused, silent, zeros = [], 0, 0.0, 0.0
    for number in range(episodes):
        x, target = episode(length, seed, number)
        state = learner.initial(1)
        for t in range(length):
            state, output = learner.step(state, x[t])
            if number == episodes - 1:
                silent += float((output == 0).float().mean()) / length
                zeros += float((state['influence'] == 0).float().mean()) / length
            if t < length - 1 and signal == 'end':
                continue
            answer = readout(output)
            loss = nn.functional.binary_cross_entropy_with_logits(answer, target)
            refused += math.isnan(step(optimizer, loss, _GRADIENT_NORM))
        correct.append(float((answer > 0) == (target > 0.5)))
        if agent.pruning == 'set' and (number + 1) % _REWIRE_INTERVAL == 0:
            rewire(cell, _REWIRED, stream(seed, 'bench.rewire', number))
            learner.take_masks(state)
    return {
        'accuracy': float(np.mean(correct[-JUDGED:])), 'silent': silent, 'zeros': zeros, 'refused': refused,
        'seconds': time.process_time() - began,
    }  # fmt: skip

"""Searches for a path of moves to a goal, over predicted tokens: breadth first, or by the cross-entropy method.

Nothing but tokens of pictures enters. A move is an action for the near predictor, a macro-action for the far one.

Shapes: B batch, N tokens of width D; K moves of length M.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn, Tensor

# (tokens (B, N, D), moves (B, M)) -> tokens (B, N, D).
StepModel = Callable[[Tensor, Tensor], Tensor]


class Found(NamedTuple):
    """The path of a search whose end is nearest the goal.

    Attributes:
        moves: numbers of the moves, at least one. tokens: float32 (T, N, D), after each of them.
        distance: from the end of the path to the goal. evaluations: of the model.
    """

    moves: tuple[int, ...]
    tokens: Tensor
    distance: float
    evaluations: int


# (start (N, D), goal (N, D)) -> Found.
Search = Callable[[Tensor, Tensor], Found]


def token_distance(tokens: Tensor, goal: Tensor) -> Tensor:
    """Returns the mean squared difference (B,) of tokens (B, N, D) from those of the goal (N, D)."""
    return (tokens - goal).square().mean((-2, -1))


class _Path(NamedTuple):
    moves: tuple[int, ...]
    tokens: tuple[Tensor, ...]

    def longer(self, move: int, tokens: Tensor) -> '_Path':
        return _Path((*self.moves, move), (*self.tokens, tokens))


class BreadthFirst:
    """Continues every set of tokens by every move; those that equal others found before are dropped.

    It is exact as long as predictions are, and needs no luck; its cost grows with the number of different pictures.

    Args:
        moves: float32 (K, M). depth: most moves ahead, >= 1. beam: most sets that are continued at each depth, those
            nearest the goal. tolerance: token distance up to which two sets are one, and the goal is reached.
    """

    def __init__(self, model: StepModel, moves: Tensor, depth: int, beam: int, tolerance: float) -> None:
        self._model, self._moves, self._depth, self._beam, self._tolerance = model, moves, depth, beam, tolerance

    @torch.inference_mode()
    def __call__(self, start: Tensor, goal: Tensor) -> Found:
        """Returns the path to the tokens nearest the goal, the shortest of equal ones; both float32 (N, D)."""
        seen, beam, count = start[None], [_Path((), (start,))], len(self._moves)
        best: tuple[float, _Path] | None = None
        evaluations = 0
        for _ in range(self._depth):
            before = torch.stack([path.tokens[-1] for path in beam]).repeat_interleave(count, 0)
            after = self._model(before, self._moves.repeat(len(beam), 1))
            evaluations += len(after)
            distances = token_distance(after, goal)
            kept = self._new(after, distances, seen)
            if not kept:
                break
            seen = torch.cat([seen, after[kept]])
            beam = [beam[k // count].longer(k % count, after[k]) for k in kept]
            nearest = float(distances[kept[0]])
            if best is None or nearest < best[0]:
                best = nearest, beam[0]
            if nearest <= self._tolerance:
                break
        if best is None:
            # Every move leads back to the start: the first is as good as any.
            return Found((0,), after[:1], float(distances[0]), evaluations)
        return Found(best[1].moves, torch.stack(best[1].tokens[1:]), best[0], evaluations)

    def _new(self, after: Tensor, distances: Tensor, seen: Tensor) -> list[int]:
        """Returns which of `after` equal neither `seen` nor each other, nearest the goal first, at most a beam."""
        flat, old, limit = after.flatten(1), seen.flatten(1), self._tolerance * after[0].numel()
        is_taken = (torch.cdist(flat, old).square() <= limit).any(1).numpy()
        is_equal = (torch.cdist(flat, flat).square() <= limit).numpy()
        kept: list[int] = []
        for k in distances.argsort(stable=True).tolist():
            if not is_taken[k]:
                kept.append(k)
                is_taken |= is_equal[k]
            if len(kept) == self._beam:
                break
        return kept


class CrossEntropy:
    """Draws sequences of moves and predicts each, twice: the second time as the best of the first were (CEM).

    A sequence is as good as the picture on its way that is nearest the goal. Rubinstein 1999; with discrete moves.

    Args:
        moves: float32 (K, M). depth: moves of a sequence. sequences: drawn in each of the iterations.
    """

    ITERATIONS, ELITES, SMOOTHING = 2, 0.1, 0.1

    def __init__(
        self, model: StepModel, moves: Tensor, depth: int, sequences: int, generator: np.random.Generator
    ) -> None:
        self._model, self._moves, self._depth, self._sequences = model, moves, depth, sequences
        self._generator = torch.Generator().manual_seed(int(generator.integers(2**31)))

    @torch.inference_mode()
    def __call__(self, start: Tensor, goal: Tensor) -> Found:
        """Returns the best sequence of the last iteration, up to where it is nearest the goal."""
        count, depth, sequences = len(self._moves), self._depth, self._sequences
        shares = torch.full((depth, count), 1 / count)
        for _ in range(self.ITERATIONS):
            drawn = torch.multinomial(shares, sequences, replacement=True, generator=self._generator).T
            tokens, found = start.expand(sequences, -1, -1), []
            for k in range(depth):
                tokens = self._model(tokens, self._moves[drawn[:, k]])
                found.append(tokens)
            distances = torch.stack([token_distance(each, goal) for each in found], 1)
            nearest, at = distances.min(1)
            elites = drawn[nearest.argsort(stable=True)[: max(1, round(self.ELITES * sequences))]]
            often = nn.functional.one_hot(elites, count).float().mean(0)
            shares = (1 - self.SMOOTHING) * often + self.SMOOTHING / count
        best = int(nearest.argmin())
        end = int(at[best]) + 1
        path = torch.stack([each[best] for each in found[:end]])
        evaluations = self.ITERATIONS * sequences * depth
        return Found(tuple(drawn[best, :end].tolist()), path, float(nearest[best]), evaluations)

"""What the queries of a predictor with attention read.

Shapes: B batch, S tokens that are read, Q queries of the future. Attention is (B, heads, S, S) where the queries are
tokens of the same sequence, and (B, heads, Q, S) where they only read; from a row to its columns.

Attention shows what is read, not what has an effect: see `counterfactual.causal_check` for that.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from ..networks.transformer import ACTION, FRAME, FUTURE

PREFIX = 'predictor/attn'
# Tokens that the two measures of recency count.
RECENT = 16
SMALLEST = 1e-8


@dataclass(frozen=True)
class Places:
    """Where the tokens of each type stand in a sequence, also if its oldest tokens were cut off.

    Attributes:
        frames, actions, queries, history: bool (S,); history is every token but the queries.
        last_action: index of the last action, None without one.
        last_frame: bool (S,), the frame tokens in a row directly before the last action; none without one.
    """

    frames: Tensor
    actions: Tensor
    queries: Tensor
    history: Tensor
    last_action: int | None
    last_frame: Tensor

    @classmethod
    def of(cls, types: Tensor) -> 'Places':
        """Finds them by the types of the tokens, int64 (S,)."""
        frames, actions, queries = types == FRAME, types == ACTION, types == FUTURE
        last_frame = torch.zeros_like(frames)
        last_action = int(actions.nonzero()[-1]) if actions.any() else None
        if last_action is not None:
            others = (~frames[:last_action]).nonzero()
            last_frame[int(others[-1]) + 1 if len(others) else 0 : last_action] = True
        return cls(frames, actions, queries, ~queries, last_action, last_frame)


def attention_metrics(attention: Tensor, types: Tensor) -> dict[str, float]:
    """Returns means over batch, heads and queries, by name.

        apa: to the last action (attention to the previous action). alf: to the last frame.
        ttar: to all actions, relative to that to all frames.
        ri16: to the last 16 tokens of the sequence; where a picture has more tokens, those are queries alone.
        history_recency: to the last 16 tokens of the history, as a share of that to all of it.
        attn_entropy: in nats. uniform_baseline: what apa is if every token attends equally to all that it may.

    Args:
        attention: of the last layer. types: of the S tokens, int64 (S,); without a FUTURE every row is a query.
    """
    places = Places.of(types)
    rows = _query_rows(attention, places)  # (B, heads, Q, S)
    allowed = places.queries.nonzero() + 1.0 if places.queries.any() else torch.tensor(float(len(types)))
    total = rows.sum(-1)
    shares = (rows / total[..., None]).clamp(min=SMALLEST)
    history = rows[..., places.history]
    values = {
        'apa': _to_last_action(rows, places),
        'alf': rows[..., places.last_frame].sum(-1),
        'ttar': rows[..., places.actions].sum(-1) / (rows[..., places.frames].sum(-1) + SMALLEST),
        'ri16': rows[..., -RECENT:].sum(-1) / (total + SMALLEST),
        'history_recency': history[..., -RECENT:].sum(-1) / (history.sum(-1) + SMALLEST),
        'attn_entropy': -(shares * shares.log()).sum(-1),
        'uniform_baseline': 1.0 / allowed,
    }
    return {f'{PREFIX}/{name}_mean': float(value.mean()) for name, value in values.items()}


@dataclass(frozen=True)
class Breakdown:
    """What each query attends to, float32 (Q,) each, mean over batch and heads; the three add up to 1."""

    last_action: NDArray[np.float32]
    last_frame: NDArray[np.float32]
    rest: NDArray[np.float32]


def breakdown(attention: Tensor, types: Tensor) -> Breakdown:
    """Divides the attention of each query; arguments as in `attention_metrics`."""
    places = Places.of(types)
    rows = _query_rows(attention, places).mean((0, 1))  # (Q, S)
    action, frame = _to_last_action(rows, places), rows[:, places.last_frame].sum(-1)
    rest = (1 - action - frame).clamp(0, 1)
    return Breakdown(*(part.cpu().numpy() for part in (action, frame, rest)))


def _query_rows(attention: Tensor, places: Places) -> Tensor:
    attention = attention.detach()
    return attention[:, :, places.queries] if places.queries.any() else attention


def _to_last_action(rows: Tensor, places: Places) -> Tensor:
    if places.last_action is None:
        return torch.zeros_like(rows[..., 0])
    return rows[..., places.last_action]

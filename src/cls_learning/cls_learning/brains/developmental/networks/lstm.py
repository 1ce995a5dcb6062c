"""LSTM predictor: one vector for each picture, one for the next."""

from collections.abc import Sequence

import torch
from torch import nn, Tensor

from ..settings import NetworkSettings
from .action_embedding import ActionEmbedding, check_routes, EMBEDDING, without_last
from .contract import Autoencoder, Predicted, Predictor


class LstmPredictor(Predictor):
    """Reads the mean of a picture's tokens beside the action taken there; all tokens that it predicts are equal.

    Args:
        action_size: length of an action, A. width: D of a token. context: C.
        hidden: units of each LSTM layer. layers: how many.
    """

    routes = ('embedding',)

    def __init__(
        self, action_size: int, width: int = 256, context: int = 4, hidden: int = 512, layers: int = 2
    ) -> None:
        super().__init__()
        self.context = context
        self.action_embedding = ActionEmbedding(action_size)
        self.lstm = nn.LSTM(width + EMBEDDING, hidden, layers, batch_first=True)
        self.output = nn.Linear(hidden, width)

    def forward(
        self, tokens: Tensor, actions: Tensor, with_attention: bool = False, without: Sequence[str] = ()
    ) -> Predicted:
        """See Predictor.

        Args:
            without: routes of the last action that are left out: `embedding` (zeros in its place).
        """
        check_routes(without, self.routes)
        embedded = without_last(self.action_embedding(actions), 'embedding' in without)
        after, _ = self.lstm(torch.cat([tokens.mean(2), embedded], -1))
        return Predicted(self.output(after[:, -1:]).expand(-1, tokens.shape[2], -1))


def make_predictor(own: NetworkSettings, autoencoder: Autoencoder, action_size: int) -> LstmPredictor:
    """Makes an untrained predictor of the tokens of any autoencoder."""
    return LstmPredictor(action_size, autoencoder.width, own.context)

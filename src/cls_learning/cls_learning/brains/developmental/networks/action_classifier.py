"""Action classifier: which action explains the difference between two pictures."""

from typing import cast

from torch import nn, Tensor


class ActionClassifier(nn.Module):
    """Scores each of K actions by the difference of two pictures.

    An additional loss on its scores makes predictions show the action. Args: choices: K.
    """

    def __init__(self, choices: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, choices),
        )

    def forward(self, predicted: Tensor, last: Tensor) -> Tensor:
        """Returns logits (B, K) from the predicted pictures and the ones before them, both (B, 3, H, W)."""
        return cast(Tensor, self.layers(predicted - last))

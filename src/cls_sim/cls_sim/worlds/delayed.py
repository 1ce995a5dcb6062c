"""Any environment, with observations that arrive some steps late."""

import copy
from typing import Any

import gymnasium

from ..delay import Delay


class DelayedObservations(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Delays observations; reward and end of the episode are those of the step.

    While fewer steps have passed since `reset` the first observation is repeated, where `DelayObservation` of Gymnasium
    gives zeros.

    Args:
        steps: number of steps by which each observation is late.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], steps: int) -> None:
        super().__init__(env)
        self._delay: Delay[Any] = Delay(steps)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins an episode; its first observation arrives at once."""
        self._delay.clear()
        return super().reset(seed=seed, options=options)

    def observation(self, observation: Any) -> Any:
        """Returns the observation that arrives now."""
        # An environment may write its next observation into the same array.
        return copy.deepcopy(self._delay.add(copy.deepcopy(observation)))

"""Protocol of a benchmark: the stream of experience and how it is scored, the same for every baseline."""

from dataclasses import asdict, dataclass
from typing import Any, Final

# Reported seeds count from 0. Learning rates and weights are chosen with this seed, which no table reports.
TUNING_SEED: Final = 900
# Recent transitions that every baseline may keep beside its memory where the window is not counted.
WINDOW: Final = 200
# Smallest memory: sleep draws batches of 32, unbroken windows among them.
SMALLEST: Final = 100


@dataclass(frozen=True, kw_only=True)
class StreamProtocol:
    """One stream of experience, and how learners are scored on it.

    Attributes:
        stream: 'short', 'long', or 'robot' in a named environment.
        environment: name; empty: as many rooms as scenes.
        scenes, steps: how many, and wake steps in each; in a named environment, stretches of one episode.
        sleeps_per_scene: whole sleeps in each scene, the last one at its end; a recipe may split them into parts.
        shares: of all transitions that may be kept; each share is a separate result.
        window_counts: whether the window of recent steps counts in the share; else WINDOW steps are added.
        test_walks, test_steps: held-out walks of each scene, with their own seeds, from uniform poses.
        pairs: held-out single steps of each scene, uniform poses x uniform actions.
    """

    stream: str
    environment: str = ''
    scenes: int
    steps: int
    sleeps_per_scene: int
    shares: tuple[float, ...]
    window_counts: bool
    test_walks: int = 3
    test_steps: int
    pairs: int = 150

    @property
    def total(self) -> int:
        """Wake steps of the whole stream."""
        return self.scenes * self.steps

    @property
    def cycle(self) -> int:
        """Wake steps from one sleep to the next."""
        return max(self.steps // self.sleeps_per_scene, 1)

    @property
    def window(self) -> int:
        """Recent transitions that a learner may keep."""
        return WINDOW if not self.window_counts else min(WINDOW, self.total // 25)

    def capacity(self, share: float) -> int:
        """Transitions that a learner may keep beside its window."""
        kept = round(share * self.total)
        return max(kept - self.window if self.window_counts else kept, SMALLEST)

    def data(self) -> dict[str, Any]:
        """Returns the fields that the data of one scene depend on."""
        names = ('steps', 'test_walks', 'test_steps', 'pairs')
        return {name: value for name, value in asdict(self).items() if name in names}


STREAMS: Final = {
    'short': StreamProtocol(
        stream='short', scenes=5, steps=1000, sleeps_per_scene=2, shares=(0.2,), window_counts=True, test_steps=100
    ),
    'long': StreamProtocol(
        stream='long', scenes=20, steps=500, sleeps_per_scene=1, shares=(0.05, 0.02), window_counts=False, test_steps=50
    ),
}

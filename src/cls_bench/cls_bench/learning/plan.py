"""What a bench run lives through: the same for every row, so that no recipe owns any of it."""

from dataclasses import asdict, dataclass
from typing import Any, Final

# Published seeds count from 0. Rates and weights are chosen in a world of this seed, which no table shows.
TUNING_SEED: Final = 900
# Steps that every row may keep beside its memory where the window does not count (learning probe, 11.5).
WINDOW: Final = 200
# Transitions kept at least: a night draws batches of 32, unbroken windows among them.
SMALLEST: Final = 100


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One life, and how it is scored.

    Attributes:
        life: 'short', 'long', or 'robot' in a named world.
        world: name of the world; empty: as many rooms as there are scenes.
        scenes, steps: how many, and wake steps in each; in a named world, stretches of one episode.
        nights: whole nights of sleep in each scene, the last one at its end; a recipe may have them in parts.
        shares: of all transitions, what may be kept; each share is a row of its own.
        window_counts: whether the recent steps that a learner keeps count in the share; else WINDOW come on top.
        test_walks, test_steps: held-out walks of each scene, by their own seeds, from uniform poses.
        pairs: held-out uniform poses x uniform actions of each scene.
    """

    life: str
    world: str = ''
    scenes: int
    steps: int
    nights: int
    shares: tuple[float, ...]
    window_counts: bool
    test_walks: int = 3
    test_steps: int
    pairs: int = 150

    @property
    def total(self) -> int:
        """Wake steps of the whole life."""
        return self.scenes * self.steps

    @property
    def cycle(self) -> int:
        """Wake steps from one night to the next."""
        return max(self.steps // self.nights, 1)

    @property
    def window(self) -> int:
        """Recent transitions that a learner may keep."""
        return WINDOW if not self.window_counts else min(WINDOW, self.total // 25)

    def capacity(self, share: float) -> int:
        """Transitions that a learner may keep beside its window."""
        kept = round(share * self.total)
        return max(kept - self.window if self.window_counts else kept, SMALLEST)

    def data(self) -> dict[str, Any]:
        """Returns what the data of one scene depend on."""
        names = ('steps', 'test_walks', 'test_steps', 'pairs')
        return {name: value for name, value in asdict(self).items() if name in names}


LIVES: Final = {
    'short': Plan(life='short', scenes=5, steps=1000, nights=2, shares=(0.2,), window_counts=True, test_steps=100),
    'long': Plan(life='long', scenes=20, steps=500, nights=1, shares=(0.05, 0.02), window_counts=False, test_steps=50),
}

"""LeWorldModel of torch-world: its runs in an environment of its own, and the figures of an earlier run."""

from collections.abc import Sequence
from datetime import date
import json
from pathlib import Path
import tempfile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cls_common import atomic_file
from cls_learning.randomness import derive, stream

from ..peer_environment import lines_of
from .dot_walks import evaluation_walks, learning_walks, Walks

ENVIRONMENT: Final = 'torch_world'
RECIPE: Final = 'lewm'
# Of the robot: as many steps as no brain here makes in the same seconds. Pictures that it predicts from.
EPISODES: Final = 200
CONTEXT: Final = 1
FIGURES: Final = Path(__file__).with_name('lewm_figures.json')


def run(python: Path, seconds: float, seed: int, count: int) -> dict[str, Any]:
    """Trains it in its environment; returns its metrics on unseen rows.

    Args:
        python: of the environment. seconds: of the processor. count: walks on which it is measured.

    Raises:
        UserError: it failed.
    """
    walks = learning_walks(EPISODES, stream(seed, 'developmental.walks', 0))
    tests = evaluation_walks(count, CONTEXT, 1, stream(seed, 'developmental.tests', 0), unseen=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'walks.npz'
        arrays = {**_arrays(walks), **{f'test_{name}': array for name, array in _arrays(tests).items()}}
        np.savez(file, **arrays)  # type: ignore[arg-type]
        asked = {
            'file': str(file), 'seconds': seconds, 'seed': derive(seed, 'developmental.lewm') % 2**31
        }  # fmt: skip
        *_, last = lines_of([python, '-m', 'cls_bench.developmental.lewm_run'], json.dumps(asked))
    found: dict[str, Any] = json.loads(last)
    return found


def _arrays(walks: Walks) -> dict[str, NDArray[Any]]:
    """Returns frames as packed bits, since all pixels are black or white, the actions and the places."""
    count = walks.columns.shape[1]
    frames = [np.packbits(walks.frames(k)[..., 0].reshape(len(walks), -1) > 0, axis=-1) for k in range(count)]
    rows = np.repeat(walks.rows[:, None], count, 1)
    return {
        'frames': np.stack(frames, 1), 'actions': walks.actions, 'places': np.stack([walks.columns, rows], -1)
    }  # fmt: skip


def read_figures() -> dict[str, Any]:
    """Returns the figures of an earlier run: `date`, and `runs`, one for each world, recipe and seed."""
    found: dict[str, Any] = json.loads(FIGURES.read_text(encoding='utf-8'))
    return found


def write_figures(runs: Sequence[dict[str, Any]]) -> None:
    """Replaces the figures by those of a run of today; other recipes in `runs` are left out."""
    own = [run for run in runs if run['recipe'] == RECIPE]
    atomic_file.write_json(FIGURES, {'date': date.today().isoformat(), 'runs': own})

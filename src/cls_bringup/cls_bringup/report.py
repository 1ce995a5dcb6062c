"""Report of a run: one JSON object."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cls_common import atomic_file
from cls_common.errors import UserError

from .snapshot import LearnerStatuses, measures

CLEAN = 'clean'


def build_report(
    statuses: LearnerStatuses,
    *,
    startup_seconds: float | None,
    ended: str,
    weights_sha256: str | None,
    restarts: Mapping[str, int],
) -> dict[str, Any]:
    """Returns the report of a run.

    Args:
        startup_seconds: from the command to the first wake step; None without one.
        ended: 'clean', or the problem.
        weights_sha256: of the saved model after the end.
        restarts: of crashed nodes, by name.
    """
    return {
        'startup_seconds': None if startup_seconds is None else round(startup_seconds, 3),
        **measures(statuses),
        'exit': ended,
        'weights_sha256': weights_sha256,
        'restarts': dict(restarts),
    }


def read_weights_hash(folder: Path) -> str | None:
    """Returns the hash of a saved model's weights; None where there is no readable one."""
    from cls_learning.model_store.listing import weights_hash

    try:
        return weights_hash(folder) or None
    except (UserError, OSError):
        return None


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Writes it as JSON, whole or not at all."""
    atomic_file.write_json(path, report)

"""training.log and reports of evaluations as event files of TensorBoard."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
import shutil
from typing import Any

import yaml

from cls_common.atomic_file import publish, temporary_of

# Tags of the original system for the columns that mean the same; others are EVENT/COLUMN.
TAGS = {
    'actor_loss': 'Loss/Actor',
    'critic_loss': 'Loss/Critic',
    'imagined_return': 'Values/Mean_Lambda_Return',
    'entropy': 'Stats/Mean_Entropy',
}
# The same for the figures of a report of `./cls evaluate`.
EVALUATION_TAGS = {
    'reward_mean': 'Evaluation/Intermediate_Avg_Reward',
    'reward_std': 'Evaluation/Intermediate_Std_Reward',
    'reward_max': 'Evaluation/Intermediate_Best_Reward',
    'reward_min': 'Evaluation/Intermediate_Worst_Reward',
    'length_mean': 'Evaluation/Intermediate_Avg_Length',
    'success_rate': 'Evaluation/Success_Rate',
}
_NOT_FIGURES = ('timestamp', 'event', 'step', 'cycle')


def write_events(
    output: Path, rows: Sequence[Mapping[str, str]], config: Mapping[str, Any],
    evaluations: Sequence[Mapping[str, Any]] = (),
) -> int:  # fmt: skip
    """Writes a new folder with event files and training_config.yaml; it appears only when it is complete.

    Args:
        rows: of training.log. config: settings by name. evaluations: reports of `./cls evaluate`.

    Returns:
        number of figures written.
    """
    from tensorboard.summary import Writer

    partial = temporary_of(output)
    shutil.rmtree(partial, ignore_errors=True)
    count = 0
    try:
        partial.mkdir()
        (partial / 'training_config.yaml').write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding='utf-8')
        writer = Writer(str(partial))
        for row in rows:
            time = datetime.strptime(row['timestamp'], '%Y-%m-%d %H:%M:%S').timestamp()
            for name, value in row.items():
                if value and name not in _NOT_FIGURES:
                    tag = TAGS.get(name, f'{row["event"]}/{name}')
                    writer.add_scalar(tag, float(value), int(row['step']), wall_time=time)
                    count += 1
        for report in evaluations:
            for name in report.keys() & EVALUATION_TAGS.keys():
                writer.add_scalar(EVALUATION_TAGS[name], float(report[name]), int(report['steps']))
                count += 1
        writer.close()
        publish(partial, output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return count

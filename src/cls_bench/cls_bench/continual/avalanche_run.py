"""Runs methods of Avalanche (Carta et al. 2023) on streams of digits and prints the metrics as JSON.

A program of its own, for the environment that `peers` makes: of ours it imports the stream, network and evaluator. One
process runs everything, since importing Avalanche takes half a minute. Jobs come as a JSON list on standard input; each
is answered by one line: its `key` and `metrics`.
"""

from collections.abc import Callable
import json
import os
import random
import sys
import time
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor

from cls_bench.continual.digits import CLASSES, DigitStream, Images, Labels, STREAMS
from cls_bench.continual.evaluator import Evaluator
from cls_bench.continual.network import BATCH, EPOCHS, MEMORY, Network, only

_IMAGE_BYTES = 4 * 64 + 8 + 8  # pixels, label, task
_LOGITS_BYTES = 4 * CLASSES


def strategies(values: dict[str, Any], tasks: int) -> dict[str, Callable[..., Any]]:
    """Returns what makes a strategy, by the name of the method, with their own spellings of the settings."""
    from avalanche.training.plugins import (  # type: ignore[import-not-found]
        AGEMPlugin,
        EWCPlugin,
        LwFPlugin,
        MASPlugin,
        ReplayPlugin,
        SynapticIntelligencePlugin,
    )
    from avalanche.training.supervised import DER, ER_ACE, Naive  # type: ignore[import-not-found]

    weight, alpha = values.get('weight', 0.0), values.get('alpha', 0.0)

    def with_plugin(make: Callable[[], Any]) -> Callable[..., Any]:
        return lambda plugins, **shared: Naive(plugins=[make(), *plugins], **shared)

    return {
        'none': Naive,
        'ewc_batched': with_plugin(lambda: EWCPlugin(weight)),
        'ewc_online': with_plugin(lambda: EWCPlugin(weight, mode='online', decay_factor=0.9)),
        'si': with_plugin(lambda: SynapticIntelligencePlugin(weight)),
        'mas': with_plugin(lambda: MASPlugin(weight)),
        'lwf': with_plugin(lambda: LwFPlugin(alpha)),
        'agem': with_plugin(lambda: AGEMPlugin(MEMORY // tasks, BATCH)),
        'replay': with_plugin(lambda: ReplayPlugin(MEMORY)),
        'er_ace': lambda **shared: ER_ACE(mem_size=MEMORY, batch_size_mem=BATCH, **shared),
        'der++': lambda **shared: DER(mem_size=MEMORY, alpha=alpha, beta=values['beta'], **shared),
    }


def kept_bytes(method: str, tasks: int, weights: int) -> int:
    """Returns the size of what a method keeps beside network and optimiser, of its tensors in float32 and int64."""
    copies = {'ewc_batched': 2 * tasks, 'ewc_online': 2, 'si': 7, 'mas': 2, 'lwf': 1}.get(method, 0)
    image = {
        'replay': _IMAGE_BYTES,
        'agem': _IMAGE_BYTES,
        'er_ace': _IMAGE_BYTES,
        'der++': _IMAGE_BYTES + _LOGITS_BYTES,
    }
    return 4 * weights * copies + MEMORY * image.get(method, 0)


def told_network(network: Network, masks: Tensor) -> nn.Module:
    """Returns a network that answers with classes of the task of each image alone: masks (T, 10) are added."""
    from avalanche.models import MultiTaskModule  # type: ignore[import-not-found]

    class Told(MultiTaskModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor, task_labels: Tensor | None) -> Any:
            logits = self.network(x)
            if task_labels is None:
                return {task: logits + masks[task] for task in self.known_train_tasks_labels}
            return logits + masks[task_labels]

    return Told()


def run(method: str, benchmark: str, values: dict[str, Any], seed: int, network_seed: int) -> dict[str, Any]:
    """Learns all tasks of a stream with a method of Avalanche; returns the metrics as `stream_run.run` does."""
    from avalanche.core import SupervisedPlugin  # type: ignore[import-not-found]

    for seeded in (torch.manual_seed, np.random.seed, random.seed):
        seeded(seed)
    stream = STREAMS[benchmark](seed)
    network = Network(network_seed)
    masks = torch.stack([only(torch.zeros(CLASSES), task.classes) for task in stream.tasks])
    model = told_network(network, masks) if stream.is_told else network

    @torch.no_grad()
    def answer(images: Images, classes: tuple[int, ...]) -> Labels:
        logits = network(torch.from_numpy(images))
        found: Labels = (only(logits, classes) if stream.is_told else logits).argmax(1).numpy()
        return found

    evaluator = Evaluator(stream, answer)
    counts = {'steps': 0, 'paused': 0.0}

    class Evaluation(SupervisedPlugin):  # type: ignore[misc]
        def after_training_iteration(self, strategy: Any, **_: Any) -> None:
            began = time.perf_counter()
            counts['steps'] += 1
            evaluator.step()
            counts['paused'] += time.perf_counter() - began

    kinds = {'adam': torch.optim.Adam, 'sgd': torch.optim.SGD}
    optimizer = kinds[values['optimizer']](model.parameters(), lr=values['rate'])
    strategy = strategies(values, len(stream.tasks))[method](
        model=model, optimizer=optimizer, criterion=nn.CrossEntropyLoss(), train_mb_size=BATCH, train_epochs=EPOCHS,
        plugins=[Evaluation()], evaluator=None,
    )  # fmt: skip
    seconds = 0.0
    for experience in experiences(stream):
        began = time.perf_counter()
        strategy.train(experience, num_workers=0)
        seconds += time.perf_counter() - began
        evaluator.end_task()
    weights = sum(each.numel() for each in network.parameters())
    return {
        **evaluator.metrics(),
        'steps': counts['steps'],
        'gradients': network.gradients,
        'bytes': kept_bytes(method, len(stream.tasks), weights),
        'seconds': seconds - counts['paused'],
    }


def experiences(stream: DigitStream) -> Any:
    """Returns the training experiences of a stream; only where the task is known have they labels of their own."""
    from avalanche.benchmarks import benchmark_from_datasets  # type: ignore[import-not-found]
    from avalanche.benchmarks.scenarios.supervised import with_classes_timeline  # type: ignore[import-not-found]
    from avalanche.benchmarks.scenarios.task_aware import with_task_labels  # type: ignore[import-not-found]
    from avalanche.benchmarks.utils import (  # type: ignore[import-not-found]
        _make_taskaware_tensor_classification_dataset as make,
    )

    datasets = [
        make(torch.from_numpy(task.train_x), torch.from_numpy(task.train_y), task_labels=i if stream.is_told else 0)
        for i, task in enumerate(stream.tasks)
    ]
    return with_classes_timeline(with_task_labels(benchmark_from_datasets(train=datasets))).train_stream


def main() -> int:
    """Runs the jobs that standard input lists; ends when the process that started it has ended."""
    torch.set_num_threads(1)
    parent = os.getppid()
    for job in json.load(sys.stdin):
        if os.getppid() != parent:
            return 1
        metrics = run(job['method'], job['benchmark'], job['values'], job['seed'], job['network_seed'])
        print(json.dumps({'key': job['key'], 'metrics': metrics}), flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())

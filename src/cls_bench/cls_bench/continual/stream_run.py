"""Runs one method on one stream."""

import time
from typing import Any

import torch

from cls_learning.randomness import derive

from .digits import DigitStream, Images, Labels
from .evaluator import Evaluator
from .methods.contract import Method
from .network import Network
from .rows import Values


def run(kind: type[Method], stream: DigitStream, values: Values, seed: int) -> dict[str, Any]:
    """Learns all tasks; returns the metrics of the evaluator, gradients, steps, bytes kept and seconds of learning."""
    method = kind(Network(derive(seed, 'continual.network')), stream, values, seed)

    @torch.no_grad()
    def answer(images: Images, classes: tuple[int, ...]) -> Labels:
        found: Labels = method.answer(torch.from_numpy(images), classes).numpy()
        return found

    evaluator = Evaluator(stream, answer)
    paused = 0.0

    def evaluate() -> None:
        nonlocal paused
        began = time.perf_counter()
        evaluator.step()
        paused += time.perf_counter() - began

    method.step_done = evaluate
    began = time.perf_counter()
    for task in stream.tasks:
        method.learn_task(task)
        evaluator.end_task()
    seconds = time.perf_counter() - began - paused
    return {
        **evaluator.metrics(),
        'steps': method.steps,
        'gradients': method.network.gradients,
        'bytes': method.state_bytes(),
        'seconds': seconds,
    }

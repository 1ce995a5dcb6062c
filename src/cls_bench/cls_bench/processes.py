"""Runs the jobs of a benchmark in processes of one thread each."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed, ProcessPoolExecutor
import multiprocessing
import os
import signal
import threading
from typing import TypeVar

import torch

from .learning.cache import KNOWN_DIGESTS

Job = TypeVar('Job')
Result = TypeVar('Result')


def results_of(jobs: Sequence[Job], work: Callable[[Job], Result], processes: int) -> Iterator[tuple[Job, Result]]:
    """Yields each job with its result as it is done; jobs in progress are ended where the caller stops.

    Args:
        work: a function that can be pickled, which keeps its result in a cache. processes: 1: this process.
    """
    if not jobs:
        return
    if processes == 1:
        torch.set_num_threads(1)
        yield from ((job, work(job)) for job in jobs)
        return
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(processes, context, _begin, (KNOWN_DIGESTS,)) as pool:
        futures = {pool.submit(work, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            # Finished jobs are in the cache; running ones need not be waited for.
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def all_results(
    jobs: Sequence[Job],
    read: Callable[[Job], Result | None],
    work: Callable[[Job], Result],
    processes: int,
    report: Callable[[Job, float], None],
) -> dict[Job, Result]:
    """Returns the result of each job, from the cache or by running it.

    Args:
        read: returns a cached result. report: gets each job that was run, and the share of all that is done.
    """
    found = {job: result for job in jobs if (result := read(job)) is not None}
    for job, result in results_of([job for job in jobs if job not in found], work, processes):
        found[job] = result
        report(job, len(found) / len(jobs))
    return found


def _begin(digests: dict[tuple[str, ...], str]) -> None:
    KNOWN_DIGESTS.update(digests)
    # Ctrl+C reaches all processes; only the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when its parent has ended, also by SIGKILL."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)

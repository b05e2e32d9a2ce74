"""How every benchmark measures: CPU time of ours over CPU time of a named peer, in one process.

One thread for everybody, set here: import this module *before* NumPy and TensorFlow.
Each library chooses its own kernels, as it does for a reader. ``CVLAB_BENCH_AVX2=1`` holds both
    sides to AVX2 (OpenBLAS's Haswell kernels, TensorFlow without oneDNN): it tells what the code
    costs from what the kernels do, and no limit counts as met by it.
Pairs are interleaved, and who starts alternates: a busy machine slows both sides down.
The result is the median of the ratios. A program that exceeds a limit ends with status 1.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

AVX2_ONLY = os.environ.get("CVLAB_BENCH_AVX2") == "1"
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}
AVX2_SETTINGS = {
    "OPENBLAS_CORETYPE": "Haswell",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}
os.environ.update(ENVIRONMENT)
for name, value in AVX2_SETTINGS.items():
    if AVX2_ONLY:
        os.environ[name] = value
    else:
        os.environ.pop(name, None)


class Row(NamedTuple):
    """One line of a table: a median ratio and what it must not exceed (`None`: no limit)."""

    name: str
    ratio: float
    limit: float | None
    ours_ms: float
    peer_ms: float

    @property
    def exceeded(self) -> bool:
        """Whether the ratio, as printed, is above the limit."""
        return self.limit is not None and round(self.ratio, 2) > self.limit


def compare(
    name: str,
    ours: Callable[[], object],
    peer: Callable[[], object],
    limit: float | None = None,
    rounds: int = 11,
    seconds: float = 0.1,
) -> Row:
    """Time `ours` and `peer` in turns, at least `seconds` of CPU time each in every round."""
    times = ours_times, peer_times = [], []
    calls = (ours, peer)
    repeats = [max(1, round(seconds / max(_cpu_seconds(call, 1), 1e-6))) for call in calls]
    for turn in range(rounds):
        for i in (0, 1) if turn % 2 == 0 else (1, 0):
            times[i].append(_cpu_seconds(calls[i], repeats[i]) / repeats[i])
    ratio = statistics.median(a / b for a, b in zip(ours_times, peer_times, strict=True))
    medians = (1e3 * statistics.median(t) for t in times)
    return Row(name, ratio, limit, *medians)


def report(title: str, rows: list[Row]) -> int:
    """Print the table and return the exit status: 1 if a limit is exceeded."""
    footing = "AVX2 only, oneDNN off" if AVX2_ONLY else "each library's own kernels"
    print(f"{title}\none thread, CPU time, medians of interleaved ratios; {footing}\n")
    width = max(len(row.name) for row in rows)
    print(f"{'':{width}}  ratio  limit   ours ms   peer ms")
    for row in rows:
        limit = "     -" if row.limit is None else f"{row.limit:6.2f}"
        verdict = "" if row.limit is None else "  TOO SLOW" if row.exceeded else "  ok"
        print(
            f"{row.name:{width}} {row.ratio:6.2f} {limit} {row.ours_ms:9.3f} {row.peer_ms:9.3f}"
            f"{verdict}"
        )
    return int(any(row.exceeded for row in rows))


def _cpu_seconds(call: Callable[[], object], repeats: int) -> float:
    """Return the CPU time, over all threads, of `repeats` calls after one to warm up."""
    call()
    start = time.process_time()
    for _ in range(repeats):
        call()
    return time.process_time() - start

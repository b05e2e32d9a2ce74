"""Loading the bundled weights, beside building the network and beside Keras's own weight files.

One thread, CPU time, 9 interleaved rounds, medians. Keras's file holds the same numbers in
float32 and is read by `load_weights` into the same model.

Limits: loading takes at most 2 s, and at most half of what Keras takes for its own file.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import statistics
import sys
import tempfile
import time
from pathlib import Path

import tensorflow as tf

from cvlab.networks import efficientnet_lite0

ROUNDS = 9
SECONDS = 2.0
RATIO = 0.5


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def main():
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.weights.h5"
        efficientnet_lite0().save_weights(path)
        build, both, keras_file = [], [], []
        for _ in range(ROUNDS):
            build.append(seconds(lambda: efficientnet_lite0(weights=None)))
            both.append(seconds(efficientnet_lite0))
            model = efficientnet_lite0(weights=None)
            keras_file.append(seconds(lambda model=model: model.load_weights(path)))
    load = statistics.median(b - a for a, b in zip(build, both, strict=True))
    ratio = statistics.median((b - a) / k for a, b, k in zip(build, both, keras_file, strict=True))
    print(f"building                  {statistics.median(build):.2f} s")
    print(f"loading                   {load:.2f} s, limit {SECONDS}")
    print(f"loading / Keras's file    {ratio:.2f}, limit {RATIO}")
    return int(load > SECONDS or ratio > RATIO)


if __name__ == "__main__":
    sys.exit(main())

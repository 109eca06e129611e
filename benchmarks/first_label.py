"""`chapterhouse classify` of one image beside `import torch` alone: what the command line adds to the first label.

    python -m benchmarks.first_label [--models lenet5-mnist,nin-cifar10] [--rounds 12]

Every run is a process of its own and they take turns. Both the clock and the processor's seconds of each are told by
their medians; those of the processor tell more where a machine is busy. Modules are kept compiled, as those of an
installation are, also where this environment says otherwise.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from service.datasets.registry import find_dataset
from service.imaging import encode_png
from service.settings import read_settings
from service.store import ModelStore

ALONE = "import torch"
SURROUNDINGS = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds of the clock and of the processor."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**SURROUNDINGS, "PYTHONWARNINGS": "ignore"})
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="lenet5-mnist,nin-cifar10")
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    settings = read_settings()
    with tempfile.TemporaryDirectory(prefix="chapterhouse-first-") as directory:
        commands = {ALONE: [sys.executable, "-c", "import torch"]}
        for model in options.models.split(","):
            dataset = find_dataset(ModelStore.of(settings).get(model).manifest.dataset)
            image = Path(directory) / f"{model}.png"
            image.write_bytes(encode_png(dataset.load(settings.data, "test").images[0]))
            commands[model] = [sys.executable, "-m", "service", "classify", str(image), "--model", model]
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for number in range(options.rounds + 1):
            for name, command in commands.items():
                found = timed(command)
                if number:  # the first compiles, and reads files that are in nobody's cache
                    taken[name].append(found)
    medians = {name: [statistics.median(clock) for clock in zip(*turns, strict=True)] for name, turns in taken.items()}
    for name, (clock, processor) in medians.items():
        ratios = clock / medians[ALONE][0], processor / medians[ALONE][1]
        print(f"{name:<16}{clock:7.3f} s {ratios[0]:5.2f} × {processor:7.3f} CPU s {ratios[1]:5.2f} ×")


if __name__ == "__main__":
    main()

"""Images per second of a net without a service, as the peers have it: eager, in batches of several sizes."""

import json
import subprocess
import sys
import time

import torch

from benchmarks.peers.registry import ROOT

BATCHES = (1, 16, 64, 128)
SECONDS = 0.7


def alone(model: str, environment: dict[str, str]) -> dict[str, float]:
    """The rate of each batch size, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.peers.alone"]
    variables = {**environment, "PEER_MODEL": model}
    said = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
    rates: dict[str, float] = json.loads(said.stdout)
    return rates


def main() -> None:
    """Measure, and tell."""
    from benchmarks.peers.classifier import Classifier

    classifier = Classifier()
    spec = classifier.model.input
    rates = {}
    for batch in BATCHES:
        images = [torch.zeros(*spec.size, spec.channels, dtype=torch.uint8)] * batch
        classifier.probabilities(images)
        began, runs = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            classifier.probabilities(images)
            runs += 1
        rates[str(batch)] = runs * batch / (time.perf_counter() - began)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()

"""How many of Stacked-MNIST's thousand modes a generator covers while it is trained."""

import numpy as np
from torch import nn

from service.datasets.stacked import Stacked
from service.metrics.mode_coverage import reverse_kl
from service.store import ImageOutput
from service.training.appraisal import Appraised, Eye, Painter
from service.training.history import Row
from service.training.run import Run


class StackedAppraiser:
    """A classifier names the digit of each channel; three names are a mode, covered by one sample.

    Every sample counts, as in the literature (arXiv 1712.04086, section 4.2), whatever the classifier's confidence.
    Raises InvalidManifest where the extractor cannot look at one channel.
    """

    def __init__(self, appraised: Appraised, spec: ImageOutput, stacked: Stacked, run: Run, *, seed: int) -> None:
        self.every = appraised.every
        self._modes, self._classes = stacked.modes, stacked.of.classes
        self._painter = Painter(spec, appraised.samples, seed, run)
        self._look = Eye(appraised.extractor or "", spec.size, 1, run)

    def measure(self, generator: nn.Module) -> Row:
        """Modes covered, and the reverse KL of their shares."""
        pixels = self._painter.paint(generator)
        found = np.zeros(len(pixels), np.int64)
        for channel in range(pixels.shape[3]):
            _, probabilities = self._look(np.ascontiguousarray(pixels[..., channel : channel + 1]))
            found = self._classes * found + probabilities.argmax(axis=1)
        covered = float(len(np.unique(found)))
        return {"modes": covered, "all_modes": float(self._modes), "reverse_kl": reverse_kl(found, self._modes)}

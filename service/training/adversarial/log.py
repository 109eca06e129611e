"""What an adversarial training reports while it runs: history, metrics, warnings, curves and samples."""

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from service.training.adversarial.appraisals import Appraiser
from service.training.adversarial.curves import draw_curves
from service.training.adversarial.data import Data
from service.training.adversarial.recipe import AdversarialRecipe
from service.training.adversarial.recording import Recording
from service.training.adversarial.watch import Watch
from service.training.checkpoints import Stateful
from service.training.history import Row, TrainingHistory
from service.training.run import Run

CURVES = "curves.png"


class Log:
    """Writes everything into the folder of the checkpoint, and draws nothing from torch's generator.

    `z` are the latents (n, latent) behind every picture of samples. A generator of points is recorded, too.
    """

    def __init__(self, recipe: AdversarialRecipe, data: Data, appraiser: Appraiser | None, z: Tensor, run: Run) -> None:
        self._recipe, self._data, self._appraiser, self._z, self._run = recipe, data, appraiser, z, run
        self.history = TrainingHistory(run.checkpoints.folder)
        self.recording = None if run.manifest.points is None else Recording(z, recipe.iterations, recipe.stack)
        self.watch = Watch(recipe.watched, iterations=recipe.iterations, labelled=recipe.build_system().labelled)

    def note(self, step: int, generator: nn.Module, measures: Mapping[str, Tensor]) -> None:
        """Take down one iteration: its `measures` and, when it is time, how good the generator is.

        Raises TrainingFailed where the recipe has it so.
        """
        self.history.add(**measures)
        appraised = self._appraise(step, generator)
        if appraised or self._is_due(step, self._recipe.record_every):
            row = self.history.write(step, **appraised)
            for words in self.watch.look(row):
                self._run.progress.say(words)
        if self.recording is not None:
            self.recording.note(step, generator)
        if self._is_due(step, self._recipe.grid_every):
            self._draw(step, generator)

    def parts(self) -> dict[str, Stateful]:
        """What of this goes on with the checkpoint."""
        kept: dict[str, Stateful] = {"history": self.history, "watch": self.watch}
        return kept if self.recording is None else {**kept, "recording": self.recording}

    def close(self) -> None:
        """Write what is only whole at the end."""
        self._run.noticed.extend(self.watch.noticed)
        for last in self.history.rows()[-1:]:
            self._run.ending.update({name: value for name, value in last.items() if math.isfinite(value)})
        if self.recording is not None:
            self.recording.write(self._run.checkpoints.folder)

    def _is_due(self, step: int, every: int) -> bool:
        return step % every == 0 or step == self._recipe.iterations

    def _appraise(self, step: int, generator: nn.Module) -> Row:
        if self._appraiser is None or not self._is_due(step, self._appraiser.every):
            return {}
        appraised = self._appraiser.measure(generator)
        words = "  ".join(f"{name} {value:.4g}" for name, value in appraised.items() if "_of_" not in name)
        self._run.progress.say(f"iteration {step}: {words}")
        if "fid" in appraised:
            self._run.offer(generator, appraised["fid"])
        return appraised

    @torch.no_grad()
    def _draw(self, step: int, generator: nn.Module) -> None:
        # A copy, normalised by this very batch: an average of weights has no running statistics of its own yet.
        samples = copy.deepcopy(generator).train()(self._z)
        self._data.picture(
            samples[: len(samples) // self._recipe.stack], self._run.checkpoints.folder / f"samples-{step:06d}.png"
        )
        draw_curves(self.history.rows(), self._run.checkpoints.folder / CURVES)

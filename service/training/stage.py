"""What a training of images, or of points in the plane, is played on: the data, and how samples are judged."""

from service.datasets.registry import STACKED, find_mixture
from service.training.adversarial_recipe import AdversarialRecipe
from service.training.appraisal import Appraiser, ImageAppraiser
from service.training.material import Images, Material, PlanePoints
from service.training.point_appraisal import PointAppraiser
from service.training.run import Run
from service.training.stacked_appraisal import StackedAppraiser


def material_of(recipe: AdversarialRecipe, run: Run) -> Material:
    """The data that the generator learns from: images without those that are held out, or points."""
    if run.manifest.output is None:
        return PlanePoints(run.points, run.device)
    learnt, _ = run.images.divide(recipe.held_out)
    return Images(learnt.images, run.manifest.output, run.device)


def appraiser_of(recipe: AdversarialRecipe, run: Run) -> Appraiser | None:
    """What measures the generator, if the recipe wants it measured. Raises InvalidManifest."""
    wanted = recipe.appraised
    if wanted is None:
        return None
    if run.manifest.output is None:
        mixture = find_mixture(run.manifest.dataset)
        return PointAppraiser(mixture, run, every=wanted.every, seed=recipe.seed, stack=recipe.stack)
    if run.manifest.dataset in STACKED:
        stacked = STACKED[run.manifest.dataset]
        return StackedAppraiser(wanted, run.manifest.output, stacked, run, seed=recipe.seed)
    return ImageAppraiser(wanted, run.manifest.output, run, seed=recipe.seed)

"""`chapterhouse train`: a model's recipe, its weights, its card."""

import asyncio
import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from service.cli.completion import described_models
from service.cli.reporting import fail_clearly, say
from service.files import copy_whole
from service.scoring.card import measure_scores
from service.settings import read_settings
from service.store import Model, ModelStore, write_card


class Recipe(StrEnum):
    """The recipes of a manifest."""

    FULL = "full"
    REDUCED = "reduced"


@fail_clearly
def train(
    model_id: Annotated[
        str, typer.Argument(help="A model of the store, such as lenet5-mnist.", autocompletion=described_models)
    ],
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    threads: Annotated[int, typer.Option(help="Torch threads; part of what makes the weights the same again.")] = 1,
    device: Annotated[str, typer.Option(help="Where to train: cpu, cuda:0, …")] = "cpu",
    processes: Annotated[
        int, typer.Option(min=1, help="Processes that train one net together: one a GPU, or so many on the CPU.")
    ] = 1,
    recipe: Annotated[
        Recipe | None,
        typer.Option(help="Which recipe; the reduced one on a CPU, where there is one, the full one elsewhere."),
    ] = None,
    time_budget: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds after which it stops and keeps the best so far; the same command goes on."),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the checkpoint of a training that was stopped.")] = True,
) -> None:
    """Train a model by the recipe in its model.toml, score it on the test set, and write weights and card."""
    from service.training.train import train as run

    settings = read_settings()
    source = ModelStore.of(settings).described(model_id)
    target = settings.trained_models_dir / model_id
    form = recipe or _usual_recipe(source, device)
    workplace = settings.state / "training" / (model_id if form == Recipe.FULL else f"{model_id}-{form}")
    staged = workplace / "staged" / model_id
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    shutil.copy(source.folder / "model.toml", staged)
    card = run(
        source,
        data_dir=settings.data,
        checkpoint_dir=workplace,
        output_dir=staged,
        form=form.value,
        seed=seed,
        resume=resume,
        threads=threads,
        device=device,
        processes=processes,
        budget_s=time_budget,
        store=ModelStore.of(settings),
    )
    write_card(card, staged / "card.json")
    store = ModelStore(staged.parent, settings.added_models_dir, settings.shipped_models_dir)
    scores = asyncio.run(measure_scores(settings, store, Model(staged), card))
    card = card.model_copy(update={"scores": scores})
    write_card(card, staged / "card.json")
    _publish(staged, target)
    for name, score in card.scores.items():
        say(f"{model_id}  {name} {score.value:.6g} on {score.on} ({score.how})")


def _usual_recipe(model: Model, device: str) -> Recipe:
    reduces = device == "cpu" and Recipe.REDUCED in model.manifest.training
    return Recipe.REDUCED if reduces else Recipe.FULL


def _publish(staged: Path, target: Path) -> None:
    """Put weights and card where the store reads them, each whole, the card last."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ("model.toml", "weights.safetensors", "recording.safetensors", "card.json"):
        if (staged / name).exists() and (name != "model.toml" or not (target / name).exists()):
            copy_whole(staged / name, target / name)

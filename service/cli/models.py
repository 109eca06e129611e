"""`chapterhouse models`: what the store holds, and whether it is what its cards say."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.add import add
from service.cli.calibrate import summary
from service.cli.completion import described_models, models
from service.cli.fetch import fetch
from service.cli.forms import measure_forms
from service.cli.nets import print_layers, show_nets
from service.cli.reporting import EXIT_FAILED, JSONOption, fail_clearly, print_json, print_table, say
from service.cli.sharing import pull, push
from service.cli.units import find_units
from service.cli.versions import alias, remove
from service.errors import ConfigurationError, DatasetMissing, InvalidManifest, PackageMissing, ReferenceNotFound
from service.files import file_sha256
from service.scoring.card import differing, measure_calibration, measure_scores, miscalibrated
from service.settings import Settings, read_settings
from service.store import Card, Model, ModelStore, write_card

if TYPE_CHECKING:
    from service.nets.layers import LayerRow

LABELS_SHOWN = 20

app = typer.Typer(help="The models of the store.", no_args_is_help=True)
app.command("nets")(show_nets)
app.command("add")(add)
app.command("alias")(alias)
app.command("remove")(remove)
app.command("fetch")(fetch)
app.command("units")(find_units)
app.command("forms")(measure_forms)
app.command("push")(push)
app.command("pull")(pull)


@app.command("list")
@fail_clearly
def list_models(
    everything: Annotated[
        bool, typer.Option("--all", help="Those without weights, too, which are to be fetched or trained.")
    ] = False,
    as_json: JSONOption = False,
) -> None:
    """List the models that have weights."""
    store = _store()
    models, wrong = store.sound(store.described_ids() if everything else store.ids(), described=True)
    broken = {name: str(error) for name, error in wrong.items()}
    if as_json:
        print_json({"models": [describe(model) for model in models], "broken": broken})
        return
    rows = [
        (
            model.id,
            _version(model),
            model.manifest.task,
            str(model.manifest.chapter),
            f"{model.card.parameters:,}" if model.card else "–",
            f"{model.card.macs:,}" if model.card and model.card.macs is not None else "–",
            ", ".join(f"{name} {score.value:.4g}" for name, score in model.card.scores.items()) if model.card else "–",
        )
        for model in models
    ]
    print_table(("model", "version", "task", ">chapter", ">parameters", ">MACs", "scores"), rows)
    for name, reason in broken.items():
        say(f"{name} is broken: {reason}")


@app.command("show")
@fail_clearly
def show(
    model_id: Annotated[
        str, typer.Argument(metavar="ID", help="A model of the store, trained or not.", autocompletion=described_models)
    ],
    as_json: JSONOption = False,
) -> None:
    """Show a model's manifest, its card and the table of its layers."""
    model = _store().described(model_id)
    if as_json:
        print_json(describe(model))
        return
    manifest, card = model.manifest, model.card
    facts = {
        "model": f"{model.id} {model.version}",
        "folder": str(model.folder),
        "summary": manifest.summary,
        "paper": manifest.paper,
        "chapter": str(manifest.chapter),
        "net": f"{manifest.net} {_words(manifest.options)}".rstrip(),
        "task": manifest.task,
        "dataset": manifest.dataset,
        "input": _words(manifest.input.model_dump()) if manifest.input else "",
        "output": _words(manifest.output.model_dump()) if manifest.output else "",
        "points": _words(manifest.points.model_dump()) if manifest.points else "",
        "series": _words(manifest.series.model_dump()) if manifest.series else "",
        "labels": _some(manifest.labels),
        "training": _words(manifest.training),
        "source": _words(manifest.source.model_dump()) if manifest.source else "",
        "serving": _words(manifest.serving.model_dump()),
    }
    for name, words in (facts | (_card_facts(card) if card else {"card": _why_none(model)})).items():
        if words:
            say(f"{name:<10}  {words}")
    print_layers(card.layers if card else _layers_of(model))


@app.command("verify")
@fail_clearly
def verify(
    model_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="All of the store unless given.", autocompletion=models),
    ] = None,
    files: Annotated[
        bool, typer.Option("--files", help="Only the files: measure nothing, so that no dataset is needed.")
    ] = False,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Write the scores that are found on the cards instead of comparing them.")
    ] = False,
) -> None:
    """Check weights, manifests and cards, and measure the cards' scores again; exits 2 where one is wrong."""
    settings = read_settings()
    store = ModelStore.of(settings)
    wrong = False
    for model_id in model_ids or store.each():
        try:
            model = store.described(model_id)
            found, seen = faults(model), ""
            if not found and not files:
                found, seen = _measured(settings, store, model, rescore=rescore)
            told = "; ".join(found) or f"{model.version} is what its card says{seen}"
        except InvalidManifest as error:
            found = [told := str(error)]
        wrong = wrong or bool(found)
        say(f"{model_id}  {told}")
    if wrong:
        raise typer.Exit(EXIT_FAILED)


def describe(model: Model) -> dict[str, Any]:
    """A model as JSON: its manifest and its card as they are written."""
    return {
        "id": model.id,
        "version": model.version,
        "folder": str(model.folder),
        "manifest": model.manifest.model_dump(mode="json"),
        "card": model.card.model_dump(mode="json") if model.card else None,
    }


def faults(model: Model) -> list[str]:
    """What is wrong with a model's files; nothing where they are what they say."""
    try:
        card = model.card
        if model.manifest.is_file:
            return _faults_of_file(model) + (_faults_of_weights(model, card) if card else [])
        return _faults_of_net(model, card) + (_faults_of_weights(model, card) if card else ["it has no card.json"])
    except InvalidManifest as error:
        return [str(error)]


def _faults_of_file(model: Model) -> list[str]:
    """What keeps a file of others, which needs no card, from being run."""
    from service.nets.registry import open_net

    try:
        open_net(model.manifest.net, model.manifest.options, model.weights)
    except (ConfigurationError, PackageMissing) as error:
        return [str(error)]
    return []


def _measured(settings: Settings, store: ModelStore, model: Model, *, rescore: bool) -> tuple[list[str], str]:
    """Which scores are not the card's, and what was found in words; `rescore` makes them the card's."""
    card = model.card
    if card is None or not card.scores:
        return [], ""
    if model.manifest.source is not None:
        return [], ", its scores being its publisher's"
    try:
        found = asyncio.run(measure_scores(settings, store, model, card))
        wrong = _miscalibrated(settings, model)
    except (DatasetMissing, ReferenceNotFound) as error:
        return [f"its scores cannot be measured: {error}"], ""
    if rescore:
        write_card(card.model_copy(update={"scores": found}), model.folder / "card.json")
    else:
        wrong += differing(card, found)
    return wrong, "".join(f", {name} {score.value:.6g}" for name, score in found.items())


def _miscalibrated(settings: Settings, model: Model) -> list[str]:
    """What of a classifier's calibration is not what its card says; nothing where nobody has calibrated it."""
    if model.calibration is None:
        return []
    return miscalibrated(model.calibration, asyncio.run(measure_calibration(settings, model, model.calibration)))


def _faults_of_weights(model: Model, card: Card) -> list[str]:
    if not model.weights.is_file():
        return []
    found = file_sha256(model.weights)
    return [] if found == card.sha256 else [f"{model.weights} has sha256 {found}; its card says {card.sha256}"]


def _faults_of_net(model: Model, card: Card | None) -> list[str]:
    """What keeps the net that the manifest names from being built, filled and counted."""
    from service.nets.layers import count_parameters
    from service.nets.registry import build_net
    from service.nets.weights import load_weights

    net = build_net(model.manifest.net, model.manifest.options)
    found = []
    try:
        load_weights(net, model.weights)
    except ConfigurationError as error:
        found.append(str(error))
    count = count_parameters(net)
    if card and count != card.parameters:
        found.append(f"its net has {count:,} parameters; its card says {card.parameters:,}")
    return found


def _store() -> ModelStore:
    settings = read_settings()
    return ModelStore.of(settings)


def _card_facts(card: Card) -> dict[str, str]:
    known = card.calibration
    scores = (f"{name} {score.value:.6g} on {score.on} ({score.how})" for name, score in card.scores.items())
    return {
        "weights": f"{card.size_bytes:,} bytes, sha256 {card.sha256}",
        "parameters": f"{card.parameters:,}",
        "MACs": "" if card.macs is None else f"{card.macs:,}",
        "scores": "; ".join(scores),
        "calibrated": f"temperature {known.temperature:.4g}: {known.how}; {summary(known)}" if known else "",
        "trained": f"in {card.seconds:,.0f} s with seed {card.seed} on {card.hardware}",
        "versions": _words(card.versions),
    }


def _version(model: Model) -> str:
    """The weights' own, or what brings some."""
    if model.weights.is_file():
        return model.version
    return "to be fetched" if model.manifest.source is not None else "to be trained"


def _why_none(model: Model) -> str:
    """What is missing where a model has no card, and what brings it."""
    if model.manifest.source is not None:
        return f"none; `chapterhouse models fetch {model.id}` brings its weights"
    return "none; it has not been trained"


def _layers_of(model: Model) -> "list[LayerRow]":
    """The layers of a model that has no card, counted from its net."""
    import torch

    from service.nets.layers import layer_table
    from service.nets.registry import build_net
    from service.training.train import example_of

    if model.manifest.is_file:
        return []  # which keeps them to itself
    with torch.device("meta"):
        return layer_table(build_net(model.manifest.net, model.manifest.options), example_of(model.manifest))


def _some(labels: tuple[str, ...]) -> str:
    """The first labels, and how many there are where they are many."""
    more = len(labels) - LABELS_SHOWN
    return ", ".join(labels[:LABELS_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _words(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())

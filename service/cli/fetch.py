"""`chapterhouse models fetch`: weights of others, from their publisher or from a file."""

from typing import Annotated

import typer

from service.cli.completion import described_models
from service.cli.reporting import fail_clearly, say
from service.settings import read_settings
from service.store import ModelStore


@fail_clearly
def fetch(
    model_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A model of others; `models list --all` names them.", autocompletion=described_models
        ),
    ],
    sha256: Annotated[str, typer.Option(help="What the file must have, or how that begins.")] = "",
    trust_first: Annotated[
        bool, typer.Option("--trust-first", help="Take what comes where nobody says its hash, and note it.")
    ] = False,
) -> None:
    """Download a publisher's weights, check and convert them; a file that lies in downloads/ is taken as it is."""
    from service.cli.data import Meters
    from service.training.foreign import fetch as bring

    settings = read_settings()
    model = ModelStore.of(settings).described(model_id)
    with Meters() as meters:
        card = bring(
            model,
            downloads=settings.state / "downloads",
            target=settings.added_models_dir / model_id,
            sha256=sha256,
            trust_first=trust_first,
            report=meters.show,
        )
    say(f"{model_id}  {card.parameters:,} parameters from {card.recipe['url']} ({card.recipe['licence']})")
    say(f"{model_id}  sha256 of the file {card.recipe['sha256']}, {card.recipe['checked']} checked")

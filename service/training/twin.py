"""The twin of a classifier: the same recipe and seed without the last training images, so that these can be asked."""

import shutil
from pathlib import Path

from service.errors import ConfigurationError, InvalidRequest
from service.store import Card, Model, ModelStore, write_card
from service.training.train import train

WITHHELD = 5000
"""The last training images, which the twin does not see."""
NOT_IN_EVERY_CARD = "full"
"""The form of a recipe whose card does not name it."""


def train_twin(
    model: Model, workplace: Path, *, data_dir: Path, store: ModelStore, threads: int = 1, device: str = "cpu"
) -> Model:
    """The twin of a trained classifier, in a folder of its name in `workplace`; one that is there already is taken.

    A training that was stopped goes on. `store` is where a twin finds what it begins with, which has to be a twin, too:
    those in `workplace` come first in it. Raises InvalidRequest for a
    model that was not trained here, ConfigurationError where the model that it begins with has no twin yet.
    """
    card = model.card
    if card is None or model.manifest.source is not None:
        raise InvalidRequest(f"{model.id} was not trained by a recipe of this store; it has no twin.")
    folder = workplace / model.id
    twin = Model(folder)
    if twin.weights.is_file() and twin.card is not None and _same_recipe(card, twin.card):
        return twin
    ancestor = (model.manifest.training.get("initial") or {}).get("model")
    if ancestor is not None and not Model(workplace / ancestor).weights.is_file():
        raise ConfigurationError(
            f"{model.id} begins with the weights of {ancestor}, which saw all images; `chapterhouse calibrate"
            f" {ancestor}` makes the twin to begin with."
        )
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(model.folder / "model.toml", folder)
    made = train(
        model,
        data_dir=data_dir,
        checkpoint_dir=folder,
        output_dir=folder,
        form=card.recipe.get("form", NOT_IN_EVERY_CARD),
        seed=card.seed,
        threads=threads,
        device=device,
        store=store,
        withheld=WITHHELD,
    )
    write_card(made, folder / "card.json")
    return Model(folder)


def _same_recipe(card: Card, twin: Card) -> bool:
    """Whether all that a card says of its recipe, which may be less than there is to say, is said of the twin's."""
    return all(twin.recipe.get(name) == value for name, value in card.recipe.items())

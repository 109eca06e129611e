"""The twin of a classifier: the same recipe and seed without the last training images, so that these can be asked."""

import shutil
from pathlib import Path

from service.errors import ConfigurationError, InvalidRequest
from service.store import Card, Model, ModelStore, write_card
from service.training.train import train

WITHHELD = 5000
"""How many of the last training images a twin does not see, unless said otherwise."""
NOT_IN_EVERY_CARD = "full"
"""The form of a recipe whose card does not name it."""


def train_twin(
    model: Model,
    workplace: Path,
    *,
    data_dir: Path,
    store: ModelStore,
    withheld: int = WITHHELD,
    threads: int = 1,
    device: str = "cpu",
) -> Model:
    """The twin of a trained classifier that sees all but the last `withheld` training images.

    It lies in a folder of the model's name in `workplace`; one that is there already is taken, a training that was
    stopped goes on. What a twin begins with, which `store` finds, has to be a twin, too, so those in `workplace` come
    first there. Raises InvalidRequest for a model that was not trained here, ConfigurationError where the model that it
    begins with has no twin yet.
    """
    card = model.card
    if card is None or model.manifest.source is not None:
        raise InvalidRequest(f"{model.id} was not trained by a recipe of this store; it has no twin.")
    folder = workplace / model.id
    twin = Model(folder)
    if twin.weights.is_file() and twin.card is not None and _same_recipe(card, twin.card, withheld):
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
        withheld=withheld,
    )
    write_card(made, folder / "card.json")
    return Model(folder)


def _same_recipe(card: Card, twin: Card, withheld: int) -> bool:
    """Whether all that a card says of its recipe, which may be less than there is to say, is said of the twin's."""
    wanted = {**card.recipe, "withheld": withheld}
    return all(twin.recipe.get(name) == value for name, value in wanted.items())

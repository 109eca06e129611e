"""How long every recipe takes, and on what that was measured: docs/training.md, from the models' manifests and cards.

It prints the page, or writes it where it is told to `--write`.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from service.settings import Settings
from service.store import Model, ModelStore
from service.training.registry import REDUCED, Form, read_recipe

PAGE = Path(__file__).parents[1] / "docs" / "training.md"
NEVER = "not measured"
LENGTHS = ("epochs", "iterations")
HEAD = """# How long a training takes

Written by `python -m experiments.trainings --write` from the recipes and the cards of the models: a time is what the
shipped weights took, on what their card names, or *not measured*. No recipe has been run on a GPU yet.

`chapterhouse train ID` follows the reduced recipe on a CPU, where there is one, and the full one elsewhere: `--device
cuda:0`. `--time-budget S` stops after so many seconds of training, before the first round for which there is no time
left, and keeps the best so far: by the images that the recipe holds out, or by the FID at which it is appraised, else
the last. The card says so in `noticed`; the same command without it, or with more time, goes on from there.
`--processes N` shares the batches of a classifier among N GPUs; where there are fewer it is refused.

A recipe computes in the precision that it names, on every device. `float32` is what it says: TF32, which cards
otherwise use for convolutions, is off unless the recipe names `tf32`; `bfloat16` is that of products in the forward
pass. Loops without the word compute in the precision of their nets.

Two numbers of iterations are those of a generator that goes on, from its weights as they are stored, beside a
discriminator that begins anew: `afterwards` in its recipe, with what the second part does otherwise.

| model | recipe | length | precision | on a CPU | on a GPU |
|---|---|---|---|---|---|
"""


def render(store: ModelStore) -> str:
    """The page."""
    models = [store.described(name) for name in store.described_ids()]
    return HEAD + "".join(row for model in models if model.manifest.training for row in _rows(model))


def _rows(model: Model) -> Iterator[str]:
    forms: tuple[Form, ...] = ("full", "reduced") if REDUCED in model.manifest.training else ("full",)
    for form in forms:
        _, recipe = read_recipe(model.manifest.training, form=form)
        said = recipe.model_dump()
        length = next((f"{counted(said, word)} {word}" for word in LENGTHS if said.get(word)), "once")
        times = [_time(model, form, on_gpu=on_gpu) for on_gpu in (False, True)]
        yield f"| `{model.id}` | {form} | {length} | {said.get('precision', '')} | {' | '.join(times)} |\n"


def counted(said: Mapping[str, Any], word: str) -> str:
    """How many rounds a recipe has: of both its parts where there are two."""
    later = said.get("afterwards", {}).get(word)
    return f"{said[word]:,} + {later:,}" if later else f"{said[word]:,}"


def _time(model: Model, form: Form, *, on_gpu: bool) -> str:
    """What the shipped weights took, if that was by this recipe on such a device."""
    card = model.card
    if card is None or card.recipe.get("form", "full") != form or ("thread" not in card.hardware) != on_gpu:
        return NEVER
    return f"{_words(card.seconds)} ({card.hardware})"


def _words(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def main() -> None:
    """Write the page, or print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    page = render(ModelStore(Settings().shipped_models_dir))
    if parser.parse_args().write:
        PAGE.write_text(page, "utf-8")
    else:
        print(page)


if __name__ == "__main__":
    main()

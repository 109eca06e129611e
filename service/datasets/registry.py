"""Every dataset that can be read and fetched, by its name in manifests and commands."""

from service.datasets.mnist import FASHION_MNIST, MNIST
from service.datasets.publication import Dataset
from service.errors import DatasetMissing

DATASETS: dict[str, Dataset] = {
    "fashion-mnist": FASHION_MNIST,
    "mnist": MNIST,
}


def find_dataset(name: str) -> Dataset:
    """The dataset of this name. Raises DatasetMissing, listing those there are."""
    try:
        return DATASETS[name]
    except KeyError:
        raise DatasetMissing(f"There is no dataset called {name!r}; there are {', '.join(DATASETS)}.") from None

"""Every dataset that can be read and fetched, by its name in manifests and commands."""

from service.datasets.cifar10 import CIFAR10
from service.datasets.lorenz import LORENZ
from service.datasets.mackey_glass import MACKEY_GLASS, MACKEY_GLASS_30
from service.datasets.mixtures import GRID, RING, Mixture
from service.datasets.mnist import FASHION_MNIST, MNIST
from service.datasets.narma10 import NARMA10
from service.datasets.publication import Dataset
from service.datasets.series import SeriesSource
from service.datasets.series_files import ENDINGS, series_in_file
from service.datasets.stacked import STACKED_MNIST, Stacked
from service.datasets.waveforms import WAVEFORMS
from service.errors import DatasetMissing
from service.spelling import meant

DATASETS: dict[str, Dataset] = {
    "cifar-10": CIFAR10,
    "fashion-mnist": FASHION_MNIST,
    "mnist": MNIST,
}

SERIES: dict[str, SeriesSource] = {
    "lorenz": LORENZ,
    "mackey-glass": MACKEY_GLASS,
    "mackey-glass-30": MACKEY_GLASS_30,
    "narma-10": NARMA10,
    "waveforms": WAVEFORMS,
}

MIXTURES: dict[str, Mixture] = {
    "grid-25": GRID,
    "ring-8": RING,
}

STACKED: dict[str, Stacked] = {
    "stacked-mnist": STACKED_MNIST,
}


def find_dataset(name: str) -> Dataset:
    """The dataset of this name. Raises DatasetMissing, listing those there are."""
    try:
        return DATASETS[name]
    except KeyError:
        known = ", ".join(DATASETS)
        raise DatasetMissing(
            f"There is no dataset called {name!r}; there are {known}.{meant(name, DATASETS)}"
        ) from None


def find_series(name: str) -> SeriesSource:
    """The series of this name, or in a CSV or JSON file of the data directory. Raises DatasetMissing, listing them."""
    if name.endswith(ENDINGS):
        return series_in_file(name)
    try:
        return SERIES[name]
    except KeyError:
        known = f"{', '.join(SERIES)}, and files ending in {' or '.join(ENDINGS)}"
        raise DatasetMissing(f"There is no series called {name!r}; there are {known}.") from None


def find_mixture(name: str) -> Mixture:
    """The mixture of Gaussians of this name. Raises DatasetMissing, listing them."""
    try:
        return MIXTURES[name]
    except KeyError:
        raise DatasetMissing(f"There is no mixture called {name!r}; there are {', '.join(MIXTURES)}.") from None

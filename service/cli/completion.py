"""What a shell offers for the word that is being typed: models, metrics, references and datasets by their names."""

from collections.abc import Callable, Iterable


def models(incomplete: str) -> list[str]:
    """Models that have weights."""
    from service.settings import read_settings
    from service.store import ModelStore

    return beginning(incomplete, lambda: ModelStore.of(read_settings()).ids())


def described_models(incomplete: str) -> list[str]:
    """All models of the store, also those that are to be trained or fetched."""
    from service.settings import read_settings
    from service.store import ModelStore

    return beginning(incomplete, lambda: ModelStore.of(read_settings()).described_ids())


def references(incomplete: str) -> list[str]:
    """The stored references."""
    from service.evaluation.references import References
    from service.settings import read_settings

    return beginning(incomplete, lambda: References.of(read_settings()).names())


def metrics(incomplete: str) -> list[str]:
    """Metrics; of several that commas separate, the last one."""
    from service.metrics.registry import METRICS

    before, comma, last = incomplete.rpartition(",")
    chosen = before.split(",")
    return [f"{before}{comma}{name}" for name in beginning(last, lambda: METRICS) if name not in chosen]


def datasets(incomplete: str) -> list[str]:
    """Datasets."""
    from service.datasets.registry import DATASETS

    return beginning(incomplete, lambda: DATASETS)


def beginning(incomplete: str, names: Callable[[], Iterable[str]]) -> list[str]:
    """The names that begin so; none where they cannot be read, for nobody reads an error while typing."""
    from service.errors import ConfigurationError, ServiceError

    try:
        return [name for name in names() if name.startswith(incomplete)]
    except (ConfigurationError, OSError, ServiceError):
        return []

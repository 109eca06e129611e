"""The value of each metric by its own name: `report.fid`."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Measured(Protocol):
    """What has entries of metrics, each with a value."""

    @property
    def metrics(self) -> "Mapping[str, _Valued]": ...


class _Valued(Protocol):
    @property
    def value(self) -> float: ...


class Value:
    """The value of the metric that the attribute is named after; there is none where it was not measured."""

    _metric: str

    def __set_name__(self, owner: type, name: str) -> None:
        self._metric = name

    def __get__(self, report: _Measured, owner: type) -> float:
        if self._metric not in report.metrics:
            raise AttributeError
        return report.metrics[self._metric].value


class Scores:
    """A value for each metric of the registry."""

    fid = Value()
    fid_infinity = Value()
    inception_score = Value()
    mode_score = Value()
    mmd = Value()
    kid = Value()
    wasserstein = Value()
    sliced_wasserstein = Value()
    one_nn = Value()
    precision = Value()
    recall = Value()
    density = Value()
    coverage = Value()
    memorisation = Value()

    if not TYPE_CHECKING:  # to a type checker every name would be one of ours

        def __getattr__(self, name: str) -> object:
            """Say why there is no value."""
            if name in vars(Scores):
                raise AttributeError(f"{name} was not measured; measured were {', '.join(self.metrics)}")
            return super().__getattr__(name)

"""What KID and MMD share: the products of all pairs of features, nearly all of the work of either."""

from abc import abstractmethod
from collections.abc import Iterable

from service.errors import InvalidSamples
from service.metrics.kernel_precision import discrepancies
from service.metrics.kernel_sums import Discrepancy
from service.metrics.kernels import Kernel
from service.metrics.metric import Metric, Side, lacks_features


class KernelMetric(Metric):
    """A score of a kernel's means within and between two sets."""

    def lacks(self, real: Side, generated: Side) -> str | None:
        """Features of both sides."""
        return lacks_features(real, generated)

    @abstractmethod
    def kernel_for(self, real: Side) -> Kernel | None:
        """The kernel, which may depend on the reference; None where its means over whole sets are not asked for."""

    falls = True

    def between_halves(self, real: Side, generated: Side, seed: int) -> float:
        """The score between halves, which those who share the sets share, too."""
        if real.features is not None:
            share(*real.halves(seed), _sharing(real, generated))
        return super().between_halves(real, generated, seed)


def share(real: Side, generated: Side, metrics: Iterable[Metric]) -> None:
    """Let the first of these metrics that is measured on two sides compute the sums of them all."""
    generated.remember(("sharing", real), lambda: [metric for metric in metrics if isinstance(metric, KernelMetric)])


def sums_of(kernel: Kernel, real: Side, generated: Side) -> Discrepancy:
    """A kernel's sums, with those of the metrics that share the sets. Raises InvalidSamples."""
    together = generated.remember(("sums", real), lambda: _sums(_kernels(real, generated), real, generated))
    return together[kernel] if kernel in together else _sums([kernel], real, generated)[kernel]


def _sharing(real: Side, generated: Side) -> list[KernelMetric]:
    return generated.remember(("sharing", real), list)


def _kernels(real: Side, generated: Side) -> list[Kernel]:
    asked = [_kernel_of(metric, real) for metric in _sharing(real, generated)]
    return [kernel for kernel in dict.fromkeys(asked) if kernel is not None]


def _kernel_of(metric: KernelMetric, real: Side) -> Kernel | None:
    """A metric's kernel; None where it has none on this reference, which is then its own error and nobody else's."""
    try:
        return metric.kernel_for(real)
    except InvalidSamples:
        return None


def _sums(kernels: list[Kernel], real: Side, generated: Side) -> dict[Kernel, Discrepancy]:
    if not kernels:
        return {}
    assert real.features is not None, "lacks() is asked first"
    assert generated.features is not None, "lacks() is asked first"
    return dict(zip(kernels, discrepancies(real.features, generated.features, kernels), strict=True))

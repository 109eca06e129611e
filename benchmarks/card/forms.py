"""Eager, recorded and compiled forward passes in each precision and size, without any service around them."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.card.place import Place, seconds_of
from service.forms.whole import Whole
from service.nets.arithmetic import multiplying
from service.nets.folding import simplified
from service.nets.registry import build_net
from service.runtime.cards.graphs import Graphs, Pass
from service.settings import Settings
from service.store import Model, ModelStore

MODELS = ("lenet5-mnist", "nin-cifar10", "alexnet-imagenet", "vgg16-imagenet")
SIZES = (1, 8, 64, 256, 1024)
COMPILED = (64,)
"""Compiling takes longer than anything else here."""
PRECISIONS = {
    "float32": (torch.float32, False),
    "tf32": (torch.float32, True),
    "bfloat16": (torch.bfloat16, False),
}

Compute = Callable[[Tensor], Tensor]


@torch.inference_mode()
def run(place: Place) -> None:
    """Measure every combination, those that take long last. Weights are drawn: they take as long."""
    store = ModelStore.of(Settings())
    models = [store.described(name) for name in MODELS[: 1 if place.rehearsal else None]]
    for way, sizes in (("eager", SIZES), ("graph", SIZES), ("compiled", COMPILED)):
        if place.rehearsal and way == "graph":
            continue  # there are none on a processor
        for model in models:
            for precision in PRECISIONS:
                for size in sizes[: 2 if place.rehearsal else None]:
                    if place.left_s > 0:
                        _measure(place, model, way, precision, size)


def _measure(place: Place, model: Model, way: str, precision: str, size: int) -> None:
    dtype, tf32 = PRECISIONS[precision]
    spec = model.input
    images = torch.zeros(size, *spec.size, spec.channels, dtype=torch.uint8, device=place.at)
    with multiplying(tf32=tf32):
        try:
            net = Whole(simplified(build_net(model.manifest.net, model.manifest.options)), spec, dtype)
            compute = made(way, net.eval().to(place.at), images, rehearsal=place.rehearsal)
            took_s = seconds_of(place, lambda: compute(images))
        except Exception as error:  # noqa: BLE001 - the next may do
            place.write(model=model.id, way=way, precision=precision, size=size, failed=f"{error}"[:200])
            return
    rate = size / took_s
    place.write(model=model.id, way=way, precision=precision, size=size, images_per_s=round(rate),
                ms=float(f"{1000 * took_s:.3g}"))  # fmt: skip


def made(way: str, net: nn.Module, images: Tensor, *, rehearsal: bool) -> Compute:
    """A net as it computes images like these eagerly, compiled or recorded as a graph."""
    if way == "compiled":
        compiled: Compute = torch.compile(net, backend="eager" if rehearsal else "inductor")
        return compiled
    if way == "eager":
        return net
    graphs, wanted = Graphs(), Pass("", "", "", len(images), exact=False)
    graphs.record(wanted, lambda given: [net(given[0])], [images], torch.cuda.Stream())  # type: ignore[no-untyped-call]
    recording = graphs.of(wanted)
    assert recording is not None, "it could not be recorded"
    return lambda given: next(_played(recording.play([given])))


def _played(outputs: object) -> Iterator[Tensor]:
    assert isinstance(outputs, list)
    yield from outputs

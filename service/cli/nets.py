"""`chapterhouse models nets`: the nets as their papers print them, and the table of a net's layers."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.reporting import JSONOption, fail_clearly, print_json, print_table
from service.errors import InvalidManifest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.nets.layers import LayerRow
    from service.store import Layer


@fail_clearly
def show_nets(
    name: Annotated[str | None, typer.Argument(help="One net, with the table of its layers.")] = None,
    as_json: JSONOption = False,
) -> None:
    """List the papers' nets at their full size: parameters, and multiply-accumulates of one image."""
    from service.nets.published import PUBLISHED

    if name is not None and name not in PUBLISHED:
        raise InvalidManifest(f"There is no net called {name!r}; there are {', '.join(PUBLISHED)}.")
    chosen = PUBLISHED if name is None else {name: PUBLISHED[name]}
    layers = {name: published.layers() for name, published in chosen.items()}
    nets = [
        {
            "name": name,
            "net": published.net,
            "options": dict(published.options),
            "input": published.input,
            "classes": published.classes,
            "parameters": sum(row.parameters for row in layers[name]),
            "macs": sum(row.macs for row in layers[name]),
            "chapter": published.chapter,
            "paper": published.paper,
        }
        for name, published in chosen.items()
    ]
    if as_json:
        tables = {} if name is None else {"layers": [asdict(row) for row in layers[name]]}
        print_json({"nets": nets, **tables})
        return
    columns = ("net", ">input", ">classes", ">parameters", ">MACs", ">chapter", "paper")
    print_table(columns, [_row(net) for net in nets])
    if name is not None:
        print_layers(layers[name])


def print_layers(layers: "Iterable[Layer | LayerRow]") -> None:
    """Print kernel, stride, output, parameters, multiply-accumulates and receptive field of each layer."""
    columns = ("layer", "kind", ">kernel", ">stride", ">output", ">parameters", ">MACs", ">sees")
    print_table(columns, [_cells(layer) for layer in layers])


def _row(net: dict[str, object]) -> tuple[str, ...]:
    shape = net["input"]
    assert isinstance(shape, tuple)
    return (
        str(net["name"]),
        _sizes(shape),
        f"{net['classes']:,}",
        f"{net['parameters']:,}",
        f"{net['macs']:,}",
        str(net["chapter"]),
        str(net["paper"]),
    )


def _cells(layer: "Layer | LayerRow") -> tuple[str, ...]:
    return (
        layer.name,
        layer.kind,
        _sizes(layer.kernel),
        _sizes(layer.stride),
        _sizes(layer.output),
        f"{layer.parameters:,}",
        f"{layer.macs:,}",
        "–" if layer.receptive_field is None else str(layer.receptive_field),
    )


def _sizes(sizes: tuple[int, ...] | None) -> str:
    return "–" if sizes is None else "×".join(map(str, sizes))

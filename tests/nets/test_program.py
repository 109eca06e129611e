import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from nets.programs import changed, changed_json, looking_net, looking_program

from service.errors import InvalidManifest, UntrustedWeights
from service.nets.program import Program
from service.nets.registry import open_net

X = torch.linspace(-1.0, 1.0, 5 * 3 * 64).view(5, 3, 8, 8).sin()
TOUCHED = "touched"


def opened(tmp_path: Path, data: bytes, **options: Any) -> Program:
    (tmp_path / "weights.pt2").write_bytes(data)
    net = open_net("torch-export", options, tmp_path / "weights.pt2")
    assert isinstance(net, Program)
    return net


@pytest.mark.parametrize("rows", ["any", "two"])
def test_a_program_answers_as_its_net_does_for_any_number_of_rows(tmp_path: Path, rows: str) -> None:
    program = opened(tmp_path, looking_program(rows), features="features", logits="logits")
    with torch.inference_mode():
        expected = looking_net()(X)
        hidden, logits = program.see(X)
        torch.testing.assert_close(hidden, expected["features"])
        torch.testing.assert_close(logits, expected["logits"])
        torch.testing.assert_close(program(X[:1]), expected["logits"][:1])
    assert program.numbers == sum(parameter.numel() for parameter in looking_net().parameters())
    assert program.given.shape[1:] == (3, 8, 8)


def test_what_a_program_does_not_answer_is_named_with_what_it_does(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest, match=r"no output called maps; there are \['features', 'logits'\]"):
        opened(tmp_path, looking_program(), features="maps")


class Touching:
    """A pickle that leaves a file where it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_sample_inputs_are_never_unpickled(tmp_path: Path) -> None:
    """torch.export.load unpickles them without limits where they are not plain tensors."""

    def pickled(records: dict[str, bytes]) -> None:
        [name] = [name for name in records if "sample_inputs" in name]
        records[name] = pickle.dumps(Touching(tmp_path / TOUCHED))

    assert opened(tmp_path, changed(pickled), logits="logits")(X).shape == (5, 3)
    assert not (tmp_path / TOUCHED).exists()


def test_guards_are_never_evaluated(tmp_path: Path) -> None:
    def guarded(program: Any) -> None:
        program["guards_code"] = [f"__import__('pathlib').Path({str(tmp_path / TOUCHED)!r}).touch()"]

    assert opened(tmp_path, changed_json("model.json", guarded), logits="logits")(X).shape == (5, 3)
    assert not (tmp_path / TOUCHED).exists()


def _pickled_weight(records: dict[str, bytes]) -> None:
    [name] = [name for name in records if name.endswith("weights_config.json")]
    records[name] = records[name].replace(b'"use_pickle": false', b'"use_pickle": true', 1)


def _object(records: dict[str, bytes]) -> None:
    records["x/data/constants/custom_obj_0"] = b"\x80\x04N."


def _compiled(records: dict[str, bytes]) -> None:
    records["x/data/aotinductor/model/net.so"] = b"\x7fELF"


def _legacy_weights(records: dict[str, bytes]) -> None:
    records["x/data/weights/model.pt"] = b"\x80\x04N."


def _elsewhere(records: dict[str, bytes]) -> None:
    records["x/../../etc/passwd"] = b"root"


def _two_graphs(records: dict[str, bytes]) -> None:
    records["x/models/model.json"] = b"{}"


def _no_graph(records: dict[str, bytes]) -> None:
    del records[next(name for name in records if name.endswith("models/model.json"))]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_pickled_weight, "is pickled, or missing"),
        (_object, "objects that are no tensors"),
        (_compiled, "compiled code, which would run unseen"),
        (_legacy_weights, "its weights are pickled"),
        (_elsewhere, "a record called"),
        (_two_graphs, "two records of one name"),
        (_no_graph, "holds no exported program"),
    ],
)
def test_an_archive_of_anything_but_tensors_and_a_graph_is_refused(
    tmp_path: Path, change: Callable[[dict[str, bytes]], None], reason: str
) -> None:
    with pytest.raises(UntrustedWeights, match=reason) as raised:
        opened(tmp_path, changed(change))
    assert "torch.export.save(torch.export.export(net.eval(), (x,)), 'net.pt2')" in str(raised.value)


def _code_in_a_size(program: Any) -> None:
    sizes = program["graph_module"]["graph"]["tensor_values"]["x"]["sizes"]
    sizes[0]["as_expr"]["expr_str"] = "__import__('os').getpid()"


def _power_in_a_size(program: Any) -> None:
    sizes = program["graph_module"]["graph"]["tensor_values"]["x"]["sizes"]
    sizes[0]["as_expr"]["expr_str"] = "9**9**9"


def _code_in_a_name(program: Any) -> None:
    program["graph_module"]["graph"]["inputs"][0]["as_tensor"]["name"] = "x=print(1)"


def _other_operator(program: Any) -> None:
    program["graph_module"]["graph"]["nodes"][0]["target"] = "torch.load"


def _reading_operator(program: Any) -> None:
    program["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.aten.from_file.default"


def _writing_operator(program: Any) -> None:
    program["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.aten.save.default"


def _own_operator(program: Any) -> None:
    program["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.mine.conv.default"


def _enumeration_in_a_tree(program: Any) -> None:
    signature = program["graph_module"]["module_call_graph"][0]["signature"]
    context = json.dumps({"__enum__": True, "fqn": "antigravity:x", "name": "y"})
    signature["in_spec"] = json.dumps([1, {"type": "builtins.dict", "context": context, "children_spec": []}])


def _nothing(program: Any) -> None:
    program.clear()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_code_in_a_size, "as 'expr_str'"),
        (_power_in_a_size, "as 'expr_str'"),
        (_code_in_a_name, "as 'name'"),
        (_other_operator, "calls 'torch.load'; operators of ATen"),
        (_reading_operator, "calls 'torch.ops.aten.from_file.default'"),
        (_writing_operator, "calls 'torch.ops.aten.save.default'"),
        (_own_operator, "calls 'torch.ops.mine.conv.default'"),
        (_enumeration_in_a_tree, "as 'in_spec'"),
        (_nothing, "no exported program that can be read"),
    ],
)
def test_a_graph_that_says_anything_that_torch_would_run_is_refused(
    tmp_path: Path, change: Callable[[Any], None], reason: str
) -> None:
    with pytest.raises(UntrustedWeights, match=reason):
        opened(tmp_path, changed_json("models/model.json", change))


def _vast(config: Any) -> None:
    known = next(iter(config["config"].values()))
    known["tensor_meta"]["sizes"] = [{"as_int": 10**12}]


def _on_a_card(config: Any) -> None:
    next(iter(config["config"].values()))["tensor_meta"]["device"] = {"type": "cuda", "index": 0}


def _negative(config: Any) -> None:
    next(iter(config["config"].values()))["tensor_meta"]["storage_offset"] = {"as_int": -8}


@pytest.mark.parametrize(
    ("change", "reason"),
    [(_vast, "larger than what lies there"), (_on_a_card, "lies on cuda"), (_negative, "sizes that are no numbers")],
)
def test_weights_that_are_not_there_are_refused(tmp_path: Path, change: Callable[[Any], None], reason: str) -> None:
    with pytest.raises(UntrustedWeights, match=reason):
        opened(tmp_path, changed_json("weights_config.json", change))


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(tmp_path: Path) -> None:
    bomb = changed(
        lambda records: records.update({"x/extra/zeros": b"\0" * 10_000_000}), compression=zipfile.ZIP_DEFLATED
    )
    assert len(bomb) < 1_000_000
    with pytest.raises(UntrustedWeights, match="larger unpacked than it is"):
        opened(tmp_path, bomb)


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x03\x04 begins as one"], ids=["empty", "text", "cut"])
def test_what_is_no_program_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UntrustedWeights, match="no exported program that can be read"):
        opened(tmp_path, data)


def test_a_program_moves_with_the_devices_that_its_operators_name(tmp_path: Path) -> None:
    program = opened(tmp_path, looking_program(), logits="logits")
    moved = program.to("meta")
    assert moved(X.to("meta")).device.type == "meta"
    assert moved(X.to("meta")).shape == (5, 3)

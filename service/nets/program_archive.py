"""What torch.export wrote (.pt2), read as data: a clean copy in memory that torch can open without running anything.

torch.export.load unpickles sample inputs, constants and weights, evaluates expressions and guards as Python, and loads
compiled code. So the file is read here first. Only tensors as plain bytes and a graph of ATen's operators are kept;
sample inputs, guards and notes are left out, and all else is refused.
"""

import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from service.errors import UntrustedWeights

HOW = (
    "Export it with torch 2.8 or later on the CPU: torch.export.save(torch.export.export(net.eval(), (x,)), 'net.pt2')."
)
RECORDS_LIMIT = 20_000
GRAPH_LIMIT_BYTES = 64 * 1024 * 1024
DEPTH = 40
NOT_CODE = re.compile(r"[A-Za-z0-9_.]{0,500}")
"""What names may be made of: torch writes some of them into Python that it then runs."""
WORDS = re.compile(r"[\w ,.:>+-]{0,100}")
"""What operators are told in words, which torch quotes."""
TARGET = re.compile(
    r"torch\.ops\.aten\.[A-Za-z0-9_]+\.[A-Za-z0-9_]+"
    r"|_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|pow|neg|eq|ne|lt|le|gt|ge|and_|or_)"
    r"|torch\.sym_(int|float|max|min|not|ite|sum)|math\.(ceil|floor|trunc)"
)
REACHING_OUT = re.compile(
    r"save|from_file|set_?|resize_?|resize_as_?|resize_as_sparse_|_resize_output_|data|set_data|manual_seed|seed"
    r"|initial_seed|set_grad_enabled|warn|_print|wait|to_here|owner|owner_name|local_value|confirmed_by_owner"
    r"|_cufft_set_plan_cache_max_size|_cufft_clear_plan_cache"
)
"""ATen's operators that read or write files, take memory that is not theirs, or change what others compute."""
SYMBOL = re.compile(r"Symbol\('[A-Za-z0-9_]{1,40}'(, (positive|integer|nonnegative|real)=(True|False)){0,4}\)")
FUNCTIONS = (
    "CeilDiv|CeilToInt|CleanDiv|FloatTrueDiv|FloorDiv|FloorToInt|Identity|IntTrueDiv|Max|Min|Mod|ModularIndexing|PythonMod"
    "|RoundToInt|ToFloat|TruncToFloat|TruncToInt|Where|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|Integer|true|false|True|False"
)
EXPRESSION = re.compile(rf"(?:\b(?:{FUNCTIONS})\b|\b[a-z]{{1,4}}\d{{1,9}}\b|\b\d{{1,18}}\b|[()+\-*/,<>= ])*")
"""Sizes by their symbols, without a power: what is left of an expression once its symbols are taken out."""
TREES = frozenset({None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})
LEFT_OUT = ("data/sample_inputs/", "extra/", ".data/")
KEPT = re.compile(
    r"archive_format|archive_version|byteorder|models/model\.json|data/(weights|constants)/model_\1_config\.json"
    r"|data/weights/weight_\d{1,6}|data/constants/tensor_\d{1,6}"
)
REFUSED = {
    "data/aotinductor/": "it holds compiled code, which would run unseen.",
    "data/constants/": "it holds objects that are no tensors.",
    "data/weights/": "its weights are pickled.",
}
GRAPH, SAMPLES = "models/model.json", "data/sample_inputs/model.pt"


def clean_program(file: Path) -> io.BytesIO:
    """A copy of an exported program that is nothing but tensors and a graph. Raises UntrustedWeights for all else."""
    try:
        with zipfile.ZipFile(file) as archive:
            return _copied(file, archive)
    except UntrustedWeights:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, zipfile.BadZipFile) as error:
        raise UntrustedWeights.of_file(file, f"it is no exported program that can be read: {error}. {HOW}") from error


def _copied(file: Path, archive: zipfile.ZipFile) -> io.BytesIO:
    records = _records(file, archive)
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as clean:
        for name, entry in records.items():
            if name.endswith(".json") and entry.file_size > GRAPH_LIMIT_BYTES:
                _refuse(file, "its graph is too large.")
            data = archive.read(entry)
            if name == GRAPH:
                data = json.dumps(_checked_program(file, json.loads(data))).encode()
            elif name.endswith("_config.json"):
                _check_tensors(file, json.loads(data), records, name.rpartition("/")[0])
            clean.writestr(f"program/{name}", data)
        clean.writestr(f"program/{SAMPLES}", b"")
        clean.writestr("program/.data/version", "3\n")
    copy.seek(0)
    return copy


def _records(file: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The records that are kept, by their names within the archive's one folder."""
    entries = archive.infolist()
    if len(entries) > RECORDS_LIMIT:
        _refuse(file, f"it has {len(entries):,} records; {RECORDS_LIMIT:,} are the most.")
    if sum(entry.file_size for entry in entries) > file.stat().st_size:
        _refuse(file, "it would be larger unpacked than it is.")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        _refuse(file, "it is compressed, as torch never writes it.")
    kept = [entry for entry in entries if _is_kept(file, _name_of(entry))]
    found = {_name_of(entry): entry for entry in kept}
    if len(found) < len(kept):
        _refuse(file, "it has two records of one name.")
    if GRAPH not in found:
        _refuse(file, "it holds no exported program.")
    return found


def _name_of(entry: zipfile.ZipInfo) -> str:
    return entry.filename.partition("/")[2]


def _is_kept(file: Path, name: str) -> bool:
    """Whether a record is wanted. Raises UntrustedWeights for one that must not be there."""
    if KEPT.fullmatch(name):
        return True
    if not name.startswith(LEFT_OUT):
        _refuse(file, next((why for start, why in REFUSED.items() if name.startswith(start)), _unknown(name)))
    return False


def _unknown(name: str) -> str:
    return f"it has a record called {name[:80]!r}, which no exported program of today has."


def _check_tensors(file: Path, config: Any, records: dict[str, zipfile.ZipInfo], folder: str) -> None:
    """Every tensor lies in a record of the archive, as plain bytes, and is no larger than that."""
    for name, known in config["config"].items():
        record = records.get(f"{folder}/{known['path_name']}")
        if not NOT_CODE.fullmatch(name):
            _refuse(file, f"a tensor is called {name[:80]!r}.")
        if record is None or known["use_pickle"] or known["tensor_meta"] is None:
            _refuse(file, f"its tensor {name} is pickled, or missing.")
        meta = known["tensor_meta"]
        numbers = [size["as_int"] for size in [*meta["sizes"], *meta["strides"], meta["storage_offset"]]]
        if not all(type(number) is int and number >= 0 for number in numbers):
            _refuse(file, f"its tensor {name} has sizes that are no numbers.")
        if math.prod(size["as_int"] for size in meta["sizes"]) > record.file_size:
            _refuse(file, f"its tensor {name} is larger than what lies there.")
        if meta["device"]["type"] != "cpu":
            _refuse(file, f"its tensor {name} lies on {str(meta['device']['type'])[:20]}.")


def _checked_program(file: Path, program: Any) -> Any:
    """The program without notes and guards, which torch would evaluate. Raises UntrustedWeights."""
    program["guards_code"] = []
    module = program["graph_module"]
    module["metadata"], module["treespec_namedtuple_fields"] = {}, {}
    module["module_call_graph"] = module["module_call_graph"][:1]
    for node in module["graph"]["nodes"]:
        node["metadata"] = {}
        target = str(node["target"])
        if not TARGET.fullmatch(target) or REACHING_OUT.fullmatch(target.split(".")[-2]):
            _refuse(file, f"its graph calls {target[:100]!r}; operators of ATen are run, and no others.")
    for key, value in _strings(program):
        check = CHECKS.get(key, NOT_CODE.fullmatch)
        if not check(value):
            _refuse(file, f"its graph says {value[:100]!r} as {key[:40]!r}, which no exported program of ATen does.")
    return program


def _strings(value: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Every string of a document with the key it stands under, and every key."""
    if depth > DEPTH:
        raise ValueError("it is nested too deep")
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for inner, part in value.items():
            yield "", inner
            yield from _strings(part, inner, depth + 1)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part, key, depth + 1)


def _is_expression(text: str) -> bool:
    """Whether torch may have this evaluated: sizes, and what is computed of them."""
    rest = SYMBOL.sub("1", text)
    return len(text) < 2000 and "**" not in text and EXPRESSION.fullmatch(rest) is not None


def _is_tree(text: str) -> bool:
    """Whether this describes tuples, lists and dicts of tensors, nothing else."""
    document = json.loads(text)
    return isinstance(document, list) and all(map(_is_plain_tree, document[1:]))


def _is_plain_tree(node: Any) -> bool:
    context = json.loads(node["context"]) if node["context"] is not None else None
    keys = context is None or (isinstance(context, list) and all(isinstance(key, str) for key in context))
    return node["type"] in TREES and keys and all(map(_is_plain_tree, node["children_spec"]))


def _is_never(_text: str) -> bool:
    return False


CHECKS: dict[str, Callable[[str], object]] = {
    "expr_str": _is_expression,
    "as_string": WORDS.fullmatch,
    "as_strings": WORDS.fullmatch,
    "in_spec": _is_tree,
    "out_spec": _is_tree,
    "torch_version": WORDS.fullmatch,
    "as_operator": _is_never,
    "class_fqn": _is_never,
}


def _refuse(file: Path, why: str) -> NoReturn:
    raise UntrustedWeights.of_file(file, f"{why} {HOW}")

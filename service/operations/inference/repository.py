"""What the protocol tells of the server and of its models: metadata, configuration, and the index of the store."""

from typing import Any

from service import __version__
from service.errors import InvalidManifest, NotReady
from service.operations.inference.signatures import ANY, Slot, signature_of
from service.operations.inference.tensors import BYTES
from service.runtime.calls import EngineStatus
from service.store import Model, ModelStore
from service.store.manifest import ONNX, PROGRAM

EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "parameters",
    "statistics",
)
"""Of Triton's extensions those that are answered."""


def describe_server() -> dict[str, Any]:
    """The metadata of the server."""
    return {"name": "chapterhouse", "version": __version__, "extensions": list(EXTENSIONS)}


def find_model(store: ModelStore, name: str, version: str = "") -> Model:
    """The model of this name, and of this version where one is given. Raises ModelNotFound, InvalidManifest."""
    return store.get(name, version=version or None)


def check_ready(model: Model, engines: EngineStatus) -> None:
    """Raises NotReady where no engine holds the model, warm."""
    if not _is_ready(model.id, engines):
        raise NotReady(f"{model.id} is not loaded; it will be with its first request, or when it is told to.")


def describe_tensors(store: ModelStore, model: Model) -> dict[str, Any]:
    """The metadata of a model."""
    signature, versions = signature_of(model), store.versions(model.name)
    return {
        "name": model.name,
        "versions": [model.version] if versions is None else versions.there(),
        "platform": _platform(model),
        "inputs": [_metadata(slot) for slot in signature.inputs],
        "outputs": [_metadata(slot) for slot in signature.outputs],
    }


def configure(model: Model) -> dict[str, Any]:
    """What Triton's clients read of a model's configuration, as the JSON of its ModelConfig."""
    signature = signature_of(model)
    first = 1 if signature.batched else 0
    return {
        "name": model.name,
        "platform": _platform(model),
        "backend": "onnxruntime" if model.manifest.net == ONNX else "pytorch",
        "max_batch_size": model.manifest.serving.max_batch if signature.batched else 0,
        "input": [_configured(slot, first, optional=slot.optional) for slot in signature.inputs],
        "output": [_configured(slot, first) for slot in signature.outputs],
        **({"dynamic_batching": {}} if signature.batched else {}),
    }


def list_models(store: ModelStore, engines: EngineStatus, *, ready: bool = False) -> list[dict[str, str]]:
    """Every model that has weights, or of these those that are warm, and why the others are not."""
    held = engines.models()
    found = []
    for model_id in store.each():
        state = held[model_id].state if model_id in held else ""
        name, _, version = model_id.partition("@")
        try:
            version, reason = store.get(model_id).version, "" if state else "it is loaded with its first request"
        except InvalidManifest as error:
            reason = error.detail
        shown = {"ready": "READY", "loading": "LOADING"}.get(state, "UNAVAILABLE")
        if shown == "READY" or not ready:
            found.append({"name": name, "version": version, "state": shown, "reason": reason})
    return found


def sound_models(store: ModelStore) -> list[Model]:
    """Every model whose files are right, in each of its versions."""
    return store.sound(store.each())[0]


def _is_ready(name: str, engines: EngineStatus) -> bool:
    held = engines.models().get(name)
    return held is not None and held.state == "ready"


def _platform(model: Model) -> str:
    return {ONNX: "onnx_onnxv1", PROGRAM: "pytorch_export"}.get(model.manifest.net, "pytorch_safetensors")


def _metadata(slot: Slot) -> dict[str, Any]:
    return {"name": slot.name, "datatype": slot.datatype, "shape": list(slot.shape)}


def _configured(slot: Slot, first: int, **beside: bool) -> dict[str, Any]:
    told = {"optional": True} if beside.get("optional") else {}
    kind = "STRING" if slot.datatype == BYTES else slot.datatype
    dims = list(slot.shape[first:]) or [ANY if first == 0 else 1]
    layout = {"format": "FORMAT_NHWC"} if slot.name == "image" and ANY not in slot.shape[first:] else {}
    return {"name": slot.name, "data_type": f"TYPE_{kind}", "dims": dims, **layout, **told}

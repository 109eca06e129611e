"""`GET /models/{id}/recording`: how a generator's points moved while it learned, for pages that show it."""

import asyncio

import numpy as np
import orjson
from fastapi import APIRouter, Response
from safetensors import SafetensorError
from safetensors.numpy import load_file

from service.api.models import ModelId, Version, headers_of
from service.api.negotiation import JSON
from service.api.openapi import OF_MODEL, refusals
from service.api.routes import Endpoint
from service.api.state import StateDep
from service.errors import InvalidManifest, ModelNotFound, RecordingNotFound, WrongTask
from service.schemas import RecordingReply
from service.store import Model

router = APIRouter(tags=["models"], route_class=Endpoint)

RECORDING = {"model": RecordingReply, "description": "The recorded samples.", "headers": OF_MODEL}


@router.get(
    "/models/{model_id}/recording",
    summary="A recorded training",
    response_class=Response,
    responses={200: RECORDING, **refusals(ModelNotFound, RecordingNotFound, WrongTask)},
)
async def show_recording(model_id: ModelId, state: StateDep, version: Version = None) -> Response:
    """The samples of the same latents at some moments of the training, with the modes of the data where they are known.

    Null stands for what was no finite number, where a training diverged.
    """
    model = state.store.get(model_id, task="generate", version=version)
    if not model.recording.is_file():
        raise RecordingNotFound(f"No training of {model_id} was recorded.")
    return Response(await asyncio.to_thread(_document, model), media_type=JSON, headers=headers_of(model))


def _document(model: Model) -> bytes:
    try:
        kept = load_file(model.recording)
        steps, samples = kept["step"], kept["samples"].astype(np.float32).round(4)  # half precision holds no more
    except (SafetensorError, KeyError) as error:
        raise InvalidManifest.of_file(model.recording, f"it is no recording: {error}") from error
    points = model.manifest.points
    told = {
        "model": model.name,
        "version": model.version,
        "modes": points.modes if points else (),
        "deviation": points.deviation if points else None,
        "steps": steps,
        "samples": samples,
    }
    return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)

"""The opponent: LeNet-5 behind a FastAPI endpoint as one would write it first, without batching."""

import io
from pathlib import Path

import numpy as np
import torch
from fastapi import FastAPI, Request
from PIL import Image

from service.nets.registry import build_net
from service.nets.weights import load_weights
from service.settings import Settings
from service.store import ModelStore
from service.tasks.classify import normalise


def create_app() -> FastAPI:
    """An application with one endpoint."""
    model = ModelStore(Path(Settings().shipped_models_dir)).get("lenet5-mnist")
    net = build_net(model.manifest.net, model.manifest.options)
    load_weights(net, model.weights)
    net.eval()
    torch.set_num_threads(1)
    app = FastAPI()

    @app.post("/classify")
    async def classify(request: Request) -> dict[str, object]:
        image = np.array(Image.open(io.BytesIO(await request.body())).convert("L"))
        with torch.inference_mode():
            logits = net(normalise(torch.from_numpy(image)[None, :, :, None], model.input))
            probabilities = logits.softmax(dim=1)[0]
        best = int(probabilities.argmax())
        return {"label": model.manifest.labels[best], "probability": float(probabilities[best])}

    return app

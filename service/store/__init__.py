"""The model store: what is written about each model, and where its weights lie."""

from service.store.card import Card, Layer, Score, write_card
from service.store.layers import ModelStore
from service.store.manifest import (
    EXTRACTING,
    ONNX,
    ImageInput,
    ImageOutput,
    Manifest,
    PointsOutput,
    Resample,
    SeriesSpec,
    Size,
    Source,
    TaskName,
)
from service.store.model import Model

__all__ = [
    "EXTRACTING",
    "ONNX",
    "Card",
    "ImageInput",
    "ImageOutput",
    "Layer",
    "Manifest",
    "Model",
    "ModelStore",
    "PointsOutput",
    "Resample",
    "Score",
    "SeriesSpec",
    "Size",
    "Source",
    "TaskName",
    "write_card",
]

"""The shapes of what goes over HTTP below `/v2`, in the words of the Open Inference Protocol."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)


def _given(parameters: Any) -> Any:
    """Parameters without those that are null, which are not given."""
    if not isinstance(parameters, dict):
        return parameters
    return {name: value for name, value in parameters.items() if value is not None}


Parameters = Annotated[dict[str, StrictStr | StrictInt | StrictFloat | StrictBool], BeforeValidator(_given)]
TensorData = Annotated[Any, WithJsonSchema({"type": "array", "items": {}})]
"""Elements in the tensor's shape or one after the other; read into arrays before the rest is checked."""


class ServerMetadata(BaseModel):
    """What `GET /v2` answers."""

    name: str
    version: str
    extensions: list[str] = Field(description="Of Triton's extensions those that are answered.")


class ServerLive(BaseModel):
    """What `GET /v2/health/live` answers."""

    live: bool


class ServerReady(BaseModel):
    """What `GET /v2/health/ready` answers."""

    ready: bool


class ModelReady(BaseModel):
    """What asks whether a model is ready is answered."""

    name: str
    ready: bool


class TensorMetadata(BaseModel):
    """One tensor that a model takes or gives."""

    name: str
    datatype: str
    shape: list[int] = Field(description="A size of -1 is the request's to decide.")


class ModelMetadata(BaseModel):
    """What `GET /v2/models/{model_name}` answers."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class InferTensor(BaseModel):
    """One input of a request."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    shape: list[StrictInt]
    datatype: str
    parameters: Parameters | None = Field(
        None, description="`binary_data_size` where its data follow the JSON; `value_range` of FP32 pixels."
    )
    data: TensorData = Field(
        default_factory=lambda: None, description="Its elements; of BYTES each a string in base64, or a data URL."
    )


class InferOutput(BaseModel):
    """One output that is asked for."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    parameters: Parameters | None = Field(
        None, description="`binary_data`, and `classification`: so many of the largest values as `value:index:label`."
    )


class InferBody(BaseModel):
    """What an inference is asked with."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    id: str | None = Field(None, max_length=1000, description="Comes back with the answer.")
    parameters: Parameters | None = Field(
        None,
        description="`binary_data_output` and `timeout` (microseconds); of classifiers `top_k` and `as_is`, of "
        "generators `generator` and `interpolate`, of forecasters `fit`, `level` and `season`.",
    )
    inputs: list[InferTensor]
    outputs: list[InferOutput] | None = Field(None, description="All unless given.")
    model_name: str | None = Field(None, description="As the path says, if at all.")
    model_version: str | None = Field(None, description="As the path says, if at all.")


class InferredTensor(BaseModel):
    """One output of an answer."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = Field(None, description="`binary_data_size` where its data follow the JSON.")
    data: TensorData = Field(default_factory=lambda: None, description="Its elements, one after the other.")


class InferReply(BaseModel):
    """What an inference answers."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str
    model_version: str
    id: str | None = None
    parameters: Parameters | None = Field(
        None, description="Whether probabilities are `calibrated`; `warnings` of a forecast."
    )
    outputs: list[InferredTensor]


class IndexRequest(BaseModel):
    """What `POST /v2/repository/index` may be asked with."""

    ready: StrictBool = Field(default=False, description="Whether only models that are ready are wanted.")


class IndexedModel(BaseModel):
    """One model of the repository."""

    name: str
    version: str
    state: str = Field(description="`READY`, `LOADING` or `UNAVAILABLE`.")
    reason: str


class ModelIndex(RootModel[list[IndexedModel]]):
    """What `POST /v2/repository/index` answers."""


class ConfiguredTensor(BaseModel):
    """One tensor in a model's configuration."""

    name: str
    data_type: str
    dims: list[int] = Field(description="Without the axis that counts items, where batches are formed.")
    format: str | None = None
    optional: bool | None = None


class ModelConfiguration(BaseModel):
    """What asks for a model's configuration is answered, in the words of Triton's ModelConfig."""

    name: str
    platform: str
    backend: str
    max_batch_size: int = Field(description="0 where the first axis does not count items.")
    input: list[ConfiguredTensor]
    output: list[ConfiguredTensor]
    dynamic_batching: dict[str, Any] | None = None


class ChangeRequest(BaseModel):
    """What loading and unloading may be asked with."""

    parameters: Parameters | None = Field(None, description="None but `unload_dependents`, and no model has those.")


class ModelWork(BaseModel):
    """How often and how long a model has worked; an inference is a row, an execution a forward pass."""

    name: str
    version: str
    last_inference: int
    inference_count: int
    execution_count: int
    inference_stats: dict[str, dict[str, int]] = Field(description="Counts, and nanoseconds in all.")
    batch_stats: list[dict[str, Any]]
    memory_usage: list[dict[str, Any]]


class Statistics(BaseModel):
    """What asks for statistics is answered."""

    model_stats: list[ModelWork]

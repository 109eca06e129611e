"""What a client asks of models, over whatever sends its requests."""

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from service.batches import Layout, ValueRange
from service.client.exchange import Exchange
from service.client.images import Image, ImageFile, Images, image_files, one_image
from service.client.problems import read_as, reading
from service.client.requests import Series, forecast_request, generate_request
from service.client.results import Drawn, Explained, ExplainedArrays, Generated, Output
from service.errors import Draining, InvalidRequest, NotReady
from service.explanations import UnitsReply
from service.notebooks import Listing
from service.schemas import (
    Classification,
    ForecastReply,
    ModelDetail,
    ModelList,
    ModelSummary,
    Prediction,
    SampleFormat,
)

if TYPE_CHECKING:
    from service.tasks.methods import Method, Projecting

FORM_IMAGES = 256
FORM_BYTES = 8 << 20
"""Images of one request: fewer than may wait for a model, smaller than a body may be."""
BINARY = "application/octet-stream"
JSON = "application/json"
PNG = "image/png"


class ModelMethods:
    """Models, and what they do with images, seeds and series. Methods raise the service's own errors."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def ready(self) -> bool:
        """Whether every wanted model is warm and the service is not shutting down."""
        try:
            await self._exchange.ask("GET", "/health/ready", again=False)
        except (NotReady, Draining):
            return False
        return True

    async def models(self) -> Listing[ModelSummary]:
        """The models of the service's store."""
        return Listing(read_as(ModelList, await self._exchange.ask("GET", "/models")).models)

    async def model(self, model_id: str) -> ModelDetail:
        """One model with its card. Raises ModelNotFound."""
        return read_as(ModelDetail, await self._exchange.ask("GET", f"/models/{quote(model_id, safe='')}"))

    async def load(self, model_id: str) -> None:
        """Load and warm a model; returns when it is ready. Raises ModelNotFound, Forbidden."""
        await self._exchange.ask("POST", f"/models/{quote(model_id, safe='')}/load")

    async def unload(self, model_id: str) -> None:
        """Let go of a model once what waits for it is done. Raises ModelNotFound, Forbidden."""
        await self._exchange.ask("POST", f"/models/{quote(model_id, safe='')}/unload")

    async def name_version(self, model_id: str, alias: str, version: str, share: float = 0.0) -> ModelDetail:
        """Have a name mean this version of a model, once it is warm everywhere. Raises ModelNotFound, Forbidden."""
        path = f"/models/{quote(model_id, safe='')}/aliases/{quote(alias, safe='')}"
        return read_as(ModelDetail, await self._exchange.ask("PUT", path, json={"version": version, "share": share}))

    async def forget_name(self, model_id: str, alias: str) -> ModelDetail:
        """Have a name of a version mean nothing any more. Raises ModelNotFound, Forbidden, InvalidRequest."""
        path = f"/models/{quote(model_id, safe='')}/aliases/{quote(alias, safe='')}"
        return read_as(ModelDetail, await self._exchange.ask("DELETE", path))

    async def classify(
        self,
        images: Images,
        *,
        model: str | None = None,
        top_k: int = 5,
        as_is: bool = False,
        layout: Layout | None = None,
        value_range: ValueRange | None = None,
    ) -> Classification:
        """The `top_k` likeliest labels of one image or several; the default classifier's unless `model` is named.

        An image that cannot be read has an `error` in its place. With `as_is` an image is not made like those that the
        model learnt from; `layout` and `value_range` describe arrays. Raises InvalidRequest, InvalidSamples,
        ModelNotFound, WrongTask.
        """
        params = _params({"model": model, "top_k": top_k, "as_is": as_is})
        answer: Classification | None = None
        named: list[Prediction] = []
        for form in _forms(image_files(images, layout=layout, value_range=value_range)):
            files = [("image", ("image", file.data, BINARY)) for file in form]
            reply = await self._exchange.ask("POST", "/classify", params=params, files=files)
            answer = read_as(Classification, reply)
            with reading(reply):
                pairs = zip(form, answer.predictions, strict=True)
                named += [prediction.model_copy(update={"name": file.name}) for file, prediction in pairs]
        if answer is None:
            raise InvalidRequest("There is no image to classify.")
        return answer.model_copy(update={"predictions": tuple(named)})

    async def explain(
        self,
        image: Image | None = None,
        *,
        model: str | None = None,
        method: "Method" = "saliency",
        layer: str | None = None,
        unit: int | None = None,
        label: int | None = None,
        square: int | None = None,
        as_is: bool = False,
        layout: Layout | None = None,
        value_range: ValueRange | None = None,
    ) -> Explained:
        """What a classifier sees in an image, as a picture beside it; `filters` needs no image.

        Raises InvalidRequest, InvalidSamples, UnreadableImage, ModelNotFound, WrongTask.
        """
        named = {"layer": layer, "unit": unit, "label": label, "square": square}
        asked = {"model": model, "method": method, **named, "as_is": as_is}
        reply = await self._explain(PNG, asked, image, layout, value_range)
        with reading(reply):
            return Explained(reply.headers["x-model"], reply.headers["x-model-version"], method, reply.content)

    async def explain_arrays(
        self,
        image: Image | None = None,
        *,
        model: str | None = None,
        method: "Method" = "saliency",
        layer: str | None = None,
        unit: int | None = None,
        label: int | None = None,
        square: int | None = None,
        as_is: bool = False,
        layout: Layout | None = None,
        value_range: ValueRange | None = None,
    ) -> ExplainedArrays:
        """The arrays behind `explain`'s picture, by name. Raises as it does."""
        named = {"layer": layer, "unit": unit, "label": label, "square": square}
        asked = {"model": model, "method": method, **named, "as_is": as_is}
        reply = await self._explain(JSON, asked, image, layout, value_range)
        with reading(reply):
            return ExplainedArrays.read(reply.json())

    async def units(
        self,
        model: str,
        *,
        layer: str | None = None,
        units: Sequence[int] | None = None,
        method: "Projecting" = "deconvnet",
    ) -> UnitsReply:
        """To which test images some units of a classifier's layer answer most, and what of these makes them answer.

        The first nine units of a layer worth looking at, unless they are named. Raises InvalidRequest, ModelNotFound,
        UnitsNotFound, WrongTask.
        """
        return read_as(UnitsReply, await self._units(JSON, model, layer, units, method))

    async def units_picture(
        self,
        model: str,
        *,
        layer: str | None = None,
        units: Sequence[int] | None = None,
        method: "Projecting" = "deconvnet",
    ) -> Explained:
        """The same as a picture. Raises as `units` does."""
        reply = await self._units(PNG, model, layer, units, method)
        with reading(reply):
            return Explained(reply.headers["x-model"], reply.headers["x-model-version"], method, reply.content)

    async def forecast(
        self,
        history: Series,
        horizon: int,
        *,
        model: str | None = None,
        fit: bool = False,
        inputs: Series | None = None,
        level: float = 0.95,
        season: int | None = None,
    ) -> ForecastReply:
        """How a series goes on for `horizon` steps, with an interval that holds `level` of the values.

        With `fit` the model's readout is fitted to this very history, to its values or to their changes; `season` is
        the steps after which the history comes again, looked for unless given. `inputs` are known of every step of
        history and horizon. Raises InvalidRequest, InvalidSeries, ModelNotFound, WrongTask.
        """
        request = forecast_request(history, horizon, model=model, fit=fit, inputs=inputs, level=level, season=season)
        return read_as(ForecastReply, await self._exchange.ask("POST", "/forecast", **_document(request)))

    async def generate(
        self,
        model: str | None = None,
        *,
        count: int | None = None,
        seed: int | None = None,
        interpolate: int | None = None,
        generator: int | None = None,
    ) -> Generated:
        """Samples as an array; sample i of a seed is the same whatever the count.

        `interpolate` draws paths of so many steps each; `generator` is the one that draws, of a model with several.
        Raises InvalidRequest, ModelNotFound, WrongTask.
        """
        stream = io.BytesIO()
        drawn = await self.generate_into(
            stream, model, format="npy", count=count, seed=seed, interpolate=interpolate, generator=generator
        )
        return Generated.read(drawn, stream)

    async def generate_into(
        self,
        output: Output,
        model: str | None = None,
        *,
        format: SampleFormat | None = None,  # noqa: A002 - the request's own word
        count: int | None = None,
        seed: int | None = None,
        interpolate: int | None = None,
        generator: int | None = None,
    ) -> Drawn:
        """Draw samples into an open file as they come, in any format that the service writes. Raises as `generate`."""
        request = generate_request(
            model, count=count, seed=seed, format=format, interpolate=interpolate, generator=generator
        )
        async with self._exchange.answer("POST", "/generate", **_document(request)) as reply:
            async for piece in self._exchange.sender.pieces(reply):
                output.write(piece)
        with reading(reply):
            drawn = [reply.headers[f"x-{name}"] for name in ("model", "model-version", "seed", "count")]
            return Drawn(drawn[0], drawn[1], int(drawn[2]), int(drawn[3]))

    async def _units(
        self, accept: str, model: str, layer: str | None, units: Sequence[int] | None, method: "Projecting"
    ) -> httpx.Response:
        named = {} if units is None else {"unit": [str(unit) for unit in units]}
        params = _params({"layer": layer, "method": method}) | named
        path = f"/models/{quote(model, safe='')}/units"
        return await self._exchange.ask("GET", path, params=params, headers={"accept": accept})

    async def _explain(
        self,
        accept: str,
        asked: dict[str, Any],
        image: Image | None,
        layout: Layout | None,
        value_range: ValueRange | None,
    ) -> httpx.Response:
        return await self._exchange.ask(
            "POST",
            "/explain",
            params=_params(asked),
            content=one_image(image, layout=layout, value_range=value_range),
            headers={"accept": accept, "content-type": BINARY},
        )


def _params(asked: dict[str, Any]) -> dict[str, str]:
    """The parameters of a query: of those that were left open, none."""
    named = {name: value for name, value in asked.items() if value is not None and value is not False}
    return {name: "true" if value is True else str(value) for name, value in named.items()}


def _document(request: BaseModel) -> dict[str, Any]:
    """The parts of a request whose body is a JSON document."""
    return {"content": request.model_dump_json(exclude_none=True), "headers": {"content-type": JSON}}


def _forms(images: Iterable[ImageFile]) -> Iterator[list[ImageFile]]:
    """Images in groups that fit into one request."""
    form: list[ImageFile] = []
    for image in images:
        size = sum(len(other.data) for other in form) + len(image.data)
        if form and (len(form) == FORM_IMAGES or size > FORM_BYTES):
            yield form
            form = []
        form.append(image)
    if form:
        yield form

"""What programs ask of models in this process: the methods of `client.models`, done here.

What carries a request out is imported by it: a program that only classifies waits for no drawing, packing or forecast.
"""

import asyncio
import io
from collections.abc import Sequence
from contextlib import aclosing, closing
from typing import TYPE_CHECKING

from service.batches import Layout, ValueRange
from service.client.images import Image, Images, image_files, one_image
from service.client.requests import Series, forecast_request, generate_request
from service.errors import InvalidRequest
from service.local.engine import LazyEngine
from service.notebooks import Listing
from service.operations.choosing import choose_model
from service.schemas import Classification, ForecastReply, ModelDetail, ModelSummary, SampleFormat
from service.settings import Settings
from service.store import ModelStore

if TYPE_CHECKING:
    from service.client.results import Drawn, Explained, ExplainedArrays, Generated, Output
    from service.explanations import UnitsReply
    from service.operations.explain import Inspection
    from service.operations.units import UnitImages
    from service.tasks.classify import Prepared
    from service.tasks.methods import Method, Projecting


class LocalModels:
    """Models, and what they do with images, seeds and series. Methods raise the service's own errors."""

    settings: Settings
    _store: ModelStore
    _engine: LazyEngine

    async def models(self) -> Listing[ModelSummary]:
        """The models of the store."""
        from service.operations.models import describe_models

        return Listing((await asyncio.to_thread(describe_models, self._store, self._engine)).models)

    async def model(self, model_id: str) -> ModelDetail:
        """One model with its card. Raises ModelNotFound."""
        from service.operations.models import describe_model

        return describe_model(self._store, self._engine, model_id)

    async def load(self, model_id: str) -> None:
        """Load a model; returns when it is ready. Raises ModelNotFound."""
        await self._engine.load(self._store.get(model_id).id)

    async def unload(self, model_id: str) -> None:
        """Let go of a model once what waits for it is done. Raises ModelNotFound."""
        await self._engine.unload(self._store.get(model_id).id)

    async def name_version(self, model_id: str, alias: str, version: str, share: float = 0.0) -> ModelDetail:
        """Have a name mean this version of a model, once it is warm. Raises ModelNotFound, WrongTask."""
        from service.operations.versions import name

        await name(self._store, self._engine, model_id, alias, version, share)
        return await self.model(model_id)

    async def forget_name(self, model_id: str, alias: str) -> ModelDetail:
        """Have a name of a version mean nothing any more. Raises ModelNotFound, WrongTask, InvalidRequest."""
        from service.operations.versions import forget

        await forget(self._store, self._engine, model_id, alias)
        return await self.model(model_id)

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
        from service.operations.classify import Labelling

        chosen = choose_model(self._store, self.settings, model, "classify")

        def understand() -> Labelling:
            files = image_files(images, layout=layout, value_range=value_range)
            limit = self.settings.image_limit_pixels
            return Labelling.of(files, chosen, top_k=top_k, limit_pixels=limit, as_is=as_is)

        labelling = await asyncio.to_thread(understand)
        if not labelling.names:
            raise InvalidRequest("There is no image to classify.")
        return Classification.model_validate(await labelling.ask(self._engine))

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
    ) -> "Explained":
        """What a classifier sees in an image, as a picture beside it; `filters` needs no image.

        Raises InvalidRequest, InvalidSamples, UnreadableImage, ModelNotFound, WrongTask.
        """
        from service.client.results import Explained
        from service.imaging import encode_png

        inspection = self._inspection(model, method, layer, unit, label, square, as_is)
        prepared = self._prepared(inspection, image, layout, value_range)
        arrays = await inspection.ask(self._engine, prepared)
        picture = inspection.draw(arrays, prepared)
        return Explained(inspection.model.name, inspection.model.version, method, encode_png(picture))

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
    ) -> "ExplainedArrays":
        """The arrays behind `explain`'s picture, by name. Raises as it does."""
        from service.client.results import ExplainedArrays

        inspection = self._inspection(model, method, layer, unit, label, square, as_is)
        prepared = self._prepared(inspection, image, layout, value_range)
        arrays = await inspection.ask(self._engine, prepared)
        return ExplainedArrays.read(inspection.document(arrays, prepared))

    async def units(
        self,
        model: str,
        *,
        layer: str | None = None,
        units: Sequence[int] | None = None,
        method: "Projecting" = "deconvnet",
    ) -> "UnitsReply":
        """To which test images some units of a classifier's layer answer most, and what of these makes them answer.

        The first nine units of a layer worth looking at, unless they are named. Raises InvalidRequest, ModelNotFound,
        UnitsNotFound, WrongTask.
        """
        from service.explanations import UnitsReply

        asked = self._unit_images(model, layer, units, method)
        return UnitsReply.model_validate(asked.document(await asked.ask(self._engine)))

    async def units_picture(
        self,
        model: str,
        *,
        layer: str | None = None,
        units: Sequence[int] | None = None,
        method: "Projecting" = "deconvnet",
    ) -> "Explained":
        """The same as a picture. Raises as `units` does."""
        from service.client.results import Explained
        from service.imaging import encode_png

        asked = self._unit_images(model, layer, units, method)
        picture = encode_png(asked.draw(await asked.ask(self._engine)))
        return Explained(asked.model.name, asked.model.version, method, picture)

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
        from service.operations.forecast import ForecastDocument, Question

        request = forecast_request(history, horizon, model=model, fit=fit, inputs=inputs, level=level, season=season)
        chosen = choose_model(self._store, self.settings, request.model, "forecast")
        question = Question.of(request, chosen, limit=self.settings.forecast_limit)
        document = ForecastDocument(question)
        pieces = [document.add(block) async for block in question.ask(self._engine)]
        return ForecastReply.model_validate_json(b"".join([*pieces, document.finish()]))

    async def generate(
        self,
        model: str | None = None,
        *,
        count: int | None = None,
        seed: int | None = None,
        interpolate: int | None = None,
        generator: int | None = None,
    ) -> "Generated":
        """Samples as an array; sample i of a seed is the same whatever the count.

        `interpolate` draws paths of so many steps each; `generator` is the one that draws, of a model with several.
        Raises InvalidRequest, ModelNotFound, WrongTask.
        """
        from service.client.results import Generated

        stream = io.BytesIO()
        drawn = await self.generate_into(
            stream, model, format="npy", count=count, seed=seed, interpolate=interpolate, generator=generator
        )
        return Generated.read(drawn, stream)

    async def generate_into(
        self,
        output: "Output",
        model: str | None = None,
        *,
        format: SampleFormat | None = None,  # noqa: A002 - the request's own word
        count: int | None = None,
        seed: int | None = None,
        interpolate: int | None = None,
        generator: int | None = None,
    ) -> "Drawn":
        """Draw samples into an open file as they come, in any format that the service writes. Raises as `generate`."""
        from service.client.results import Drawn
        from service.operations.generate import Sampling

        request = generate_request(
            model, count=count, seed=seed, format=format, interpolate=interpolate, generator=generator
        )
        chosen = choose_model(self._store, self.settings, request.model, "generate")
        sampling = Sampling.of(request, chosen)
        with closing(sampling.format.stream(sampling.contents())) as stream:
            async with aclosing(sampling.blocks(self._engine)) as blocks:
                async for block in blocks:
                    output.write(stream.add(block))
            output.write(stream.finish())
        return Drawn(chosen.name, chosen.version, sampling.seed, sampling.count)

    def _unit_images(
        self, model: str, layer: str | None, units: Sequence[int] | None, method: "Projecting"
    ) -> "UnitImages":
        from service.operations.units import UnitImages

        chosen = self._store.get(model, task="classify")
        return UnitImages.of(chosen, self.settings, layer=layer, units=units, method=method)

    def _inspection(
        self,
        model: str | None,
        method: "Method",
        layer: str | None,
        unit: int | None,
        label: int | None,
        square: int | None,
        as_is: bool,  # noqa: FBT001 - one of seven
    ) -> "Inspection":
        from service.operations.explain import Inspection

        chosen = choose_model(self._store, self.settings, model, "classify")
        return Inspection.of(chosen, method, layer=layer, unit=unit, label=label, square=square, as_is=as_is)

    def _prepared(
        self, inspection: "Inspection", image: Image | None, layout: Layout | None, value_range: ValueRange | None
    ) -> "Prepared":
        data = one_image(image, layout=layout, value_range=value_range)
        return inspection.prepare(data, limit_pixels=self.settings.image_limit_pixels)

"""Every error a caller can meet, and its HTTP status.

* ServiceError                  500
  - MalformedRequest            400  what is not HTTP
  - InvalidRequest              422  fields out of range, named one by one
    - UnreadableImage           422
    - UnreadableArchive         422  archive, array or statistics file
    - InvalidSamples            422  samples that cannot be measured
    - InvalidSeries             422  a history that cannot be continued
  - KeyNeeded                   401
  - Forbidden                   403
  - ModelNotFound               404
  - EvaluationNotFound          404
  - ReferenceNotFound           404
  - RecordingNotFound           404  of a training
  - UnitsNotFound               404  the images to which a net's units answer most
  - PageNotFound                404  a part of the documentation's pages
  - WrongTask                   409
  - NotComparable               409  an evaluation and the baseline it names
  - ReferenceShipped            409
  - InvalidFile                 409  of the store; an operator is told its whole path, a caller not
    - InvalidManifest           409
    - UntrustedWeights          409
  - NotAcceptable               406
  - RequestTimeout              408
  - BodyTooLarge                413
  - UnsupportedMediaType        415
  - Overloaded                  429
  - HeadersTooLarge             431
    - LimitReached              429  of one key
  - ModelFailed                 500  a forward pass raised
  - PackageMissing              501
  - EngineUnavailable           503
  - DatabaseUnavailable         503
  - StorageUnavailable          503
  - TooManyConnections          503
  - NotReady                    503
    - ModelSetAside             503
  - Draining                    503
  - DeadlineExceeded            504
  - DiskFull                    507
* ConfigurationError                 what an operator wrote is wrong; crosses HTTP only where it is an InvalidFile
  - DatasetMissing
  - DeviceUnavailable                cannot be opened now, and may be later
  - InvalidFile
  - ServiceUnreachable
  - TrainingFailed
"""

from http import HTTPStatus
from pathlib import Path
from typing import Self

from service.addresses import without_secrets


class ServiceError(Exception):
    """Something a caller can be told: `title` is the kind, `detail` the case."""

    status: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR
    title: str = "The service failed"
    retry_after_s: float | None = None
    """After how long it is worth while to ask again; HTTP's header says it in whole seconds, rounded up."""

    def __init__(self, detail: str = "", *, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors

    def again_in(self, seconds: float) -> Self:
        """The same, with the time after which to ask again this time."""
        self.retry_after_s = seconds
        return self

    @property
    def measured_retry_after_s(self) -> float | None:
        """The same where it is of this case, not only of its kind."""
        return vars(self).get("retry_after_s")

    def problem(self) -> dict[str, object]:
        """The error as the members of a problem document (RFC 9457)."""
        document: dict[str, object] = {"type": "about:blank", "title": self.title, "status": int(self.status)}
        document["detail"] = without_secrets(self.detail)
        if (seconds := self.measured_retry_after_s) is not None:
            document["retry_after_s"] = round(seconds, 3)
        return {**document, "errors": self.errors} if self.errors else document


class InvalidRequest(ServiceError):
    """A field of the request is missing, unknown or out of range."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The request is not valid"

    @classmethod
    def of_field(cls, field: str, message: str) -> Self:
        """What is wrong with one field of the request."""
        return cls(f"{field}: {message}", errors=[{"field": field, "message": message}])


class UnreadableImage(InvalidRequest):
    """The bytes are not an image that can be decoded within the limits."""

    title = "The image cannot be read"


class UnreadableArchive(InvalidRequest):
    """The file is not an archive, array or statistics file that can be read within the limits."""

    title = "The file cannot be read"


class InvalidSamples(InvalidRequest):
    """The samples can be read but not measured: too few, not finite, of another dimension."""

    title = "The samples cannot be measured"


class InvalidSeries(InvalidRequest):
    """The history cannot be continued: values are missing, never change, are too few, or lead nowhere."""

    title = "The series cannot be forecast"


class KeyNeeded(ServiceError):
    """The caller has no key, or one that is not valid."""

    status = HTTPStatus.UNAUTHORIZED
    title = "A key is needed"


class Forbidden(ServiceError):
    """The caller's key is not for this, or a page of another site asks."""

    status = HTTPStatus.FORBIDDEN
    title = "This is not allowed"


class ModelNotFound(ServiceError):
    """The store holds no model of this name, or not this version of it."""

    status = HTTPStatus.NOT_FOUND
    title = "No such model"


class EvaluationNotFound(ServiceError):
    """There is no evaluation with this id."""

    status = HTTPStatus.NOT_FOUND
    title = "No such evaluation"


class ReferenceNotFound(ServiceError):
    """There is no stored reference of this name for this extractor."""

    status = HTTPStatus.NOT_FOUND
    title = "No such reference"


class RecordingNotFound(ServiceError):
    """The model's training was not recorded."""

    status = HTTPStatus.NOT_FOUND
    title = "No such recording"


class UnitsNotFound(ServiceError):
    """Nobody has looked for the images to which the units of this model answer most."""

    status = HTTPStatus.NOT_FOUND
    title = "No such pictures of units"


class PageNotFound(ServiceError):
    """The pages that show the documentation have no such part."""

    status = HTTPStatus.NOT_FOUND
    title = "No such part of a page"


class WrongTask(ServiceError):
    """The model exists but does something else."""

    status = HTTPStatus.CONFLICT
    title = "The model does another task"


class NotComparable(ServiceError):
    """The evaluation that was named as the baseline measured something else, or has no report."""

    status = HTTPStatus.CONFLICT
    title = "The evaluations cannot be compared"


class ReferenceShipped(ServiceError):
    """The reference came with the store, which is read-only."""

    status = HTTPStatus.CONFLICT
    title = "The reference cannot be changed"


class NotAcceptable(ServiceError):
    """Nobody here writes any kind of answer that the caller takes."""

    status = HTTPStatus.NOT_ACCEPTABLE
    title = "No such kind of answer is written here"


class MalformedRequest(ServiceError):
    """What was sent is not HTTP."""

    status = HTTPStatus.BAD_REQUEST
    title = "The request is not HTTP"


class RequestTimeout(ServiceError):
    """The rest of the request did not come in time."""

    status = HTTPStatus.REQUEST_TIMEOUT
    title = "The request did not come in time"


class HeadersTooLarge(ServiceError):
    """The head of the request is longer, or has more lines, than is read."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    title = "The headers are too large"


class BodyTooLarge(ServiceError):
    """The body is larger than the limit; the rest of it is not read."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "The body is too large"


class UnsupportedMediaType(ServiceError):
    """Nobody here reads this kind of body."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    title = "This media type is not read here"


class Overloaded(ServiceError):
    """The model's queue is full."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    title = "Too many requests are waiting"
    retry_after_s = 1


class LimitReached(Overloaded):
    """The key's own limit of requests a second, or of requests at once, is reached."""

    title = "The limit of this key is reached"


class ModelFailed(ServiceError):
    """The model raised while it worked on this item."""

    title = "The model failed on this input"


class EngineUnavailable(ServiceError):
    """No engine answers; one is being restarted."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "No engine is available"
    retry_after_s = 2


class DatabaseUnavailable(ServiceError):
    """The database of evaluations does not answer."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "The database is not available"
    retry_after_s = 2


class StorageUnavailable(ServiceError):
    """What keeps uploads, references and figures for several services does not answer."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "The storage is not available"
    retry_after_s = 2


class TooManyConnections(ServiceError):
    """As many connections are open as are held."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Too many connections are open"
    retry_after_s = 1


class NotReady(ServiceError):
    """The service has started but a wanted model is not warm yet."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "The service is not ready yet"
    retry_after_s = 2


class ModelSetAside(NotReady):
    """An engine hung in a forward pass of this model; it gets no work for a while."""

    title = "The model is set aside"
    retry_after_s = 60


class Draining(ServiceError):
    """The service is shutting down and takes no new work."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "The service is shutting down"
    retry_after_s = 5


class DeadlineExceeded(ServiceError):
    """The caller's deadline passed before the work began or ended."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    title = "The deadline has passed"


class PackageMissing(ServiceError):
    """What was asked for needs a package that is not installed here; the detail names the extra that brings it."""

    status = HTTPStatus.NOT_IMPLEMENTED
    title = "A package is missing"


class DiskFull(ServiceError):
    """The state directory's disk has no room for what was sent."""

    status = HTTPStatus.INSUFFICIENT_STORAGE
    title = "The disk is full"


class ConfigurationError(Exception):
    """What an operator wrote or left out is wrong; the message says what and where."""


class DatasetMissing(ConfigurationError):
    """A dataset's published files are not in the data directory."""


class DeviceUnavailable(ConfigurationError):
    """A device cannot be opened now: it was lost, or is not there."""


class InvalidFile(ServiceError, ConfigurationError):
    """A file of the store is not what it has to be."""

    status = HTTPStatus.CONFLICT
    title = "A file of the store is wrong"

    @classmethod
    def of_file(cls, path: Path, reason: str | Exception) -> Self:
        """What is wrong with a file: as text with its whole path, as detail with no more than its own folder's name."""
        said = reason if isinstance(reason, str) else reason_of(reason)
        error = cls(f"{path}: {said}")
        error.detail = f"{path.parent.name}/{path.name}: {said}"
        return error


class InvalidManifest(InvalidFile):
    """A model.toml, a card.json or another description says something that cannot be."""

    title = "Its description cannot be"


class UntrustedWeights(InvalidFile):
    """A weights file is not the one its card or manifest names."""

    title = "The weights are not the model's own"


class ServiceUnreachable(ConfigurationError):
    """No service answers at the address that was given."""


class TrainingFailed(ConfigurationError):
    """A training by this recipe diverged or collapsed, and was told to end there."""


def reason_of(error: Exception) -> str:
    """Why a file cannot be read: of a document every field that is wrong, without a link to pydantic's manual."""
    from pydantic import ValidationError  # whoever only names an error needs none

    if not isinstance(error, ValidationError):
        return str(error)
    told = ((".".join(map(str, found["loc"])), found["msg"].removeprefix("Value error, ")) for found in error.errors())
    return "; ".join(": ".join(filter(None, words)) for words in told)


def error_types(root: type[ServiceError] = ServiceError) -> dict[str, type[ServiceError]]:
    """Name of every service error → its class, so that errors cross between processes as words."""
    below = (kind for child in root.__subclasses__() for kind in error_types(child).values())
    return {kind.__name__: kind for kind in (root, *below)}

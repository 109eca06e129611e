"""What an operator can do about an error: a sentence for the log beside the one that the caller was told."""

from service.errors import (
    DatabaseUnavailable,
    DeadlineExceeded,
    DiskFull,
    EngineUnavailable,
    LimitReached,
    ModelFailed,
    ModelSetAside,
    NotReady,
    Overloaded,
    PackageMissing,
    ServiceError,
    StorageUnavailable,
)

ADVICE: dict[type[ServiceError], str] = {
    StorageUnavailable: "the log names the storage and what it said; CHAPTERHOUSE_STORAGE_URL is its address",
    DatabaseUnavailable: "`chapterhouse state check` says what is wrong with the database",
    DeadlineExceeded: "compare `wait_ms` and `work_ms` of the engine's line: more devices, or a longer X-Deadline-Ms",
    DiskFull: "make room, or lower CHAPTERHOUSE_UPLOADS_DISK_BYTES and CHAPTERHOUSE_REPORTS_DISK_BYTES",
    EngineUnavailable: "the supervisor's and the engine's lines before this one say of what it died",
    ModelFailed: "the engine's line before this one has the traceback",
    ModelSetAside: "the supervisor's line says which forward pass did not end; mend the model, or load it to try again",
    NotReady: "wanted models are loading; the engine's lines say how far it is",
    Overloaded: "more fronts or devices, or the limit that the sentence names",
    LimitReached: "the key's own limit; `chapterhouse keys list` shows it",
    PackageMissing: "install the extra that the sentence names",
    ServiceError: "the traceback above is a fault of the service; report it with this line",
}


def advice_on(error: ServiceError) -> str | None:
    """What to do; None where it is the caller's to mend."""
    exact = ADVICE.get(type(error))
    if exact is not None:
        return exact
    known = (kind for kind in type(error).mro()[1:] if kind in ADVICE and kind is not ServiceError)
    found = next(known, None)
    return None if found is None else ADVICE[found]

"""The settings that bound what may be sent, wait, be held and be asked for at a time."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.variables import PREFIX

MEBIBYTE = 1024 * 1024


class Limits(BaseSettings):
    """What no client gets beyond, and the whole service neither."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    queue_limit: int = Field(
        1024,
        ge=1,
        description="Rows that may wait for one model, and requests open in one front, before 429.",
    )
    connection_limit: int = Field(
        2048, ge=1, description="Connections that one front holds; further ones get 503 and are closed."
    )
    memory_limit_bytes: int = Field(
        256 * MEBIBYTE,
        ge=1,
        description="Memory of one front that bodies and unread answers may take, before 429.",
    )
    shared_memory_bytes: int = Field(
        64 * MEBIBYTE, ge=0, le=1 << 40, description="Memory for arrays to each engine, and as much back; 0: none."
    )
    client_share: float = Field(
        0.75,
        gt=0,
        le=1,
        description="The part of connections, requests, memory and the disk of uploads that one client may take while "
        "it is alone; beside others less, so that something is left for the next one.",
    )
    header_limit_bytes: int = Field(
        32768, ge=1024, description="Longest head of a request, its lines of headers and the first one, before 431."
    )
    header_timeout_s: float = Field(
        10.0, gt=0, description="Seconds in which the head of a request has to come, before 408."
    )
    body_timeout_s: float = Field(
        30.0, gt=0, description="Seconds in which the next 16 KiB of a body, or its end, have to come, before 408."
    )
    write_timeout_s: float = Field(
        30.0, gt=0, description="Seconds in which a client has to take the next 16 KiB of its answer, or is cut off."
    )
    keep_alive_s: float = Field(
        75.0, gt=0, description="Seconds for which a connection is kept open that asks nothing."
    )
    body_limit_bytes: int = Field(16 * MEBIBYTE, ge=1, description="Largest body of `/classify` and of JSON requests.")
    upload_limit_bytes: int = Field(
        2048 * MEBIBYTE, ge=1, description="Largest body of `/evaluate`, and largest unpacked archive."
    )
    evaluations_limit: int = Field(
        1000, ge=1, description="Evaluations that may wait, of all clients together, before 429."
    )
    evaluations_limit_per_client: int = Field(
        100, ge=1, description="Evaluations of one client that may wait before 429."
    )
    event_streams_limit: int = Field(
        256, ge=1, description="Event streams that one front keeps open at a time before 429."
    )
    event_streams_limit_per_client: int = Field(
        32, ge=1, description="Event streams that one front keeps open for one client before 429."
    )
    uploads_disk_bytes: int = Field(
        16384 * MEBIBYTE,
        ge=1,
        description="Disk that uploads which wait or are worked on may take, unpacked, before 429.",
    )
    reports_disk_bytes: int = Field(
        4096 * MEBIBYTE, ge=1, description="Disk that reports may take; beyond it the oldest are removed."
    )
    reports_keep_days: float = Field(90.0, ge=0, description="Days for which a report is kept; 0 keeps it for ever.")
    image_limit_pixels: int = Field(
        64 * MEBIBYTE, ge=1, description="Largest image of a set of samples, in pixels, that is decoded."
    )
    request_limit_pixels: int = Field(
        16 * MEBIBYTE,
        ge=1,
        description="Pixels of all images of one `/classify` or `/explain` that are decoded, together.",
    )
    readers: int = Field(
        1, ge=1, le=64, description="Processes of a front that read large images and bodies beside its event loop."
    )
    generate_limit: int = Field(100_000, ge=1, description="Most images of one `/generate`.")
    forecast_limit: int = Field(100_000, ge=1, description="Most values, steps times channels, of one `/forecast`.")

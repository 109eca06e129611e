"""What an operator can set, and where each process reads it: the only place that sees the environment."""

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from service.addresses import PATH_PREFIX, checked_origins
from service.errors import ConfigurationError
from service.exactness import FormName, Precision
from service.limits import MEBIBYTE, Limits
from service.machine import cores, memory_bytes
from service.variables import PREFIX, doubts, is_service_link

DEFAULT_PORT = 8000
FRONT_BYTES = 384 * MEBIBYTE
"""What a busy front takes of the memory."""


def _default_fronts() -> int:
    return max(1, min(cores() // 2, memory_bytes() // (2 * FRONT_BYTES)))


def _default_evaluators() -> int:
    return min(max(1, cores() // 4), 4)


class Settings(Limits):
    """Every setting of the service, read from `CHAPTERHOUSE_<NAME>`."""

    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless set.")
    port: int = Field(DEFAULT_PORT, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    grpc_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port of the Open Inference Protocol over gRPC; not served unless set, and needs the extra `grpc`.",
    )
    fronts: int = Field(
        default_factory=_default_fronts,
        ge=1,
        le=256,
        description="HTTP processes; half of the cores, and no more than half of the memory holds at 384 MiB each, "
        "unless set.",
    )
    evaluators: int = Field(
        default_factory=_default_evaluators,
        ge=1,
        le=64,
        description="Processes that work on evaluations, one each at a time; a quarter of the cores, at most 4, unless "
        "set.",
    )
    devices: str = Field(
        "auto",
        description="Devices with an engine each: `auto`, or a list such as `cuda:0,cuda:1`, `GPU-…`, `MIG-…` or "
        "`cpu`; one that is named again has several; `ray` is a cluster (docs/ray.md).",
    )
    metrics_device: str = Field("cpu", description="What multiplies for metrics: `cpu`, or a card as torch has it.")
    threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="Torch threads of a CPU engine; 0 leaves one core to each front, but for nets that gain by all of "
        "them.",
    )
    models_dir: Path | None = Field(
        None, description="The shipped model store; the checkout's or the package's own unless set."
    )
    state_dir: Path = Field(
        Path("~/.local/share/chapterhouse"),
        description="Database, uploads, references, reports, fetched and added models.",
    )
    database_url: str = Field(
        "",
        repr=False,  # it may hold a password
        description="Where evaluations are kept: `postgresql://user@host/name`; a SQLite file in the state directory "
        "unless set.",
    )
    storage_url: str = Field(
        "",
        description="Where uploads, references and the figures of reports are kept for all services that share them: "
        "`s3://bucket/folder`, `gs://…`, `az://…` or `file:///folder`; the state directory unless set.",
    )
    engines_address: str = Field(
        "",
        description="Where other services of the same PostgreSQL reach this one's engines for their evaluations, each "
        "at the next port: `10.0.0.7:8100`; nowhere unless set (docs/scaling.md).",
    )
    engines_secret: SecretStr = Field(
        SecretStr(""), description="What such services prove to each other to know, of 32 characters at least."
    )
    home_limit_s: float = Field(
        900.0, gt=0, description="Seconds of silence after which what only a lost service could read fails."
    )
    data_dir: Path = Field(
        Path("~/.cache/chapterhouse/data"), description="Datasets in their publishers' own file formats."
    )
    nets_dir: Path | None = Field(
        None, description="Folder of Python files that are trusted: nets of your own are `python:FILE.CLASS` of it."
    )
    preload: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Further models to load and warm before the service is ready, separated by commas."
    )
    default_classifier: str = Field("lenet5-mnist", description="The model of `/classify` when none is named.")
    default_generator: str = Field("gan-mnist", description="The model of `/generate` when none is named.")
    default_forecaster: str = Field("esn-mackey-glass", description="The model of `/forecast` when none is named.")
    form: Literal["auto", FormName] = Field(
        "auto",
        description="The form in which classifiers answer: `auto` measures those that cards allow while nobody waits "
        "and serves the fastest, `plain` keeps each net as it is; or the name of one (docs/forms.md).",
    )
    precision: Precision = Field(
        "bfloat16", description="The least precise form that `auto` takes: `float32`, `bfloat16` or `int8`."
    )
    drain_delay_s: float = Field(
        0.0, ge=0, description="Seconds from SIGTERM to closing the listener, for load balancers to notice."
    )
    drain_timeout_s: float = Field(30.0, ge=0, description="Longest wait for work in progress at shutdown.")
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Addresses and networks of proxies, separated by commas, that are believed where a caller comes "
        "from: `X-Forwarded-For`, `-Host`, `-Prefix`.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names, separated by commas, by which callers may address the service (`Host`), beside those of "
        "this machine; any unless set, but only those of this machine where it listens on loopback.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins whose pages may use the service, such as `https://example.org`, separated by commas; "
        "`*` is any.",
    )
    root_path: str = Field(
        "", description="Prefix under which a proxy puts the service, such as `/chapterhouse`; `Location` keeps it."
    )
    open_metrics: bool = Field(default=False, description="Whether `/metrics` needs no key although there are keys.")
    open_pages: bool = Field(
        default=True, description="Whether the page and the documentation need no key although there are keys."
    )
    beat_s: float = Field(2.0, gt=0, description="Seconds between two beats of a process, by which it is seen to live.")
    beat_limit_s: float = Field(
        10.0,
        gt=0,
        description="A front or an engine that has not beaten for so long is killed and restarted; time in which it "
        "only waited for a core does not count, up to six times as long.",
    )
    evaluator_beat_limit_s: float = Field(
        120.0,
        gt=0,
        description="The same for an evaluator that computes, for its linear algebra may hold everything else of its "
        "up; one that does not compute has no more time than others.",
    )
    start_limit_s: float = Field(120.0, gt=0, description="Longest time from a process's start to its first beat.")
    forward_limit_s: float = Field(
        30.0, gt=0, description="A forward pass hangs that takes longer than this, and 20 times as long as usual."
    )
    set_aside_s: float = Field(
        60.0,
        ge=0,
        description="So long a model gets no work after an engine hung in a forward pass of it, and twice as long each "
        "further time; with 0 it goes on at once.",
    )
    load_limit_s: float = Field(
        600.0, gt=0, description="Longest time to load a model's weights, or for a forward pass never measured before."
    )
    token: SecretStr = Field(
        SecretStr(""), description="What clients send as `Authorization: Bearer …`, to a service that asks for a key."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe level logged.")
    log_format: Literal["text", "json"] = Field("text", description="Log lines as text, or as one JSON object each.")
    log_requests: Literal["failed", "all"] = Field(
        "failed", description="Which requests get a line in the log: those that failed or were slow, or all."
    )
    slow_request_s: float = Field(
        1.0, ge=0, description="A request that takes longer gets a line in the log; with 0 none does for being slow."
    )
    traces_url: str = Field(
        "",
        description="Where traces are sent by OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`; none unless "
        "set. It needs the extra `traces`.",
    )

    @field_validator("preload", "trusted_proxies", "allowed_hosts", "cors_origins", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ip_network(network, strict=False)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return checked_origins(value)

    @field_validator("root_path")
    @classmethod
    def _check_prefix(cls, value: str) -> str:
        if value.rstrip("/") and not PATH_PREFIX.fullmatch(value.rstrip("/")):
            raise ValueError("write a prefix as /one or /one/two")
        return value.rstrip("/")

    @field_validator("port", "grpc_port", mode="before")
    @classmethod
    def _pass_over_service_links(cls, value: object, info: ValidationInfo) -> object:
        """What Kubernetes puts where a port is looked for is no setting; `doubts_about_environment` says so."""
        assert info.field_name is not None
        return cls.model_fields[info.field_name].default if is_service_link(value) else value

    @field_validator("grpc_port")
    @classmethod
    def _check_other_port(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value and value == info.data.get("port"):
            raise ValueError("HTTP listens on this port; take another one")
        return value

    @property
    def shipped_models_dir(self) -> Path:
        """The read-only layer of the store: set, a checkout's `models_store`, or the wheel's."""
        if self.models_dir is not None:
            return _expanded("models_dir", self.models_dir)
        package = Path(__file__).parent
        checkout = package.parent / "models_store"
        return checkout if checkout.is_dir() else package / "models_store"

    @property
    def added_models_dir(self) -> Path:
        """The writable layer of the store, which wins: fetched and added models."""
        return self.state / "models"

    @property
    def trained_models_dir(self) -> Path:
        """Where training writes: a checkout's store, or the writable layer."""
        in_package = self.shipped_models_dir.parent == Path(__file__).parent
        return self.added_models_dir if in_package else self.shipped_models_dir

    @property
    def twins_dir(self) -> Path:
        """Where the twins of classifiers lie that `calibrate` trains."""
        return self.state / "twins"

    @property
    def forms_dir(self) -> Path:
        """Where engines remember how fast the forms of classifiers are on this machine."""
        return self.state / "forms"

    def token_file(self, port: int) -> Path:
        """Where the service that listens on this port has written the token of this machine."""
        return self.state / "tokens" / str(port)

    @property
    def database(self) -> Path:
        """The SQLite file that holds the evaluations unless `database_url` names another place."""
        return self.state / "chapterhouse.db"

    @property
    def reference_dirs(self) -> tuple[Path, Path]:
        """Where references are kept: the state directory's, which win, and the shipped ones."""
        return self.state / "references", self.shipped_models_dir / "references"

    @property
    def default_models(self) -> tuple[tuple[str, str, str], ...]:
        """What answers where no model is named: the setting, its model, and the task that the model has to have."""
        return (
            ("default_classifier", self.default_classifier, "classify"),
            ("default_generator", self.default_generator, "generate"),
            ("default_forecaster", self.default_forecaster, "forecast"),
        )

    @property
    def wanted_models(self) -> tuple[str, ...]:
        """The models without which the service is not ready."""
        return (self.default_classifier, self.default_generator, *self.preload)

    @property
    def engine_threads(self) -> int:
        """Torch threads of a CPU engine: as set, else one core is left to each front."""
        return self.threads or max(1, cores() - self.fronts)

    @property
    def most_engine_threads(self) -> int:
        """Threads that a net may have which is measured to need them: as set, else all cores."""
        return self.threads or cores()

    @property
    def state(self) -> Path:
        """The state directory, `~` expanded. Raises ConfigurationError where there is no home directory."""
        return _expanded("state_dir", self.state_dir)

    @property
    def data(self) -> Path:
        """The dataset directory, `~` expanded. Raises ConfigurationError where there is no home directory."""
        return _expanded("data_dir", self.data_dir)


def doubts_about_environment() -> tuple[str, ...]:
    """A sentence for every variable that looks like a setting and is none."""
    return tuple(doubts(os.environ, Settings.model_fields))


def _expanded(setting: str, path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ConfigurationError(
            f"{PREFIX}{setting.upper()}: {path} begins at a home directory, and user {os.getuid()} has none: HOME is "
            "not set, and the system does not know the user. Name a directory."
        ) from error


def read_settings(**given: object) -> Settings:
    """The settings of the environment, `given` before them. Raises ConfigurationError, which names what is wrong."""
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = [f"{PREFIX}{str(found['loc'][0]).upper()}: {found['msg']}" for found in error.errors()]
        raise ConfigurationError(f"{'; '.join(wrong)}.") from error


def notify_socket() -> str:
    """Where systemd wants to be told how the service is; empty where nobody does."""
    return os.environ.get("NOTIFY_SOCKET", "")

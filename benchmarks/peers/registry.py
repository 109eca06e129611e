"""Who is compared: how each is installed, started and asked."""

import base64
import json
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".venv" / "peers"
MAX_BATCH = 128
WAIT_MS = 1
"""For which a peer that collects a batch waits for more: the least that all of them can."""
NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Place:
    """Where one server of one model runs."""

    python: Path
    model: str
    ports: tuple[int, ...]
    """As many as the peer asks for, all of them free; it is asked on the first."""
    folder: Path

    @property
    def port(self) -> int:
        """Where it is asked."""
        return self.ports[0]


def as_it_is(body: bytes) -> bytes:
    """The image file itself."""
    return body


def label_of(reply: bytes) -> str:
    """The only label of an answer."""
    return str(orjson.loads(reply)["label"])


@dataclass(frozen=True, slots=True)
class Peer:
    """One server."""

    title: str
    command: Callable[[Place], list[str]]
    packages: tuple[str, ...] = ()
    """What it needs beside this service's own environment."""
    environment: str = ""
    """The name of its own environment; none needs no more than the service's."""
    path: Callable[[str], str] = lambda _: "/classify"
    variables: Callable[[Place], Mapping[str, str]] = lambda _: NOTHING
    wrap: Callable[[bytes], bytes] = as_it_is
    media: str = "image/png"
    label: Callable[[bytes], str] = label_of
    ports: int = 1
    """How many it listens on."""
    versions: tuple[str, ...] = field(default=())
    """The packages whose versions say what was measured."""
    extras: tuple[str, ...] = ()
    """Those that it uses where they are installed."""
    models: tuple[str, ...] = ()
    """Those that it is asked about; all unless some are named."""
    judges: bool = True
    """Whether it answers with what the net says."""


def ours(place: Place) -> Mapping[str, str]:
    """The defaults, in a folder that is kept from round to round: what a service has measured of itself lies there."""
    return {
        "CHAPTERHOUSE_PORT": str(place.port),
        "CHAPTERHOUSE_STATE_DIR": str(place.folder / "state"),
        "CHAPTERHOUSE_PRELOAD": place.model,
    }


def our_label(reply: bytes) -> str:
    """The likeliest label."""
    return str(orjson.loads(reply)["predictions"][0]["labels"][0]["label"])


def mosec(code: str, title: str) -> Peer:
    """One of the three ways to write the worker."""
    return Peer(
        title,
        lambda place: [
            *(str(place.python), "-m", "benchmarks.peers.with_mosec"),
            *("--port", str(place.port), "--address", "127.0.0.1", "--path", str(place.folder / "sockets")),
        ],
        packages=("mosec==0.9.8",),
        environment="mosec",
        path=lambda _: "/inference",
        variables=lambda _: {"PEER_CODE": code},
        versions=("mosec",),
    )


def uvicorn(place: Place, *application: str) -> list[str]:
    """An application in one process, without an access log."""
    return [
        *(str(place.python), "-m", "uvicorn", *application),
        *("--port", str(place.port), "--no-access-log", "--log-level", "error"),
    ]


def mlserver(place: Place) -> list[str]:
    """Started with a folder of two files."""
    ports = dict(zip(("http_port", "grpc_port", "metrics_port"), place.ports, strict=True))
    (place.folder / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "debug": False, **ports}))
    served = {
        "name": "classifier",
        "implementation": "benchmarks.peers.with_mlserver.Served",
        "max_batch_size": MAX_BATCH,
        "max_batch_time": WAIT_MS / 1000,
    }
    (place.folder / "model-settings.json").write_text(json.dumps(served))
    return [str(place.python.parent / "mlserver"), "start", str(place.folder)]


def inference_request(body: bytes) -> bytes:
    """The Open Inference Protocol in JSON."""
    data = [base64.b64encode(body).decode()]
    return orjson.dumps({"inputs": [{"name": "image", "shape": [1, 1], "datatype": "BYTES", "data": data}]})


def inferred_label(reply: bytes) -> str:
    """The first output's only element."""
    return str(orjson.loads(reply)["outputs"][0]["data"][0])


def torchserve(place: Place) -> list[str]:
    """Started with an archive of the handler and a file of properties."""
    store = place.folder / "store"
    store.mkdir(exist_ok=True)
    handler = ROOT / "benchmarks" / "peers" / "with_torchserve.py"
    archiver = [str(place.python.parent / "torch-model-archiver"), "--model-name", "classifier", "--version", "1"]
    subprocess.run(
        [*archiver, "--handler", str(handler), "--export-path", str(store), "--force"], check=True, capture_output=True
    )
    inference, management, metrics, grpc_inference, grpc_management = place.ports
    model = {"marName": "classifier.mar", "defaultVersion": True, "batchSize": MAX_BATCH, "maxBatchDelay": WAIT_MS}
    properties = {
        "inference_address": f"http://127.0.0.1:{inference}",
        "management_address": f"http://127.0.0.1:{management}",
        "metrics_address": f"http://127.0.0.1:{metrics}",
        "grpc_inference_port": grpc_inference,
        "grpc_management_port": grpc_management,
        "model_store": store,
        "load_models": "classifier.mar",
        "job_queue_size": 1024,
        "models": json.dumps({"classifier": {"1": {**model, "minWorkers": 1, "maxWorkers": 1}}}),
    }
    written = place.folder / "config.properties"
    written.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    start = [str(place.python.parent / "torchserve"), "--start", "--foreground", "--ncs", "--disable-token-auth"]
    return [*start, "--ts-config", str(written)]


PEERS: dict[str, Peer] = {
    "chapterhouse": Peer(
        "Chapterhouse",
        lambda place: [str(place.python), "-m", "service", "serve"],
        path=lambda model: f"/classify?model={model}",
        variables=ours,
        label=our_label,
        versions=("torch", "numpy", "uvicorn", "httptools", "uvloop"),
        extras=("onnxruntime", "openvino"),
    ),
    "chapterhouse-float32": Peer(
        "Chapterhouse, float32",
        lambda place: [str(place.python), "-m", "service", "serve"],
        path=lambda model: f"/classify?model={model}",
        variables=lambda place: {**ours(place), "CHAPTERHOUSE_PRECISION": "float32"},
        label=our_label,
        models=("nin-cifar10",),
    ),
    "mosec": mosec("plain", "mosec"),
    "mosec-decoder": mosec("our-decoder", "mosec, our decoder"),
    "mosec-engine": mosec("our-engine-code", "mosec, our engine code"),
    "litserve": Peer(
        "LitServe",
        lambda place: [str(place.python), "-m", "benchmarks.peers.with_litserve", str(place.port)],
        packages=("litserve==0.2.19",),
        environment="litserve",
        path=lambda _: "/predict",
        versions=("litserve",),
    ),
    "ray": Peer(
        "Ray Serve",
        lambda place: [str(place.python), "-m", "benchmarks.peers.with_ray", str(place.port)],
        packages=("ray[serve]==2.60.0",),
        environment="ray",
        path=lambda _: "/",
        versions=("ray",),
    ),
    "bentoml": Peer(
        "BentoML",
        lambda place: [
            *(str(place.python), "-m", "bentoml", "serve", "benchmarks.peers.with_bentoml:Front"),
            *("--host", "127.0.0.1", "--port", str(place.port)),
        ],
        packages=("bentoml==1.4.40",),
        environment="bentoml",
        variables=lambda place: {"BENTOML_HOME": str(place.folder), "BENTOML_DO_NOT_TRACK": "true"},
        versions=("bentoml",),
    ),
    "mlserver": Peer(
        "MLServer",
        mlserver,
        packages=("mlserver==1.7.1", "uvloop<0.22"),
        environment="mlserver",
        path=lambda _: "/v2/models/classifier/infer",
        wrap=inference_request,
        media="application/json",
        label=inferred_label,
        ports=3,
        versions=("mlserver",),
    ),
    "torchserve": Peer(
        "TorchServe",
        torchserve,
        packages=("torchserve==0.12.0", "torch-model-archiver==0.12.0"),
        environment="torchserve",
        path=lambda _: "/predictions/classifier",
        variables=lambda place: {"LOG_LOCATION": str(place.folder), "METRICS_LOCATION": str(place.folder)},
        ports=5,
        versions=("torchserve",),
    ),
    "fastapi": Peer(
        "plain FastAPI",
        lambda place: uvicorn(place, "--factory", "benchmarks.peers.with_fastapi:create_app"),
        versions=("fastapi",),
    ),
    "raw": Peer(
        "a raw ASGI reply, no net",
        lambda place: uvicorn(place, "benchmarks.peers.raw:answer"),
        models=("lenet5-mnist",),
        judges=False,
    ),
}


OURS = ("chapterhouse", "chapterhouse-float32")
USUAL = (*OURS, "mosec", "mosec-decoder", "mosec-engine", "litserve", "fastapi", "raw")
"""Who is compared unless somebody says otherwise: all of them take half an hour."""


def chosen(words: str) -> list[str]:
    """Names between commas, or `all`. Raises ArgumentTypeError for one that nobody has."""
    names = list(PEERS) if words == "all" else words.split(",")
    if unknown := set(names) - set(PEERS):
        raise ArgumentTypeError(f"there is no peer called {', '.join(sorted(unknown))}")
    return names


def python_of(peer: Peer) -> Path:
    """The interpreter that it runs in."""
    return ENVIRONMENTS / peer.environment / "bin" / "python" if peer.environment else Path(sys.executable)

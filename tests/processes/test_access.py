"""Keys and tokens of a whole service with two fronts, and behind a proxy on the same machine."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from serving import Service
from waiting import PATIENCE_S, until

from benchmarks.load.machine import free_port
from service.api.access.keyring import READ_EVERY_S, TRUST_S
from service.client.blocking import Client
from service.evaluation.queue.database import Database
from service.evaluation.queue.keys import Keys, KeyScope, copy_of, read_copy
from service.evaluation.queue.migrations import migrate
from service.processes.tokens import prepare_keys
from service.settings import Settings

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location /stripped/ {{
            proxy_pass {url}/;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Prefix /stripped;
        }}
        location /plain/ {{ proxy_pass {url}/; }}
    }}
}}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service with two fronts that believes a proxy on this machine."""
    folder = tmp_path_factory.mktemp("service")
    with Service(folder, FRONTS=2, TRUSTED_PROXIES="127.0.0.1", OPEN_PAGES=False) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def settings(service: Service, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Where this service keeps what it knows, as its own user's commands have it."""
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(service.log_file.parent / "state"))
    return Settings()


@contextmanager
def nginx(folder: Path, url: str) -> Iterator[str]:
    """The address of a proxy before the service."""
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, port=port, url=url), "utf-8")
    with subprocess.Popen([str(shutil.which("nginx")), "-c", str(file), "-e", str(folder / "error.log")]) as process:
        try:
            until(lambda: _answers(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def ask(url: str, token: str = "", times: int = 12) -> list[httpx.Response]:
    """What as many connections of their own are answered, whichever front takes each."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    alone = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(headers=headers, timeout=PATIENCE_S, limits=alone) as client:
        return [client.get(f"{url}/openapi.json") for _ in range(times)]


def statuses(url: str, token: str = "") -> set[int]:
    """The statuses of some answers."""
    return {reply.status_code for reply in ask(url, token)}


def test_the_token_lies_in_the_state_directory_and_whoever_may_read_it_may_change_the_service(
    service: Service, settings: Settings
) -> None:
    file = settings.token_file(httpx.URL(service.url).port or 0)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text("utf-8") not in service.log
    for path in ("/models/lenet5-other/load", "/models/lenet5-other/unload"):
        assert httpx.post(f"{service.url}{path}", timeout=PATIENCE_S).status_code == 401
        told = {"x-forwarded-for": "127.0.0.1", "authorization": "Bearer 127.0.0.1"}
        assert httpx.post(f"{service.url}{path}", headers=told, timeout=PATIENCE_S).status_code == 401
    with Client(service.url) as client:
        client.load("lenet5-other")
        client.unload("lenet5-other")
    until(lambda: "POST /models/lenet5-other/unload by local from 127.0.0.1: 204" in service.log)


@pytest.mark.nginx
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_behind_a_proxy_on_this_machine_nobody_is_this_machine(
    service: Service, settings: Settings, tmp_path: Path
) -> None:
    token = settings.token_file(httpx.URL(service.url).port or 0).read_text("utf-8")
    with nginx(tmp_path, service.url) as outside:
        for prefix in ("/stripped", "/plain"):
            refused = httpx.post(f"{outside}{prefix}/models/lenet5-other/unload", timeout=PATIENCE_S)
            assert refused.status_code == 401
            with Client(f"{outside}{prefix}") as client:
                assert client.models()
            with Client(f"{outside}{prefix}", token=token) as client:
                client.load("lenet5-other")
        own = {"origin": outside, "x-forwarded-for": "203.0.113.9"}
        foreign = {"origin": "http://evil.example"}
        unload, bearing = f"{outside}/stripped/models/lenet5-other/unload", {"authorization": f"Bearer {token}"}
        assert httpx.post(unload, headers={**bearing, **foreign}, timeout=PATIENCE_S).status_code == 403
        assert httpx.post(unload, headers={**bearing, **own}, timeout=PATIENCE_S).status_code == 204
        redirect = httpx.get(f"{outside}/stripped/docs/", timeout=PATIENCE_S)
        assert (redirect.status_code, redirect.headers["location"]) == (307, "/stripped/docs")
        document = httpx.get(f"{outside}/stripped/openapi.json", timeout=PATIENCE_S).json()
        assert document["servers"] == [{"url": "/stripped"}]
        waiting = httpx.post(f"{outside}/stripped/evaluate", files={"generated": b"no archive"}, timeout=PATIENCE_S)
        assert waiting.headers.get("location", "/stripped/").startswith("/stripped/")
    until(lambda: "unload by local from 127.0.0.1: 204" in service.log)  # nginx appends the address that it saw


def test_keys_hold_and_are_revoked_in_every_front_without_a_restart(service: Service, settings: Settings) -> None:
    keys = Keys.of(settings)
    assert statuses(service.url) == {200}
    token = keys.create("ci", [KeyScope.INFER])
    until(lambda: statuses(service.url) == {401})
    until(lambda: statuses(service.url, token) == {200})
    service.kill("front")
    until(lambda: len(service.children("front")) == 2)
    until(lambda: statuses(service.url, token) == {200})
    keys.revoke("ci")
    until(lambda: statuses(service.url, token) == {401})
    assert [key.name for key in read_copy(copy_of(settings)) or ()] == ["ci"]
    keys.forget("ci")
    until(lambda: statuses(service.url) == {200})


def test_a_keys_limits_are_those_of_both_fronts_together(service: Service, settings: Settings) -> None:
    keys = Keys.of(settings)
    rate = 0.05  # so low that no machine is too slow to meet it
    slow = keys.create("slow", [KeyScope.INFER], rate=rate)
    created = time.monotonic()
    until(lambda: time.monotonic() - created > READ_EVERY_S + TRUST_S)  # a front that knows of no key lets all in
    until(lambda: statuses(service.url) == {401})
    began = time.monotonic()
    replies = ask(service.url, slow, times=60)
    assert {reply.status_code for reply in replies} == {200, 429}
    let_in = [reply for reply in replies if reply.status_code == 200]
    assert len(let_in) <= 1 + rate * (time.monotonic() - began)
    waits = [int(reply.headers["retry-after"]) for reply in replies if reply.status_code == 429]
    assert 1 <= min(waits) <= max(waits) <= 1 / rate
    keys.forget("slow")
    until(lambda: statuses(service.url) == {200})


@pytest.mark.parametrize(
    ("host", "with_key", "warns"),
    [("0.0.0.0", False, True), ("::", False, True), ("127.0.0.1", False, False), ("0.0.0.0", True, False)],
)
def test_a_service_that_is_open_to_everybody_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, host: str, *, with_key: bool, warns: bool
) -> None:
    settings = Settings(state_dir=tmp_path, host=host)
    database = Database.of(settings)
    migrate(database)
    if with_key:
        Keys(database).create("ci", [KeyScope.INFER])
    prepare_keys(settings, database)
    assert any("OPEN TO EVERYBODY" in record.getMessage() for record in caplog.records) == warns
    assert len(read_copy(copy_of(settings)) or ()) == with_key

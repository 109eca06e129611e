"""Two services as pods run them: processes, a disk each, one PostgreSQL, one store of objects."""

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from serving import Service, add_untrained, is_alive
from waiting import PATIENCE_S, until

from benchmarks.load.machine import free_ports
from benchmarks.load.stores import Objects, Postgres, why_no_objects, why_no_postgres
from service.evaluation.queue.database import Database
from service.evaluation.queue.homes import engines_elsewhere
from service.evaluation.queue.jobs import Jobs
from service.storage.objects import Objects as Storage
from service.storage.storage import PIECE_BYTES

pytestmark = [pytest.mark.pods, pytest.mark.skipif(why_no_objects() is not None, reason=str(why_no_objects()))]

METRICS = {"metrics": "fid,mmd", "intervals": "false"}
AT_ONCE = {"prefer": "wait=0"}
PATIENT = {"prefer": "wait=240"}
HTML = {"accept": "text/html"}


def packed(count: int, brightest: int, seed: int) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, images=np.random.default_rng(seed).integers(0, brightest, (count, 28, 28), np.uint8))
    return stream.getvalue()


@pytest.fixture(scope="module")
def shared() -> Iterator[dict[str, str]]:
    """The settings of services that share both."""
    assert why_no_postgres() is None, why_no_postgres()
    with Postgres() as database, Objects() as store, pytest.MonkeyPatch.context() as environment:
        for name, value in store.environment.items():
            environment.setenv(name, value)
        yield {"DATABASE_URL": database.address, "STORAGE_URL": store.address}


@pytest.fixture
def storage(shared: dict[str, str]) -> Storage:
    return Storage(shared["STORAGE_URL"], name=shared["STORAGE_URL"])


@pytest.fixture
def files() -> dict[str, bytes]:
    return {"generated": packed(200, 256, 1), "reference": packed(200, 200, 2)}


def folder_of(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


def ask(service: Service, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{service.url}{path}", headers=headers, timeout=PATIENCE_S)


def send(service: Service, files: dict[str, bytes], how: dict[str, str], **fields: str) -> Any:
    reply = httpx.post(
        f"{service.url}/evaluate", files=files, data={**METRICS, **fields}, headers=how, timeout=PATIENCE_S
    )
    assert reply.status_code in (200, 202), reply.text
    return reply.json()


def values_of(report: dict[str, Any]) -> dict[str, float]:
    """The scores, on which the seed has no influence."""
    return {name: entry["value"] for name, entry in report.get("metrics", {}).items()}


def lose(service: Service) -> None:
    """Kill all of a service at once, as a machine that loses its power does."""
    family = [pid for role in ("front", "engine", "evaluator") for pid in service.children(role)]
    os.killpg(service.process.pid, signal.SIGKILL)
    until(lambda: not any(map(is_alive, family)))


def is_over(service: Service, name: str) -> bool:
    return str(ask(service, f"/evaluations/{name}").json()["status"]) in ("finished", "failed", "cancelled")


def counted(service: Service) -> float:
    text = ask(service, "/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("chapterhouse_evaluations_open")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_what_a_lost_service_accepted_another_finishes_shows_uses_again_and_deletes(
    shared: dict[str, str], storage: Storage, files: dict[str, bytes], tmp_path: Path
) -> None:
    add_untrained(models := folder_of(tmp_path, "models"))
    given = {**shared, "MODELS_DIR": models}
    with Service(folder_of(tmp_path, "a"), **given) as a, Service(folder_of(tmp_path, "b"), **given) as b:
        for service in (a, b):
            service.wait_until_ready()
        right = send(a, files, PATIENT, seed="1000")
        assert right["status"] == "finished", right
        reference = httpx.put(
            f"{a.url}/references/mine",
            files={"reference": files["reference"]},
            headers={**PATIENT, **a.bearing},
            timeout=PATIENCE_S,
        )
        assert reference.status_code == 201, reference.text
        for evaluator in b.children("evaluator"):
            os.kill(evaluator, signal.SIGSTOP)  # so that A has begun some of them when it is lost
        names = [send(a, files, AT_ONCE, seed=str(seed))["id"] for seed in range(4)]
        until(lambda: any(ask(a, f"/evaluations/{name}").json()["status"] != "queued" for name in names))
        lose(a)
        for evaluator in b.children("evaluator"):
            os.kill(evaluator, signal.SIGCONT)
        until(lambda: all(is_over(b, name) for name in names))
        for name in names:
            found = ask(b, f"/evaluations/{name}").json()
            assert (found["status"], values_of(found)) == ("finished", values_of(right))
            assert "Nearest to real samples" in ask(b, f"/evaluations/{name}", **HTML).text
        assert "mine" in [row["name"] for row in ask(b, "/references").json()["references"]]
        assert send(b, files, PATIENT, seed="1000")["reused"] == right["id"]
        assert counted(b) == 0
        for row in ask(b, "/evaluations").json()["evaluations"]:
            gone = httpx.delete(f"{b.url}/evaluations/{row['id']}", headers=b.bearing, timeout=PATIENCE_S)
            assert gone.status_code == 204
        assert httpx.delete(f"{b.url}/references/mine", headers=b.bearing).status_code == 204
        assert [entry.key for folder in ("reports", "references") for entry in storage.list(folder)] == []


def rows_done(service: Service) -> float:
    """The rows of all batches that its engine has computed."""
    lines = [
        line for line in ask(service, "/metrics").text.splitlines() if line.startswith("chapterhouse_batch_rows_sum")
    ]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_one_evaluation_is_done_by_the_engines_of_both_and_has_the_bits_of_one_also_where_one_is_lost(
    shared: dict[str, str], tmp_path: Path
) -> None:
    add_untrained(models := folder_of(tmp_path, "models"))
    files = {"generated": packed(6000, 256, 3), "reference": packed(6000, 200, 4)}
    given = {**shared, "MODELS_DIR": models, "ENGINES_SECRET": "s" * 32}
    at = [f"127.0.0.1:{port}" for port in free_ports(2)]
    with Service(folder_of(tmp_path, "a"), **given, ENGINES_ADDRESS=at[0]) as a:
        a.wait_until_ready()
        alone = send(a, files, PATIENT, seed="1000")
        with Service(folder_of(tmp_path, "b"), **given, ENGINES_ADDRESS=at[1]) as b:
            b.wait_until_ready()
            [evaluator] = b.children("evaluator")
            until(lambda: b.log.count("listening for work of other services"))
            told = Database(sa.make_url(shared["DATABASE_URL"]).set(drivername="postgresql+psycopg"))
            until(lambda: at[1] in engines_elsewhere(Jobs(told, home="nobody")))
            told.close()
            os.kill(evaluator, signal.SIGSTOP)  # A is to have what is sent
            before = rows_done(b)
            both = send(a, files, PATIENT, seed="1001")
            assert rows_done(b) > before
            name = send(a, files, AT_ONCE, seed="1002")["id"]
            before = rows_done(b)
            until(lambda: rows_done(b) > before or is_over(a, name))
            lose(b)
        until(lambda: is_over(a, name))
        one_lost = ask(a, f"/evaluations/{name}").json()
    for report in (both, one_lost):
        assert (report["status"], values_of(report)) == ("finished", values_of(alone))
        assert report["reused"] is None


def test_a_large_file_goes_in_parts_and_comes_in_pieces(storage: Storage, tmp_path: Path) -> None:
    large = os.urandom(3 * PIECE_BYTES + 1)
    (tmp_path / "large").write_bytes(large)
    storage.put("uploads/large/generated", tmp_path / "large")
    assert b"".join(storage.stream("uploads/large/generated")) == large
    [entry] = storage.list("uploads/large")
    assert (entry.key, entry.size_bytes) == ("uploads/large/generated", len(large))
    assert storage.version("uploads/large/generated") == storage.version("uploads/large/generated")
    storage.delete("uploads/large")
    assert (list(storage.list("uploads/large")), storage.version("uploads/large/generated")) == ([], None)
    with pytest.raises(FileNotFoundError):
        storage.get("uploads/large/generated")

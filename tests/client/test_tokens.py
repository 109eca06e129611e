"""What a client sends as its key: the one it is given, the environment's, or that of the service on this machine."""

from pathlib import Path

import httpx
import pytest

from service.client.blocking import Client
from service.client.sending import Bearer, local_token_file
from service.errors import KeyNeeded
from service.processes.tokens import local_token, read_local_token
from service.settings import Settings


def test_a_client_on_this_machine_finds_the_token_and_another_does_not(
    server: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(server) as stranger:
        with pytest.raises(KeyNeeded, match="the token that the service has written into its state directory"):
            stranger.load("echo")
        assert stranger.models()
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(settings.state))
    for address in (server, server.replace("127.0.0.1", "localhost")):
        with Client(address) as client:
            client.load("echo")
            client.unload("echo")
    with Client(server, token="something else") as client, pytest.raises(KeyNeeded):
        client.load("echo")


def test_a_service_that_starts_again_has_another_token_and_its_clients_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(tmp_path))
    bearer = Bearer("http://127.0.0.1:8000", None, Settings())
    assert bearer.token() == ""
    for _ in range(2):
        with local_token(Settings(), 8000) as token:
            assert bearer.token() == token
    assert bearer.token() == ""


def test_the_token_is_a_secret_file_for_as_long_as_the_service_runs(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    file = settings.token_file(8000)
    with local_token(settings, 8000) as token:
        assert read_local_token(settings, 8000) == token
        assert read_local_token(settings, 8001) == ""
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert len(token) >= 43
        with local_token(settings, 8000) as next_one:  # the other was killed
            assert read_local_token(settings, 8000) == next_one != token
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org:8000",
        "http://localhost.example.org:8000",
        "http://127.0.0.1.example.org:8000",
        "http://me:pw@example.org:8000/127.0.0.1",
        "https://127.0.0.1:8000",
        "no address",
    ],
)
def test_it_is_sent_to_no_other_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(tmp_path))
    settings = Settings()
    with local_token(settings, 8000), local_token(settings, 80):
        assert local_token_file(address, settings) is None
        assert Bearer(address, None, settings).token() == ""


def test_a_redirect_to_another_host_gets_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAPTERHOUSE_TOKEN", "mine")
    seen: list[tuple[str, str | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.host, request.headers.get("authorization")))
        if request.url.host == "127.0.0.1":
            return httpx.Response(307, headers={"location": "http://evil.example/models"})
        return httpx.Response(200, json={"models": []})

    with Client("http://127.0.0.1:8000", transport=httpx.MockTransport(answer)) as client:
        assert client.models() == []
    assert seen == [("127.0.0.1", "Bearer mine"), ("evil.example", None)]

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cli.conftest import Run
from waiting import PATIENCE_S, until

from service.cli.keys import moment_of, scopes_of
from service.errors import ConfigurationError
from service.evaluation.queue.keys import Keys
from service.settings import Settings


def test_a_key_is_made_listed_and_revoked(run: Run, local_settings: Settings) -> None:
    limits = ("--expires", "90d", "--rate", "2.5", "--concurrency", "4")
    made = run("keys", "create", "ci", "--scopes", "infer, evaluate", *limits)
    assert made.exit_code == 0, made.output
    token = made.stdout.strip()
    assert token.startswith("ch_")
    listed = run("keys", "list").stdout
    for word in ("ci", "valid", "evaluate,infer", "2.5", "4"):
        assert word in listed
    assert token not in listed
    [told] = json.loads(run("keys", "list", "--json").stdout)["keys"]
    assert (told["name"], told["standing"], told["rate"], told["concurrency"]) == ("ci", "valid", 2.5, 4)
    assert "digest" not in told
    assert run("keys", "revoke", "ci").stdout == "ci  revoked\n"
    assert Keys.of(local_settings).all()[0].standing(0) == "revoked"
    assert run("keys", "revoke", "ci", "--forget").stdout == "ci  forgotten\n"
    assert Keys.of(local_settings).all() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "ci", "--scopes", "infer,root"), "root is no scope; there are infer, evaluate, admin"),
        (("create", "ci", "--scopes", ","), "nothing is no scope"),
        (("create", "127.0.0.1", "--scopes", "infer"), "A key cannot be called '127.0.0.1'"),
        (("create", "ci", "--scopes", "infer", "--expires", "soon"), "write a date such as 2027-01-31"),
        (("create", "ci", "--scopes", "infer", "--expires", "2001-01-01"), "is over already"),
        (("revoke", "nobody"), "There is no key 'nobody'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(run: Run, arguments: tuple[str, ...], words: str) -> None:
    result = run("keys", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_moments_and_scopes_are_read() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert moment_of("12h", now) - now.timestamp() == 12 * 3600
    assert moment_of("8w", now) - now.timestamp() == 8 * 7 * 86400
    assert moment_of("2027-01-31", now) == datetime(2027, 1, 31, tzinfo=UTC).timestamp()
    assert moment_of("2027-01-31T10:00+02:00", now) == datetime(2027, 1, 31, 8, tzinfo=UTC).timestamp()
    assert scopes_of("admin,infer,infer") == ["infer", "admin"]
    with pytest.raises(ConfigurationError):
        scopes_of("")


def status(server: str, headers: dict[str, str] | None = None) -> int:
    return httpx.get(f"{server}/models", headers=headers, timeout=PATIENCE_S).status_code


def test_a_running_service_knows_of_both_without_a_restart(
    run: Run, server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = run("keys", "create", "ci", "--scopes", "infer").stdout.strip()
    until(lambda: status(server) == 401)
    bearing = {"authorization": f"Bearer {token}"}
    until(lambda: status(server, bearing) == 200)
    monkeypatch.setenv("CHAPTERHOUSE_TOKEN", token)
    drawn = run("generate", "--server", server, "doodle", "--count", "1", "--seed", "1", "--output", tmp_path / "x.npz")
    assert drawn.exit_code == 0, drawn.output
    run("keys", "revoke", "ci")
    until(lambda: status(server, bearing) == 401)
    refused = run(
        "generate", "--server", server, "doodle", "--count", "1", "--seed", "1", "--output", tmp_path / "x.npz"
    )
    assert refused.exit_code == 2
    assert "This key is not known, or no longer valid." in refused.stderr

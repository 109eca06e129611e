from pathlib import Path

import httpx
import numpy as np
import pytest
from api.asking import assert_problem
from doubles import add_several
from safetensors.numpy import save_file

from service.store import Model


@pytest.fixture
def recording(models_dir: Path) -> Path:
    """Where the recording of `dots` belongs."""
    add_several(models_dir)
    return models_dir / "dots" / "recording.safetensors"


async def test_a_recorded_training_is_shown_moment_by_moment(client: httpx.AsyncClient, recording: Path) -> None:
    samples = np.array([[[0.5, -0.25], [1, 2]], [[np.nan, 0.1], [3, 4]]], np.float16)
    save_file({"step": np.array([1, 50]), "samples": samples}, recording)
    reply = await client.get("/models/dots/recording")
    assert reply.status_code == 200
    assert reply.json() == {
        "model": "dots",
        "version": Model(recording.parent).version,
        "modes": [[1, 0], [-1, 0]],
        "deviation": 0.1,
        "steps": [1, 50],
        "samples": [[[0.5, -0.25], [1, 2]], [[None, 0.1], [3, 4]]],
    }


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize(
    ("name", "status", "detail"),
    [
        ("dots", 404, "No training of dots was recorded."),
        ("doodle", 404, "No training of doodle was recorded."),
        ("nobody", 404, "There is no model called 'nobody'"),
        ("echo", 409, "echo does classify, not generate"),
    ],
)
async def test_what_was_not_recorded_is_said(client: httpx.AsyncClient, name: str, status: int, detail: str) -> None:
    assert_problem(await client.get(f"/models/{name}/recording"), status, detail)


async def test_a_damaged_recording_is_no_answer(client: httpx.AsyncClient, recording: Path) -> None:
    recording.write_bytes(b"no tensors")
    reply = await client.get("/models/dots/recording")
    assert_problem(reply, 409, "dots/recording.safetensors: it is no recording")
    assert str(recording.parent.parent) not in reply.text

"""What benchmarks/throughput.py counts."""

import subprocess
import sys
import time

import pytest

from benchmarks.throughput import BOUNDARY, Rates, form_of, row, tree_time
from service.settings import Settings
from service.store import ModelStore


def test_the_service_is_held_against_torchs_best() -> None:
    rates = Rates({1: 100.0, 16: 400.0, 128: 300.0}, served=360.0, client_share=0.01)
    assert rates.best_batch == 16
    assert rates.share == pytest.approx(0.9)
    model = ModelStore(Settings().shipped_models_dir).get("lenet5-mnist")
    assert row(model, rates) == "| `lenet5-mnist` | 326,520 | 400 | 16 | 360 | 0.90 | 1% |"


def test_a_form_holds_as_many_images_as_it_says() -> None:
    body = form_of(ModelStore(Settings().shipped_models_dir).get("lenet5-mnist"), 3)
    assert body.count(b"image/png") == 3
    assert body.endswith(f"--{BOUNDARY}--\r\n".encode())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_time_of_children_counts() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ninput()"
    nest = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", nest], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "done\n"
        assert tree_time(parent.pid) >= 0.2
        assert time.process_time() > 0
        parent.communicate("\n")

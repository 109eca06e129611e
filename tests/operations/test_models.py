from pathlib import Path

from doubles import Echo, FakeEngine

from service.nets.weights import save_weights
from service.operations.models import forget_replaced
from service.runtime.calls import LoadedModel
from service.store import ModelStore


def test_files_are_read_again_once_an_engine_holds_other_weights(store: ModelStore, models_dir: Path) -> None:
    before = {name: store.get(name) for name in ("echo", "slow")}
    held = {name: LoadedModel(model.version, "ready", "cpu") for name, model in before.items()}
    forget_replaced(store, FakeEngine(held=held))
    assert {name: store.get(name) for name in before} == before
    net = Echo()
    net.scale.data.fill_(3.0)
    save_weights(net, models_dir / "echo" / "weights.safetensors")
    forget_replaced(store, FakeEngine(held={**held, "echo": LoadedModel("another", "ready", "cpu")}))
    assert store.get("echo").version != before["echo"].version
    assert store.get("slow") is before["slow"]

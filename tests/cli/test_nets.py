import json

from cli.conftest import Run

from service.nets.published import PUBLISHED


def test_every_published_net_is_listed_with_its_counts(run: Run) -> None:
    nets = {net["name"]: net for net in json.loads(run("models", "nets", "--json").stdout)["nets"]}
    assert nets.keys() == PUBLISHED.keys()
    assert nets["alexnet"]["parameters"] == 60_965_224
    assert nets["alexnet"]["macs"] == 724_406_816
    assert nets["xception"]["input"] == [3, 299, 299]
    assert nets["nin-cifar100"]["classes"] == 100
    assert nets["googlenet"]["chapter"] == 4
    assert nets["mobilenet-1.0-224"]["chapter"] == 5
    assert all(net["paper"] for net in nets.values())
    assert "138,357,544" in run("models", "nets").stdout


def test_one_net_is_shown_layer_by_layer(run: Run) -> None:
    shown = run("models", "nets", "zfnet").stdout
    for words in ("conv2", "256×26×26", "614,656", "alexnet"):
        assert (words in shown) is (words != "alexnet")
    layers = json.loads(run("models", "nets", "zfnet", "--json").stdout)["layers"]
    assert layers[0]["name"] == "conv1"
    assert layers[0]["receptive_field"] == 7


def test_an_unknown_net_is_said(run: Run) -> None:
    result = run("models", "nets", "lenet6")
    assert result.exit_code == 2
    assert "There is no net called 'lenet6'; there are" in result.stderr

import json

from cli.conftest import Run

from service.metrics.registry import DEFAULT_METRICS, METRICS


def test_every_metric_is_listed_with_what_has_to_be_known(run: Run) -> None:
    shown = run("metrics", "list").stdout
    for name, metric in METRICS.items():
        assert f"{name}  {metric.about.title}" in shown
        assert all(f"{name}.{option}: " in shown for option in metric.model_fields)
        assert all(f"{name}.{part}: " in shown for part in (*metric.about.parts, *metric.about.words))
    assert shown.count("measured unless others are named") == len(DEFAULT_METRICS)
    assert "  better    nearer its ideal\n" in shown
    assert "mmd.sigma: Bandwidth instead of the rule. Not set by itself; above 0." in shown
    assert "inception_score.shuffle: Shuffle the rows before they are split. true unless set; true or false." in shown


def test_only_those_that_are_named_are_shown(run: Run) -> None:
    shown = run("metrics", "list", "kid", "one_nn").stdout
    assert [line.split()[0] for line in shown.splitlines() if line and not line.startswith(" ")] == ["kid", "one_nn"]


def test_programs_read_json(run: Run) -> None:
    listed = json.loads(run("metrics", "list", "--json").stdout)["metrics"]
    assert [metric["name"] for metric in listed] == list(METRICS)
    [kid] = [metric for metric in listed if metric["name"] == "kid"]
    assert kid["options"][0] == {
        "name": "subsets",
        "default": None,
        "values": "at least 1 and at most 1,000",
        "description": "Random subsets to average over; else whole sets.",
    }
    assert kid["parts"].keys() == {"std", "subsets", "subset_size"}


def test_an_unknown_metric_is_said(run: Run) -> None:
    result = run("metrics", "list", "fidd")
    assert result.exit_code == 2
    assert result.stderr.startswith("chapterhouse: There is no metric called 'fidd'; there are fid, ")

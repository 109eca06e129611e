"""Every alert by promtool: none fires on a good day, each on the day that is its own, and the runbook knows it."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.promql import alert_queries, recorded_queries

ROOT = Path(__file__).parent.parent
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
NAMES = [query.place for query in alert_queries(ALERTS)]
HOURS = 8
MINUTES = 60 * HOURS

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")

GIB = 1 << 30
RULES = {"rule_files": [str(ALERTS)], "evaluation_interval": "5m"}
"""Days on which nothing changes for hours need not be looked at every minute."""
GOOD = {
    'up{job="chapterhouse",instance="a"}': f"1x{MINUTES}",
    'chapterhouse_ready{instance="a"}': f"1x{MINUTES}",
    'chapterhouse_processes_up{role="engine",instance="a"}': f"1x{MINUTES}",
    'chapterhouse_processes_up{role="evaluator",instance="a"}': f"1x{MINUTES}",
    'chapterhouse_device_up{device="cuda:0",instance="a"}': f"1x{MINUTES}",
    'chapterhouse_process_restarts_total{role="engine",instance="a"}': f"0x{MINUTES}",
    'chapterhouse_heartbeats_missed_total{role="engine",instance="a"}': f"2x{MINUTES}",
    'chapterhouse_rejected_total{reason="draining",instance="a"}': f"0+1x{MINUTES}",
    'chapterhouse_rejected_total{reason="queue_full",instance="a"}': f"7x{MINUTES}",
    'chapterhouse_requests_total{endpoint="/classify",code="200",instance="a"}': f"0+6000x{MINUTES}",
    'chapterhouse_requests_total{endpoint="/classify",code="422",instance="a"}': f"0+3000x{MINUTES}",
    'chapterhouse_requests_total{endpoint="/classify",code="503",instance="a"}': f"0+1000x{MINUTES}",
    'chapterhouse_requests_total{endpoint="/health/ready",code="503",instance="a"}': f"0+9000x{MINUTES}",
    'chapterhouse_requests_total{endpoint="/v2/…/ready",code="503",instance="a"}': f"0+9000x{MINUTES}",
    'chapterhouse_refusals_total{reason="Draining",client="anybody",instance="a"}': f"0+1000x{MINUTES}",
    'chapterhouse_request_seconds_bucket{endpoint="/classify",le="0.5",instance="a"}': f"0+60x{MINUTES}",
    'chapterhouse_request_seconds_bucket{endpoint="/classify",le="+Inf",instance="a"}': f"0+60x{MINUTES}",
    'chapterhouse_request_seconds_bucket{endpoint="/v2/…/infer",le="5.0",instance="a"}': f"0x{MINUTES}",
    'chapterhouse_request_seconds_bucket{endpoint="/v2/…/infer",le="10.0",instance="a"}': f"0+9x{MINUTES}",
    'chapterhouse_request_seconds_bucket{endpoint="/v2/…/infer",le="+Inf",instance="a"}': f"0+9x{MINUTES}",
    'chapterhouse_request_seconds_bucket{endpoint="/models/{model_id}/load",le="30.0",instance="a"}': f"0x{MINUTES}",
    'chapterhouse_request_seconds_bucket{endpoint="/models/{model_id}/load",le="+Inf",instance="a"}': f"0+1x{MINUTES}",
    'chapterhouse_request_seconds_bucket{endpoint="/evaluate",le="10",instance="a"}': f"0x{MINUTES}",
    'chapterhouse_request_seconds_bucket{endpoint="/evaluate",le="30",instance="a"}': f"0+60x{MINUTES}",
    'chapterhouse_request_seconds_bucket{endpoint="/evaluate",le="+Inf",instance="a"}': f"0+60x{MINUTES}",
    'chapterhouse_model_failures_total{model="lenet5-mnist",instance="a"}': f"3x{MINUTES}",
    'chapterhouse_database_answers{instance="a"}': f"1x{MINUTES}",
    'chapterhouse_evaluations_waiting{instance="a"}': f"20x{MINUTES}",
    'chapterhouse_evaluations_open{status="running",instance="a"}': f"1x{MINUTES}",
    'chapterhouse_evaluation_oldest_seconds{status="queued",instance="a"}': f"3000x{MINUTES}",
    'chapterhouse_evaluation_oldest_seconds{status="running",instance="a"}': f"3000x{MINUTES}",
    'chapterhouse_disk_free_bytes{instance="a"}': f"{50 * GIB}x{MINUTES}",
    'chapterhouse_disk_size_bytes{instance="a"}': f"{100 * GIB}x{MINUTES}",
    'chapterhouse_process_resident_memory_bytes{role="front",instance="a"}': f"{GIB}x{MINUTES}",
}
"""What is scraped on a day on which all is well: also when callers err, an instance drains, or is not ready yet."""
BAD = {
    "ChapterhouseDown": {'up{job="chapterhouse",instance="a"}': f"0x{MINUTES}"},
    "ChapterhouseNotReady": {'chapterhouse_ready{instance="a"}': f"0x{MINUTES}"},
    "ChapterhouseErrorsFast": {
        'chapterhouse_requests_total{endpoint="/classify",code="500",instance="a"}': f"0x{MINUTES - 70} 0+1000x70",
    },
    "ChapterhouseErrorsSlow": {
        'chapterhouse_requests_total{endpoint="/classify",code="500",instance="a"}': f"0+500x{MINUTES}",
    },
    "ChapterhouseEngineAway": {'chapterhouse_processes_up{role="engine",instance="a"}': f"0x{MINUTES}"},
    "ChapterhouseDeviceDown": {'chapterhouse_device_up{device="cuda:0",instance="a"}': f"0x{MINUTES}"},
    "ChapterhouseFlapping": {'chapterhouse_process_restarts_total{role="engine",instance="a"}': f"0+1x{MINUTES}"},
    "ChapterhouseBeatsMissed": {'chapterhouse_heartbeats_missed_total{role="engine",instance="a"}': f"0+1x{MINUTES}"},
    "ChapterhouseQueueFull": {'chapterhouse_rejected_total{reason="queue_full",instance="a"}': f"0+60x{MINUTES}"},
    "ChapterhouseSlow": {
        'chapterhouse_request_seconds_bucket{endpoint="/models",le="0.5",instance="a"}': f"0+50x{MINUTES}",
        'chapterhouse_request_seconds_bucket{endpoint="/models",le="1.0",instance="a"}': f"0+60x{MINUTES}",
        'chapterhouse_request_seconds_bucket{endpoint="/models",le="+Inf",instance="a"}': f"0+60x{MINUTES}",
    },
    "ChapterhouseModelFails": {
        'chapterhouse_model_failures_total{model="lenet5-mnist",instance="a"}': f"0+3x{MINUTES}"
    },
    "ChapterhouseDatabaseAway": {'chapterhouse_database_answers{instance="a"}': f"0x{MINUTES}"},
    "ChapterhouseEvaluatorAway": {'chapterhouse_processes_up{role="evaluator",instance="a"}': f"0x{MINUTES}"},
    "ChapterhouseEvaluationStuck": {'chapterhouse_evaluations_open{status="running",instance="a"}': f"0x{MINUTES}"},
    "ChapterhouseEvaluationBacklog": {'chapterhouse_evaluations_waiting{instance="a"}': f"21x{MINUTES}"},
    "ChapterhouseDiskFilling": {'chapterhouse_disk_free_bytes{instance="a"}': f"{25 * GIB}-{GIB // 40}x{MINUTES}"},
    "ChapterhouseMemoryGrowing": {
        'chapterhouse_process_resident_memory_bytes{role="front",instance="a"}': f"{GIB}+{GIB // 200}x{MINUTES}",
    },
}
"""What is otherwise on the day of each alert."""


def _day(firing: list[str], inputs: dict[str, str]) -> dict[str, Any]:
    """A service's day, and the alerts that fire at its end, in the words of `promtool test rules`."""
    return {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in inputs.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{HOURS}h",
                "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing],
            }
        ],
    }


def test_every_alert_has_its_bad_day() -> None:
    assert sorted(BAD) == sorted(NAMES)


@promtool
def test_none_fires_on_a_good_day_and_each_on_its_own_alone(tmp_path: Path) -> None:
    days = [_day([], GOOD), *(_day([name], {**GOOD, **otherwise}) for name, otherwise in BAD.items())]
    (tmp_path / "days.yml").write_text(yaml.safe_dump({**RULES, "tests": days}), "utf-8")
    tested = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "days.yml"], capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


@promtool
def test_prometheus_accepts_the_configuration_and_the_rules() -> None:
    configuration = ROOT / "deploy/prometheus/prometheus.yml"
    checked = subprocess.run(["promtool", "check", "config", configuration], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert f"{len(alert_queries(ALERTS)) + len(recorded_queries(ALERTS))} rules found" in checked.stdout


@pytest.mark.parametrize("name", NAMES)
def test_the_runbook_says_what_to_do(name: str) -> None:
    runbook = (ROOT / "docs/operating.md").read_text("utf-8")
    found = re.search(rf"^### {name}\n\n(.+?)(?=\n#|\Z)", runbook, re.MULTILINE | re.DOTALL)
    assert found, f"docs/operating.md has no paragraph `### {name}`: write what it means, where to look and what to do"
    assert len(found[1]) > 200, f"what docs/operating.md says of {name} is too little to act on"

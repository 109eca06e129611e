"""The image, the composition and the dashboard, read as their tools would read them."""

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from deploy.dockerfile import Dockerfile, Shell, read_dockerfile
from deploy.native import seconds
from deploy.promql import Query, alert_queries, dashboard_queries, recorded_queries
from service.processes.supervisor import ENGINE_STOP_S
from service.settings import Settings
from service.telemetry.instruments import Instruments
from service.telemetry.readings import FAMILIES

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROMETHEUS: dict[str, Any] = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboards/chapterhouse.json"
PROVISIONING = ROOT / "deploy/grafana/provisioning"
OWN_METRICS = {"up", "ALERTS", *(query.place for query in recorded_queries(ALERTS))}
"""What Prometheus itself records."""
OWN_LABELS = {"job", "instance", "le", "alertname", "alertstate"}
PORT = Settings.model_fields["port"].default


@pytest.fixture(params=["cpu", "cuda"])
def dockerfile(request: pytest.FixtureRequest) -> Dockerfile:
    return read_dockerfile(TEXT, ACCELERATOR=request.param)


def image_environment() -> dict[str, str]:
    words = (word for i in read_dockerfile(TEXT).image.all("ENV") for word in i.words)
    return dict(word.split("=", 1) for word in words)


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"] if panel["type"] != "row"]


def instruments() -> list[MetricWrapperBase]:
    held = Instruments()
    everything = (*vars(held).values(), *vars(held.conditions).values())
    return [value for value in everything if isinstance(value, MetricWrapperBase)]


def series(instrument: MetricWrapperBase) -> set[str]:
    """The names under which Prometheus stores an instrument."""
    suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
    assert instrument._type is not None
    return {instrument._name + suffix for suffix in suffixes[instrument._type]}


def queries() -> list[Query]:
    return [*dashboard_queries(DASHBOARD), *alert_queries(ALERTS), *recorded_queries(ALERTS)]


def mounts(service: str) -> Iterator[tuple[str, str, str]]:
    for volume in SERVICES[service].get("volumes", ()):
        source, _, rest = volume.partition(":")
        target, _, mode = rest.partition(":")
        yield source, target, mode


class TestImage:
    def test_either_accelerator_chooses_its_torch_and_nothing_else_differs(self) -> None:
        cpu, cuda = (
            {stage.name for stage in read_dockerfile(TEXT, ACCELERATOR=name).needed()} for name in ("cpu", "cuda")
        )
        assert cpu ^ cuda == {"torch-cpu", "torch-cuda"}
        assert "torch-cpu" in cpu

    def test_a_digest_of_the_interpreter_can_be_given(self) -> None:
        pinned = f"python:3.11-slim-bookworm@sha256:{64 * '0'}"
        assert read_dockerfile(TEXT).stages["interpreter"].parent == "python:3.11-slim-bookworm"
        assert read_dockerfile(TEXT, PYTHON=pinned).stages["interpreter"].parent == pinned

    def test_another_accelerator_is_refused(self) -> None:
        with pytest.raises(KeyError, match="torch-abacus"):
            read_dockerfile(TEXT, ACCELERATOR="abacus")

    def test_no_package_index_is_named_but_pytorchs_for_the_cpu(self) -> None:
        assert re.findall(r"https?://[^\s\"']+", TEXT) == ["https://download.pytorch.org/whl/cpu"]

    def test_it_does_not_run_as_root(self, dockerfile: Dockerfile) -> None:
        uid, gid = dockerfile.image.last("USER").text.split(":")
        assert int(uid) > 0
        assert int(gid) > 0
        assert f"--uid {uid}" in dockerfile.image.last("RUN").text

    def test_it_serves_in_exec_form_and_stops_on_sigterm(self, dockerfile: Dockerfile) -> None:
        assert json.loads(dockerfile.image.last("ENTRYPOINT").text) == ["chapterhouse"]
        assert json.loads(dockerfile.image.last("CMD").text) == ["serve"]
        assert "chapterhouse" in PYPROJECT["project"]["scripts"]
        assert dockerfile.image.last("STOPSIGNAL").text == "SIGTERM"

    def test_its_health_is_its_readiness(self, dockerfile: Dockerfile) -> None:
        health = dockerfile.image.last("HEALTHCHECK")
        assert "/health/ready" in health.text
        assert "$CHAPTERHOUSE_PORT" in health.text
        assert seconds(health.flags["timeout"]) < seconds(health.flags["interval"])

    def test_its_environment_is_made_of_settings(self) -> None:
        environment = {n: v for n, v in image_environment().items() if n != "PATH"}
        fields = {f"CHAPTERHOUSE_{name.upper()}" for name in Settings.model_fields}
        assert environment.keys() <= fields
        assert environment["CHAPTERHOUSE_HOST"] == "0.0.0.0"
        assert environment["CHAPTERHOUSE_PORT"] == read_dockerfile(TEXT).image.last("EXPOSE").text == str(PORT)

    def test_what_it_keeps_lies_in_volumes(self, dockerfile: Dockerfile) -> None:
        environment = image_environment()
        kept = {environment["CHAPTERHOUSE_STATE_DIR"], environment["CHAPTERHOUSE_DATA_DIR"]}
        assert set(dockerfile.image.last("VOLUME").words) == kept

    def test_it_holds_the_environment_and_nothing_of_the_build(self, dockerfile: Dockerfile) -> None:
        (copy,) = dockerfile.image.all("COPY")
        assert copy.flags["from"] == "installed"
        assert copy.words == ["/opt/chapterhouse", "/opt/chapterhouse"]
        assert not {"pip", "apt-get"} & {word for run in dockerfile.image.all("RUN") for word in run.words}

    def test_the_context_holds_what_is_copied_and_no_more(self, dockerfile: Dockerfile) -> None:
        rules = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        let_through = {rule[1:] for rule in rules if rule.startswith("!")}
        copies = [c for stage in dockerfile.needed() for c in stage.all("COPY") if "from" not in c.flags]
        assert {source for copy in copies for source in copy.words[:-1]} == let_through
        assert all((ROOT / name).exists() for name in let_through)
        assert "*" in rules
        assert "**/__pycache__" in rules


class TestNative:
    """`deploy/native.py` carries out the Dockerfile's own lines, so only their translation can be wrong."""

    def test_every_step_is_carried_out_except_the_making_of_the_user(
        self, dockerfile: Dockerfile, tmp_path: Path
    ) -> None:
        shell = Shell(dockerfile, ROOT, tmp_path)
        script = shell.build()
        steps = [run for stage in dockerfile.needed() if stage is not dockerfile.image for run in stage.all("RUN")]
        assert len(steps) >= 6
        assert all(shell.relocate(step.text) in script for step in steps)
        assert "useradd" not in script

    def test_it_leaves_the_machine_alone(self, dockerfile: Dockerfile, tmp_path: Path) -> None:
        script = Shell(dockerfile, ROOT, tmp_path).build().replace("https://", "")
        paths = re.findall(r"(?<![\w.)/])/\w[\w/.-]*", script)
        assert {path for path in paths if not path.startswith((str(tmp_path), str(ROOT)))} <= {"/whl/cpu"}

    def test_a_path_is_the_same_directory_in_every_stage(self, dockerfile: Dockerfile) -> None:
        copies = [c for stage in dockerfile.needed() for c in stage.all("COPY") if "from" in c.flags]
        assert all(copy.words[0] == copy.words[1] for copy in copies)

    def test_a_stage_has_the_settings_of_those_below_it(self, tmp_path: Path) -> None:
        (tmp_path / "notes").mkdir()
        text = "\n".join(
            [
                "ARG KIND=plain",
                "FROM image:1 AS ground",
                "ENV WHO=world \\",
                "    MANNER=kindly",
                "FROM ground AS plain",
                "FROM ground AS fancy",
                "FROM ${KIND} AS last",
                "ARG WORD=hello",
                "# said in the build directory",
                "WORKDIR /build",
                "RUN --mount=type=cache,target=/root/.cache \\",
                '    echo "$WORD $WHO $MANNER" > said',
            ]
        )
        dockerfile = read_dockerfile(text, KIND="fancy", WORD="good day")
        assert [stage.name for stage in dockerfile.needed()] == ["ground", "fancy", "last"]
        last = read_dockerfile(text + "\nFROM last AS image", KIND="fancy", WORD="good day")
        subprocess.run(["sh", "-c", Shell(last, tmp_path, tmp_path).build()], check=True)
        assert (tmp_path / "build/said").read_text("utf-8") == "good day world kindly\n"

    @pytest.mark.parametrize(("duration", "value"), [("500ms", 0.5), ("5s", 5.0), ("2m", 120.0)])
    def test_durations_are_read(self, duration: str, value: float) -> None:
        assert seconds(duration) == value


class TestComposition:
    @pytest.mark.parametrize("name", [name for name in SERVICES if "extends" not in SERVICES[name]])
    def test_every_service_is_confined(self, name: str) -> None:
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert all("size=" in mount for mount in service["tmpfs"])
        assert service["pids_limit"] <= 1024
        assert service["ulimits"]["core"] == 0
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["deploy"]["resources"]["limits"]["memory"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])

    @pytest.mark.parametrize("name", SERVICES)
    def test_every_image_is_pinned(self, name: str) -> None:
        assert re.fullmatch(r"chapterhouse:(cpu|cuda)|[\w/]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])

    def test_every_service_says_whether_it_is_healthy(self) -> None:
        assert {name for name in SERVICES if "healthcheck" in SERVICES[name]} == {"prometheus", "grafana"}
        assert read_dockerfile(TEXT).image.all("HEALTHCHECK")

    @pytest.mark.parametrize("name", ["chapterhouse", "cuda"])
    def test_the_image_is_built_for_its_accelerator(self, name: str) -> None:
        arguments = SERVICES[name]["build"]["args"]
        assert SERVICES[name]["image"] == f"chapterhouse:{arguments['ACCELERATOR']}"
        assert read_dockerfile(TEXT, **arguments).needed()

    def test_cuda_stands_in_for_the_service_and_has_the_gpus(self) -> None:
        cuda = SERVICES["cuda"]
        assert cuda["extends"] == {"service": "chapterhouse"}
        assert cuda["profiles"] == ["cuda"]
        assert cuda["networks"]["default"]["aliases"] == ["chapterhouse"]
        assert cuda["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]

    @pytest.mark.parametrize("name", SERVICES)
    def test_mounts_exist_and_cannot_be_written(self, name: str) -> None:
        for source, _, mode in mounts(name):
            if source.startswith("."):
                assert (ROOT / source).is_dir()
                assert mode == "ro"
            else:
                assert source in COMPOSE["volumes"]

    def test_the_images_volumes_are_kept(self) -> None:
        kept = {target for source, target, _ in mounts("chapterhouse") if source in COMPOSE["volumes"]}
        assert kept == set(read_dockerfile(TEXT).image.last("VOLUME").words)

    def test_the_service_is_set_by_settings_and_published_on_its_port(self) -> None:
        fields = {f"CHAPTERHOUSE_{name.upper()}" for name in Settings.model_fields}
        assert SERVICES["chapterhouse"]["environment"].keys() <= fields
        assert SERVICES["chapterhouse"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]

    def test_it_is_given_the_time_that_it_takes_to_drain(self) -> None:
        service = SERVICES["chapterhouse"]
        delay_s = float(service["environment"]["CHAPTERHOUSE_DRAIN_DELAY_S"])
        assert delay_s == 5
        longest_s = delay_s + Settings.model_fields["drain_timeout_s"].default + 2 * ENGINE_STOP_S
        assert longest_s < seconds(service["stop_grace_period"])

    def test_prometheus_reads_its_configuration_and_scrapes_the_service(self) -> None:
        targets = {target: source for source, target, _ in mounts("prometheus")}
        file = next(c.split("=")[1] for c in SERVICES["prometheus"]["command"] if c.startswith("--config.file="))
        assert (ROOT / targets[str(Path(file).parent)] / Path(file).name).is_file()
        assert PROMETHEUS["scrape_configs"][0]["static_configs"] == [{"targets": [f"chapterhouse:{PORT}"]}]
        assert [ALERTS.name] == PROMETHEUS["rule_files"]

    def test_grafana_finds_its_data_source_and_its_dashboard(self) -> None:
        targets = {target: source for source, target, _ in mounts("grafana")}
        for kind in ("datasources", "dashboards"):
            assert (ROOT / targets[f"/etc/grafana/provisioning/{kind}"]).samefile(PROVISIONING / kind)
        (provider,) = yaml.safe_load((PROVISIONING / "dashboards/chapterhouse.yml").read_text("utf-8"))["providers"]
        assert (ROOT / targets[provider["options"]["path"]]).samefile(DASHBOARD.parent)
        home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        assert home == f"{provider['options']['path']}/{DASHBOARD.name}"

    def test_grafana_asks_prometheus_as_often_as_it_scrapes(self) -> None:
        (source,) = yaml.safe_load((PROVISIONING / "datasources/prometheus.yml").read_text("utf-8"))["datasources"]
        port = SERVICES["prometheus"]["ports"][0].rpartition(":")[2]
        assert source["url"] == f"http://prometheus:{port}"
        assert source["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]
        (variable, *_) = json.loads(DASHBOARD.read_text("utf-8"))["templating"]["list"]
        assert variable["current"]["value"] == source["uid"]


class TestDashboard:
    @pytest.mark.parametrize("instrument", instruments(), ids=lambda instrument: instrument._name)
    def test_every_instrument_has_a_panel(self, instrument: MetricWrapperBase) -> None:
        shown = {metric for panel in panels() for t in panel["targets"] for metric in Query("", t["expr"]).metrics}
        assert series(instrument) & shown

    @pytest.mark.parametrize("query", queries(), ids=lambda query: query.place)
    def test_every_query_reads_instruments_by_their_labels(self, query: Query) -> None:
        known = {name: instrument for instrument in instruments() for name in series(instrument)}
        assert query.metrics
        assert query.metrics <= known.keys() | FAMILIES.keys() | OWN_METRICS
        counted = {label for name in query.metrics & known.keys() for label in known[name]._labelnames}
        labels = counted | {label for name in query.metrics & FAMILIES.keys() for label in FAMILIES[name].labels}
        assert query.labels <= labels | OWN_LABELS

    def test_metrics_and_labels_are_told_from_functions_and_words(self) -> None:
        query = Query("", '(sum by (a, b) (rate(x_total{c=~"y(z)"}[5m])) or vector(0)) / max(w) > 0.5')
        assert query.metrics == {"x_total", "w"}
        assert query.labels == {"a", "b", "c"}

    def test_every_panel_says_what_it_shows_in_which_unit(self) -> None:
        for panel in panels():
            assert panel["description"].endswith(".")
            assert panel["datasource"]["uid"] == "${datasource}"
            unit = panel["options"].get("yAxis") or panel["fieldConfig"]["defaults"]
            assert panel["type"] == "state-timeline" or unit["unit"]

    def test_no_two_panels_share_a_place_or_a_name(self) -> None:
        everything = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
        assert len({panel["id"] for panel in everything}) == len(everything)
        assert len({panel["title"] for panel in panels()}) == len(panels())
        places = [panel["gridPos"] for panel in everything]
        assert all(place["x"] + place["w"] <= 24 for place in places)
        for one, two in combinations(places, 2):
            beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
            apart = one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
            assert beside or apart

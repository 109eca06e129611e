"""The manifests for Kubernetes, read as a cluster would read them: they name what the image and the service have."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from fastapi.routing import APIRoute

from deploy.chart import CHART, KUBERNETES, NAME, RENDERED, read
from deploy.dockerfile import read_dockerfile
from deploy.lock import IMAGE as IMAGE_EXTRAS
from deploy.promql import Query
from service import __version__
from service.api.app import ROUTERS
from service.cli import app
from service.processes.supervisor import ENGINE_STOP_S
from service.settings import Settings
from service.storage.opening import EXTRAS
from service.telemetry.instruments import Instruments
from service.telemetry.readings import FAMILIES

ROOT = Path(__file__).parent.parent
IMAGE = read_dockerfile((ROOT / "Dockerfile").read_text("utf-8")).image
SETTINGS = {f"CHAPTERHOUSE_{name.upper()}" for name in Settings.model_fields}
ROUTES = {route.path for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)}
RESOURCES = {
    folder: list(read((KUBERNETES / "kustomize" / folder / f"{NAME}.yaml").read_text("utf-8"))) for folder in RENDERED
}

PEERS = 8100
"""Where engines are reached by other pods."""

every_rendering = pytest.mark.parametrize("folder", RENDERED)


def one(folder: str, kind: str, name: str = NAME) -> dict[str, Any]:
    """The resource of this kind and name."""
    [found] = [r for r in RESOURCES[folder] if (r["kind"], r["metadata"]["name"]) == (kind, name)]
    return found


def pod(folder: str) -> dict[str, Any]:
    spec: dict[str, Any] = one(folder, "StatefulSet")["spec"]["template"]["spec"]
    return spec


def container(folder: str) -> dict[str, Any]:
    [found] = pod(folder)["containers"]
    held: dict[str, Any] = found
    return held


def environment(folder: str) -> dict[str, str]:
    """The variables that are written down; those of Secrets and of the pod itself are empty."""
    return {variable["name"]: variable.get("value", "") for variable in container(folder)["env"]}


@every_rendering
def test_every_variable_is_a_setting_and_stands_there_once(folder: str) -> None:
    names = [variable["name"] for variable in container(folder)["env"]]
    assert set(names) <= SETTINGS | {"POD_IP"}
    assert len(names) == len(set(names))


def test_every_setting_that_the_templates_and_values_name_is_one() -> None:
    written = "".join(path.read_text("utf-8") for path in CHART.rglob("*") if path.is_file())
    assert set(re.findall(r"CHAPTERHOUSE_[A-Z_]*[A-Z]", written)) <= SETTINGS
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    assert {f"CHAPTERHOUSE_{name}" for name in values["settings"]} <= SETTINGS


def test_what_the_chart_sets_itself_cannot_be_set_a_second_time() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    own = {f"CHAPTERHOUSE_{name}" for name in schema["properties"]["settings"]["propertyNames"]["not"]["enum"]}
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["settings"]
    given = {f"CHAPTERHOUSE_{name}" for name in values}
    assert set(environment("cluster")) - {"POD_IP"} - given == own


@every_rendering
def test_the_variables_are_read_as_settings_of_a_service_that_others_reach(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(folder).items():
        if value and name in SETTINGS:
            monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.host == "0.0.0.0"
    [port] = container(folder)["ports"]
    assert settings.port == port["containerPort"] == int(IMAGE.last("EXPOSE").text)
    assert not settings.allowed_hosts or "$(POD_IP)" in settings.allowed_hosts, "neither probes nor Prometheus get in"


@every_rendering
def test_its_arguments_are_a_command_line(folder: str) -> None:
    command = typer.main.get_command(app)
    for every in (container(folder), *pod(folder).get("initContainers", ())):
        context = command.make_context("chapterhouse", list(every["args"]))
        name, *rest = [*context._protected_args, *context.args]
        chosen = vars(command)["commands"][name]
        assert chosen.make_context(name, rest)


@every_rendering
def test_every_probe_asks_a_path_and_a_port_that_exist(folder: str) -> None:
    held = container(folder)
    asked = {probe: held[probe]["httpGet"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {get["path"] for get in asked.values()} <= ROUTES
    assert {get["port"] for get in asked.values()} == {port["name"] for port in held["ports"]}
    assert asked["readinessProbe"]["path"] == "/health/ready"
    assert asked["livenessProbe"]["path"] == asked["startupProbe"]["path"] == "/health/live"


@every_rendering
def test_a_start_may_take_as_long_as_the_service_itself_allows(folder: str) -> None:
    probe = container(folder)["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] > Settings.model_fields["start_limit_s"].default


@every_rendering
def test_liveness_is_slower_than_the_supervisor_which_mends_what_it_can(folder: str) -> None:
    probe = container(folder)["livenessProbe"]
    limit_s = Settings.model_fields["beat_limit_s"].default
    assert probe["periodSeconds"] * probe["failureThreshold"] > 2 * limit_s


@every_rendering
def test_a_pod_has_the_time_that_its_drain_takes(folder: str) -> None:
    set_to = environment(folder)
    drain_s = float(set_to["CHAPTERHOUSE_DRAIN_DELAY_S"]) + float(set_to["CHAPTERHOUSE_DRAIN_TIMEOUT_S"])
    serving_s = container(folder)["lifecycle"]["preStop"]["sleep"]["seconds"]
    ready = container(folder)["readinessProbe"]
    assert serving_s + drain_s + 2 * ENGINE_STOP_S < pod(folder)["terminationGracePeriodSeconds"]
    assert serving_s >= ready["periodSeconds"]


@every_rendering
def test_no_service_becomes_a_variable(folder: str) -> None:
    assert pod(folder)["enableServiceLinks"] is False


@every_rendering
def test_a_pod_may_do_nothing_that_it_need_not(folder: str) -> None:
    spec, held = pod(folder), container(folder)
    uid, gid = IMAGE.last("USER").text.split(":")
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["fsGroup"]) == (int(uid), int(gid))
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert held["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@every_rendering
def test_whatever_is_written_has_a_place_beside_the_root(folder: str) -> None:
    mounts = {mount["mountPath"]: mount["name"] for mount in container(folder)["volumeMounts"]}
    claims = one(folder, "StatefulSet")["spec"].get("volumeClaimTemplates", ())
    there = {v["name"] for v in pod(folder)["volumes"]} | {claim["metadata"]["name"] for claim in claims}
    assert mounts.keys() == {*IMAGE.last("VOLUME").words, "/tmp"}
    assert set(mounts.values()) == there
    assert environment(folder)["CHAPTERHOUSE_STATE_DIR"] in mounts
    assert environment(folder)["CHAPTERHOUSE_DATA_DIR"] in mounts


@every_rendering
def test_a_pod_has_one_gpu_and_counts_no_more_cores_than_it_may_use(folder: str) -> None:
    resources = container(folder)["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == 1
    assert {"cpu", "memory"} <= resources["limits"].keys()


@every_rendering
def test_everything_means_the_same_pods(folder: str) -> None:
    labels = one(folder, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        one(folder, "StatefulSet")["spec"]["selector"]["matchLabels"],
        one(folder, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one(folder, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        one(folder, "Service")["spec"]["selector"],
        one(folder, "Service", f"{NAME}-pods")["spec"]["selector"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    assert one(folder, "StatefulSet")["spec"]["serviceName"] == f"{NAME}-pods"


def test_one_service_is_scraped_where_the_metrics_are_and_as_the_alerts_call_it() -> None:
    monitor = one("cluster", "ServiceMonitor")["spec"]
    services = [r for r in RESOURCES["cluster"] if r["kind"] == "Service"]
    wanted = monitor["selector"]["matchLabels"].items()
    [scraped] = [service for service in services if wanted <= service["metadata"]["labels"].items()]
    [endpoint] = monitor["endpoints"]
    assert endpoint["path"] in ROUTES
    assert endpoint["port"] in {port["name"] for port in scraped["spec"]["ports"]}
    assert scraped["metadata"]["labels"][monitor["jobLabel"]] == "chapterhouse"
    assert endpoint["authorization"]["credentials"]["name"]


def test_pods_are_added_by_queries_of_instruments_that_exist() -> None:
    instruments, scaled = Instruments(), one("cluster", "ScaledObject")["spec"]
    assert scaled["scaleTargetRef"]["name"] == NAME
    assert scaled["minReplicaCount"] >= 1, "without a pod nobody counts rows"
    assert "replicas" not in one("cluster", "StatefulSet")["spec"], "whoever scales it would be overruled"
    queries = [Query("", trigger["metadata"]["query"]) for trigger in scaled["triggers"]]
    assert queries[0].metrics == {instruments.queue_rows._name}
    assert set().union(*(query.metrics for query in queries)) <= {instruments.queue_rows._name, *FAMILIES}
    assert set().union(*(query.labels for query in queries)) <= {"namespace", "service", "status"}


def test_passwords_stand_in_secrets() -> None:
    [address] = [v for v in container("cluster")["env"] if v["name"] == "CHAPTERHOUSE_DATABASE_URL"]
    assert address["valueFrom"]["secretKeyRef"] == {"name": "chapterhouse-database", "key": "url"}
    assert container("cluster")["envFrom"] == [{"secretRef": {"name": "chapterhouse-store"}}]
    written = "".join(path.read_text("utf-8") for path in KUBERNETES.rglob("*.yaml"))
    assert not re.search(r"://[^\s/@]+:[^\s/@]+@", written.replace("user:password@", ""))


def test_nothing_reaches_a_pod_or_is_reached_by_it_but_what_is_named() -> None:
    policy = one("cluster", "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule["from"] and rule["ports"] for rule in policy["ingress"])
    assert [rule["ports"][0]["port"] for rule in policy["egress"]] == [53, 5432, 443, PEERS]
    assert all(rule["to"] for rule in [*policy["egress"][:2], policy["egress"][3]]), (
        "a store of objects may be anywhere"
    )


def test_engines_are_reached_by_pods_of_the_service_alone() -> None:
    policy = one("cluster", "NetworkPolicy")["spec"]
    [coming] = [rule["from"] for rule in policy["ingress"] if rule["ports"][0]["port"] == PEERS]
    [going] = [rule["to"] for rule in policy["egress"] if rule["ports"][0]["port"] == PEERS]
    assert coming == going == [{"podSelector": policy["podSelector"]}]
    assert environment("cluster")["CHAPTERHOUSE_ENGINES_ADDRESS"] == f"$(POD_IP):{PEERS}"
    assert "CHAPTERHOUSE_ENGINES_ADDRESS" not in environment("single")


@every_rendering
def test_a_kustomization_has_the_rendered_file_in_the_releases_namespace(folder: str) -> None:
    written = yaml.safe_load((KUBERNETES / "kustomize" / folder / "kustomization.yaml").read_text("utf-8"))
    assert written["resources"] == [f"{NAME}.yaml"]
    assert written["namespace"] == NAME


def test_the_image_knows_every_store_and_database_that_a_pod_may_be_given() -> None:
    assert {*EXTRAS.values(), "postgres"} <= set(IMAGE_EXTRAS)
    [migrating] = pod("cluster")["initContainers"]
    assert migrating["args"][0] == "migrate"
    assert migrating["env"] == container("cluster")["env"]
    assert "initContainers" not in pod("single")


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["appVersion"] == __version__

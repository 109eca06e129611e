"""Helm, kubectl and the schemas of Kubernetes' API, asked about everything in deploy/kubernetes."""

import subprocess
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import yaml

from deploy.chart import CHART, HEAD, KUBERNETES, NAME, RENDERED, read, rendered, tool

pytestmark = pytest.mark.kubernetes

VERSION = "1.30"
"""The oldest that the chart allows; of later ones kubernetes-validate has no whole set of schemas."""
OF_OTHERS = {"ScaledObject", "ServiceMonitor", "RayService"}
"""Kinds that operators bring, which the API's own schemas do not know."""
CHOICES = {
    "nothing": (),
    "no disk": ("state.size=",),
    "no pause before the end": ("drain.preStopSeconds=0",),
    "a claim with data sets": ("data.claim=datasets",),
    "the adapter of Prometheus": ("autoscaling.by=hpa", "database.secret=there", "objectStore.url=s3://there"),
    "an open network": ("networkPolicy.enabled=false",),
    "a load balancer": ("service.type=LoadBalancer",),
    "names": ("allowedHosts={a.example.org,b.example.org}",),
}
VALUES = {"its own values": (), "cluster": ("cluster",), "cpu": ("cpu",)}


def validated(text: str) -> Iterator[dict[str, Any]]:
    """The resources of a text, those of Kubernetes itself held against its schemas."""
    import kubernetes_validate

    for resource in read(text):
        if resource["kind"] not in OF_OTHERS:
            kubernetes_validate.validate(resource, VERSION, strict=True)
        yield resource


@pytest.mark.parametrize("values", VALUES)
def test_helm_finds_nothing_wrong(values: str) -> None:
    files = [part for name in VALUES[values] for part in ("--values", f"{KUBERNETES}/values/{name}.yaml")]
    asked = [tool("helm"), "lint", "--strict", str(CHART), *files]
    answer = subprocess.run(asked, check=False, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "0 chart(s) failed" in answer.stdout


@pytest.mark.parametrize(("values", "choice"), sorted(product(VALUES, CHOICES)))
def test_whatever_is_chosen_is_what_kubernetes_reads(values: str, choice: str) -> None:
    text = rendered(*VALUES[values], given=CHOICES[choice])
    kinds = [resource["kind"] for resource in validated(text)]
    assert {"Service", "StatefulSet", "PodDisruptionBudget"} <= set(kinds)


@pytest.mark.parametrize("folder", RENDERED)
def test_what_lies_beside_the_chart_is_what_it_makes(folder: str) -> None:
    written = (KUBERNETES / "kustomize" / folder / f"{NAME}.yaml").read_text("utf-8")
    assert written == HEAD + rendered(*RENDERED[folder]), "python -m deploy.chart writes it"


@pytest.mark.parametrize("folder", RENDERED)
def test_kubectl_makes_of_a_kustomization_what_kubernetes_reads(folder: str) -> None:
    asked = [tool("kubectl"), "kustomize", str(KUBERNETES / "kustomize" / folder)]
    made = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    assert {resource["metadata"]["namespace"] for resource in validated(made)} == {NAME}


@pytest.mark.parametrize("more", ["replicas=2", "autoscaling.by=keda", "autoscaling.by=hpa"])
def test_several_pods_without_a_database_of_all_are_refused(more: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        rendered(given=(more,))
    assert "set database.secret" in refused.value.stderr


@pytest.mark.parametrize("given", [("database.secret=x", "autoscaling.by=keda"), ("objectStore.url=s3://x",)])
def test_pods_that_share_half_of_it_are_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        rendered(given=given)
    assert "that all of them share" in refused.value.stderr or "that they share" in refused.value.stderr


@pytest.mark.parametrize(
    "wrong", ["replica=2", "settings.PORT=9", "autoscaling.by=hand", "gpu.count=-1", "objectStore.url=ftp://x"]
)
def test_a_value_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(subprocess.CalledProcessError, match="exit status 1"):
        rendered(given=(wrong,))


def test_the_cluster_of_ray_is_told_what_the_file_of_serve_says() -> None:
    [service] = read((KUBERNETES / "kuberay.yaml").read_text("utf-8"))
    given = yaml.safe_load(service["spec"]["serveConfigV2"])
    assert given == yaml.safe_load((KUBERNETES.parent / "ray" / "serve.yaml").read_text("utf-8"))
    for group in (
        service["spec"]["rayClusterConfig"]["headGroupSpec"],
        *service["spec"]["rayClusterConfig"]["workerGroupSpecs"],
    ):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME}, **group["template"]}
        assert list(validated(yaml.safe_dump(pod)))

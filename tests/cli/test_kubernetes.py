"""The manifests: what Kubernetes' own schemas say of them, and what a deployment of ours must have."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from cli.main import app
from runtime.settings import Settings
from runtime.version import release

FILE = Path(__file__).parents[2] / "deploy/kubernetes/orderflow.yaml"
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all(FILE.read_text()))
DEPLOYMENTS = {one["metadata"]["name"]: one["spec"] for one in MANIFESTS if one["kind"] == "Deployment"}
PODS = {
    one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in MANIFESTS if "template" in one.get("spec", {})
}


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda one: f"{one['kind']} {one['metadata']['name']}")
def test_kubernetes_takes_it(manifest: dict[str, Any]) -> None:
    for version in ("1.30", "1.33"):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_field_that_does_not_exist_is_refused() -> None:
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"port": 80}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.33", strict=True)


def test_long_running_processes_are_probed_and_end_within_thirty_seconds() -> None:
    assert set(DEPLOYMENTS) == {"orderflow-api", "orderflow-worker"}
    for name, deployment in DEPLOYMENTS.items():
        pod = PODS[name]
        assert pod["terminationGracePeriodSeconds"] <= 30
        assert deployment["replicas"] >= 2
        assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert deployment["selector"]["matchLabels"] == deployment["template"]["metadata"]["labels"]
        for container in pod["containers"]:
            assert {"livenessProbe", "readinessProbe", "startupProbe"} <= container.keys()


def test_every_container_is_bounded_and_may_do_nothing_it_need_not() -> None:
    for pod in PODS.values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert (
                {"cpu", "memory"}
                == container["resources"]["limits"].keys()
                == container["resources"]["requests"].keys()
            )
            limits = container["securityContext"]
            assert (limits["allowPrivilegeEscalation"], limits["readOnlyRootFilesystem"]) == (False, True)
            assert limits["capabilities"] == {"drop": ["ALL"]}
            mounted = {one["name"] for one in container["volumeMounts"]}
            assert mounted <= {one["name"] for one in pod["volumes"]}


def test_commands_settings_and_release_exist() -> None:
    known = {f"ORDERFLOW_{field.upper()}" for field in Settings.model_fields} | {
        "TEMPORAL_ADDRESS",
        "TEMPORAL_NAMESPACE",
    }
    [config] = [one["data"] for one in MANIFESTS if one["kind"] == "ConfigMap"]
    assert set(config) <= known
    commands = {command.name for command in app.registered_commands}
    for pod in PODS.values():
        for container in pod["containers"]:
            assert {one["name"] for one in container.get("env", [])} <= known
            program, command = container["args"]
            assert (program, command in commands) == ("orderflow", True)
            assert container["image"] == f"orderflow:{release()}"


def test_no_secret_is_written_down() -> None:
    assert [one for one in MANIFESTS if one["kind"] == "Secret"] == []
    [config] = [one["data"] for one in MANIFESTS if one["kind"] == "ConfigMap"]
    assert [name for name in config if "SECRET" in name or "TOKEN" in name or name.endswith("_URL")] == []

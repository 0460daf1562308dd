"""The Dockerfile, compose file and Kubernetes manifests are valid by their schemas and match the server's behaviour."""

from __future__ import annotations

import json
import re
import runpy
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from layercode_app.conversation.draining import SENTENCE_SECONDS
from layercode_app.server.serve import LINGER_SECONDS
from layercode_app.settings import Settings, env_name

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
MANIFESTS: list[dict[str, Any]] = [
    document
    for path in sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in yaml.safe_load_all(path.read_text())
]
KUBERNETES = "1.33"
SETTINGS = {env_name(info) for info in Settings.model_fields.values()}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_they_are_what_the_templates_of_new_projects_make() -> None:
    render = runpy.run_path(str(ROOT / "deploy/render.py"))
    made = {str(file.path): file.text for file in render["files"]()}
    assert {path: (ROOT / path).read_text() for path in made} == made, "run `make deploy`"
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "deploy/kubernetes").iterdir()}
    assert made.keys() == there | {"Dockerfile", ".dockerignore", "compose.yaml"}


def test_the_compose_file_fits_the_compose_specification() -> None:
    schema = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    jsonschema.validate(COMPOSE, json.loads(schema.read_text()))


@pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=lambda manifest: f"{manifest['kind']} {manifest['metadata']['name']}"
)
def test_every_manifest_fits_the_kubernetes_schema(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_schemas_can_refuse() -> None:
    schema = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            {"services": {"app": {"read_only": "perhaps", "portz": []}}}, json.loads(schema.read_text())
        )
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**MANIFESTS[0], "spec": {"replicas": "two"}}, KUBERNETES, strict=True)


def _of_kind(kind: str) -> dict[str, Any]:
    return next(manifest for manifest in MANIFESTS if manifest["kind"] == kind)


def _app() -> tuple[dict[str, Any], dict[str, Any]]:
    pod: dict[str, Any] = _of_kind("Deployment")["spec"]["template"]["spec"]
    return pod, pod["containers"][0]


def test_there_is_time_for_the_drain() -> None:
    pod, app = _app()
    drain = next(float(variable["value"]) for variable in app["env"] if variable["name"] == "LAYERCODE_DRAIN_SECONDS")
    pause = float(app["lifecycle"]["preStop"]["exec"]["command"][1])
    needed = drain + 2 * SENTENCE_SECONDS + LINGER_SECONDS
    assert pod["terminationGracePeriodSeconds"] > pause + needed
    service = COMPOSE["services"]["app"]
    assert float(service["stop_grace_period"].removesuffix("s")) > needed
    assert float(service["environment"]["LAYERCODE_DRAIN_SECONDS"]) == drain


def test_probes_ask_routes_that_there_are() -> None:
    _, app = _app()
    assert app["readinessProbe"]["httpGet"]["path"] == "/ready?journal=optional"
    assert {app[probe]["httpGet"]["path"] for probe in ("livenessProbe", "startupProbe")} == {"/health"}


def test_nothing_runs_as_root_or_writes_its_file_system() -> None:
    for kind in ("Deployment", "StatefulSet"):
        pod = _of_kind(kind)["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert COMPOSE["services"]["app"]["read_only"] is True
    users = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)
    pod, _ = _app()
    assert users == [f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"]
    assert len(re.findall(r"^FROM ", DOCKERFILE, re.MULTILINE)) == 2


def test_all_that_the_image_writes_is_below_a_folder_that_can_be_written() -> None:
    _, app = _app()
    mounted = {mount["mountPath"] for mount in app["volumeMounts"]}
    metrics = re.findall(r"METRICS_DIR=(\S+)", DOCKERFILE)
    assert [Path(folder).parent for folder in metrics] == [Path("/tmp")]
    assert "/tmp" in mounted
    assert COMPOSE["services"]["app"]["tmpfs"] == ["/tmp"]
    assert "--tmpfs /tmp" in DOCKERFILE


def test_every_variable_is_a_setting() -> None:
    pod, app = _app()
    assert pod["enableServiceLinks"] is False, "or the Service layercode-app sets LAYERCODE_APP_PORT"
    used = {variable["name"] for variable in app["env"]} | COMPOSE["services"]["app"]["environment"].keys()
    used |= set(re.findall(r"(?:LAYERCODE|LOG|APP|METRICS)_[A-Z_]+(?==)", DOCKERFILE)) | {"HOST", "PORT"}
    assert used <= SETTINGS


def test_the_image_copies_what_there_is_and_the_context_lets_it_through() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == allowed
    assert [name for name in copied if not (ROOT / name).exists()] == []

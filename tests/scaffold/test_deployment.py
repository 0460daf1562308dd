"""A new project's Docker, compose and Kubernetes files are valid by their schemas and match the server's behaviour."""

from __future__ import annotations

import json
import re
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

from .test_projects import project

SETTINGS = {env_name(info) for info in Settings.model_fields.values()}
WITH_REDIS = pytest.mark.parametrize("extras", [("k8s",), ("k8s", "redis")], ids=["alone", "redis"])


def manifests(folder: Path) -> list[dict[str, Any]]:
    kustomization = (folder / "k8s/kustomization.yaml").read_text()
    listed = yaml.safe_load(kustomization)["resources"]
    known = {name: yaml.safe_load(kustomization)[name] for name in ("apiVersion", "kind")}
    assert known == {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    assert "# - ingress.yaml" in kustomization, "to be taken in when it has a host"
    listed.append("ingress.yaml")
    assert {path.name for path in (folder / "k8s").iterdir()} == {*listed, "kustomization.yaml"}
    return [part for name in listed for part in yaml.safe_load_all((folder / "k8s" / name).read_text())]


@WITH_REDIS
def test_the_files_fit_their_schemas(tmp_path: Path, extras: tuple[str, ...]) -> None:
    folder = project(tmp_path / "My_Agent", "starter", extras)
    for manifest in manifests(folder):
        kubernetes_validate.validate(manifest, "1.33", strict=True)
    schema = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    jsonschema.validate(yaml.safe_load((folder / "compose.yaml").read_text()), json.loads(schema.read_text()))
    workflow = yaml.safe_load(
        (project(tmp_path / "other", "echo", ("github",)) / ".github/workflows/test.yml").read_text()
    )
    schema = resources.files("check_jsonschema") / "builtin_schemas/vendor/github-workflows.json"
    jsonschema.validate(json.loads(json.dumps(workflow).replace('"true":', '"on":')), json.loads(schema.read_text()))


@WITH_REDIS
def test_they_say_what_the_server_does(tmp_path: Path, extras: tuple[str, ...]) -> None:
    folder = project(tmp_path / "My_Agent", "starter", extras)
    found = manifests(folder)
    deployment = next(one for one in found if one["kind"] == "Deployment")
    assert deployment["metadata"]["name"] == "my-agent", "what Kubernetes allows in a name"
    assert deployment["spec"]["replicas"] == (2 if "redis" in extras else 1)
    pod = deployment["spec"]["template"]["spec"]
    app = pod["containers"][0]
    assert app["args"] == ["run", "--agent", "my_agent"]
    assert app["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert {app[probe]["httpGet"]["path"] for probe in ("livenessProbe", "startupProbe")} == {"/health"}

    given = {variable["name"]: variable["value"] for variable in app["env"]}
    service = yaml.safe_load((folder / "compose.yaml").read_text())["services"]["app"]
    assert given.keys() | service["environment"].keys() <= SETTINGS
    assert given["LAYERCODE_STORE"].startswith("redis://my-agent-redis:" if "redis" in extras else "sqlite:")
    assert ("redis" in extras) == any(one["kind"] == "StatefulSet" for one in found)

    needed = float(given["LAYERCODE_DRAIN_SECONDS"]) + 2 * SENTENCE_SECONDS + LINGER_SECONDS
    pause = float(app["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > pause + needed
    assert float(service["stop_grace_period"].removesuffix("s")) > needed


def test_the_image_copies_what_there_is_and_runs_as_nobody(tmp_path: Path) -> None:
    folder = project(tmp_path / "mine", "helpdesk", ("docker",))
    dockerfile = (folder / "Dockerfile").read_text()
    allowed = {line[1:] for line in (folder / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(\S+)", dockerfile, re.MULTILINE)
    assert set(copied) == allowed
    assert all((folder / name).exists() for name in copied)
    assert re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE) == ["10001:10001"]
    # The shell would split what an unquoted substitution gives (hadolint's SC2046).
    assert not re.findall(r'(?<!")\$\(', dockerfile)
    assert {"layercode.toml", "agents"} <= set(copied), "without it no alert and no channel reaches production"

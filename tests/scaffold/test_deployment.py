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
from layercode_app.exceptions import ConfigurationError
from layercode_app.observability.metrics import ACTIVE
from layercode_app.scaffold.answers import check_extras
from layercode_app.server.serve import LINGER_SECONDS
from layercode_app.settings import Settings, env_name

from .test_projects import project

SETTINGS = {env_name(info) for info in Settings.model_fields.values()}
JOURNALS = [("k8s",), ("k8s", "redis"), ("k8s", "postgres")]
WITH_JOURNAL = pytest.mark.parametrize("extras", JOURNALS, ids=["alone", "redis", "postgres"])

STARTS = {
    "k8s": "sqlite:",
    "redis": "redis://my-agent-redis:",
    "postgres": "postgresql://layercode:$(POSTGRES_PASSWORD)@my-agent-postgres:",
}
"""The beginning of the journal's URL in the manifests."""


def manifests(folder: Path) -> list[dict[str, Any]]:
    kustomization = (folder / "k8s/kustomization.yaml").read_text()
    listed = yaml.safe_load(kustomization)["resources"]
    known = {name: yaml.safe_load(kustomization)[name] for name in ("apiVersion", "kind")}
    assert known == {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    assert "# - ingress.yaml" in kustomization, "to be taken in when it has a host"
    listed.append("ingress.yaml")
    listed += ["autoscale.yaml"] if "# - autoscale.yaml" in kustomization else []
    assert {path.name for path in (folder / "k8s").iterdir()} == {*listed, "kustomization.yaml"}
    return [part for name in listed for part in yaml.safe_load_all((folder / "k8s" / name).read_text())]


@WITH_JOURNAL
@pytest.mark.slow
def test_the_files_fit_their_schemas(tmp_path: Path, extras: tuple[str, ...]) -> None:
    folder = project(tmp_path / "My_Agent", "starter", extras)
    for manifest in manifests(folder):
        kubernetes_validate.validate(manifest, "1.33", strict=True)
    schema = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    jsonschema.validate(yaml.safe_load((folder / "compose.yaml").read_text()), json.loads(schema.read_text()))
    workflows = project(tmp_path / "other", "echo", ("github",)) / ".github/workflows"
    schema = resources.files("check_jsonschema") / "builtin_schemas/vendor/github-workflows.json"
    for name in ("test.yml", "scenarios.yml"):
        workflow = json.dumps(yaml.safe_load((workflows / name).read_text())).replace('"true":', '"on":')
        jsonschema.validate(json.loads(workflow), json.loads(schema.read_text()))


@WITH_JOURNAL
def test_they_say_what_the_server_does(tmp_path: Path, extras: tuple[str, ...]) -> None:
    folder = project(tmp_path / "My_Agent", "starter", extras)
    found = manifests(folder)
    deployment = next(one for one in found if one["kind"] == "Deployment")
    assert deployment["metadata"]["name"] == "my-agent", "what Kubernetes allows in a name"
    assert deployment["spec"]["replicas"] == (2 if len(extras) > 1 else 1)
    pod = deployment["spec"]["template"]["spec"]
    app = pod["containers"][0]
    assert app["args"] == ["run", "--agent", "my_agent"]
    assert app["readinessProbe"]["httpGet"]["path"] == "/ready?journal=optional"
    assert {app[probe]["httpGet"]["path"] for probe in ("livenessProbe", "startupProbe")} == {"/health"}

    assert pod["enableServiceLinks"] is False, "or a Service layercode-x sets LAYERCODE_X_PORT, which is no setting"
    given = {variable["name"]: variable["value"] for variable in app["env"] if "value" in variable}
    service = yaml.safe_load((folder / "compose.yaml").read_text())["services"]["app"]
    assert given.keys() | service["environment"].keys() <= SETTINGS
    assert given["LAYERCODE_STORE"].startswith(STARTS[extras[-1]])
    of_store = [one["metadata"]["name"] for one in found if one["kind"] == "StatefulSet"]
    assert of_store == [f"my-agent-{store}" for store in extras[1:]]
    scaled = [one["spec"]["metrics"][0]["pods"]["metric"]["name"] for one in found if "Autoscaler" in one["kind"]]
    assert scaled == [ACTIVE.name.replace(".", "_") for _ in extras[1:]]
    if "postgres" in extras:
        asked = next(variable for variable in app["env"] if variable["name"] == "POSTGRES_PASSWORD")
        assert asked["valueFrom"]["secretKeyRef"] == {"name": "my-agent", "key": "POSTGRES_PASSWORD"}
        assert app["env"].index(asked) < next(
            index for index, variable in enumerate(app["env"]) if "$(POSTGRES_PASSWORD)" in variable.get("value", "")
        ), "Kubernetes expands only what stands before"

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
    # The shell would split the result of an unquoted substitution (SC2046 in hadolint).
    assert not re.findall(r'(?<!")\$\(', dockerfile)
    assert {"layercode.toml", "agents"} <= set(copied), "without it no alert and no channel reaches production"


def test_the_compose_file_waits_for_its_postgres(tmp_path: Path) -> None:
    folder = project(tmp_path / "mine", "echo", ("docker", "postgres"))
    services = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
    assert services["app"]["environment"]["LAYERCODE_STORE"] == "postgresql://layercode@postgres:5432/layercode"
    assert services["app"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert "ports" not in services["postgres"], "it has no password"
    assert "layercode-app[postgres]" in (folder / "pyproject.toml").read_text()


def test_a_project_has_one_journal() -> None:
    with pytest.raises(ConfigurationError, match="Choose redis or postgres"):
        check_extras(["redis", "postgres"])

"""What `deploy/` says about us is so: settings exist, commands exist, and a stop is given the time that it takes."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from idp.cli.main import COMMANDS
from idp.platform import configuration
from idp.platform.settings import Settings
from idp.platform.supervisor import GRACE
from tests.architecture.tree import ROOT

DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())


def _documents(path: str) -> list[Any]:
    return list(YAML(typ="safe").load_all((DEPLOY / path).read_text("utf-8")))


def _deployment() -> Any:
    return next(one for one in _documents("kubernetes/canopy.yaml") if one["kind"] == "Deployment")["spec"]["template"]


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(DEPLOY)) for path in FILES])
def test_settings_that_are_set_there_exist(path: Path) -> None:
    names = {configuration.variable(name) for name in Settings.model_fields}
    names |= {f"{configuration.variable(name)}_FILE" for name in configuration.SECRETS | configuration.ADDRESSES}
    assert set(re.findall(r"IDP_[A-Z_]*[A-Z]", path.read_text("utf-8"))) <= names


def test_commands_that_are_run_there_exist() -> None:
    run = re.findall(r"bin/idp (\w+)", "".join(path.read_text("utf-8") for path in FILES))
    run += [
        service["command"][0] for service in _documents("compose.yaml")[0]["services"].values() if "build" in service
    ]
    run += [_deployment()["spec"]["containers"][0]["args"][0]]
    run += [_documents("kubernetes/schema.yaml")[0]["spec"]["template"]["spec"]["containers"][0]["args"][0]]
    assert {"serve", "db", "backup"} <= set(run) <= COMMANDS.keys()


def test_probes_ask_for_life_and_readiness() -> None:
    container = _deployment()["spec"]["containers"][0]
    asked = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


def test_a_stop_is_given_the_time_that_it_takes() -> None:
    settings = next(one for one in _documents("kubernetes/canopy.yaml") if one["kind"] == "ConfigMap")["data"]
    pod = _deployment()["spec"]["terminationGracePeriodSeconds"]
    assert pod > int(settings["IDP_DRAIN_SECONDS"]) + GRACE
    drain = Settings.model_fields["drain_seconds"].default
    unit = (DEPLOY / "systemd" / "canopy.service").read_text("utf-8")
    assert int(re.findall(r"TimeoutStopSec=(\d+)", unit)[0]) > drain + GRACE
    assert "KillMode=mixed" in unit  # the supervisor alone hears the signal
    composed = _documents("compose.yaml")[0]["services"]["provider"]["stop_grace_period"]
    assert int(composed.removesuffix("s")) > drain + GRACE

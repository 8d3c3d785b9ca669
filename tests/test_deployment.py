"""The Compose file, the Dockerfile and the Helm values hold together as far as that can be seen without an engine."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from overnight.environment import VARIABLES
from overnight.rehearsal.topology import cluster
from tests.conftest import PROJECT, missing

COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())
HELM = yaml.safe_load((PROJECT / "deploy" / "helm-values.yaml").read_text())
SECRETS = ("AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET", "AIRFLOW_SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD")
AIRFLOW = ("api-server", "scheduler", "dag-processor", "worker-1", "worker-2", "triggerer-1", "triggerer-2")


def test_it_starts_what_the_cluster_of_the_tests_starts_on_the_same_engines() -> None:
    """Same components with the same commands, same executor, broker and databases: what was tested is what is deployed."""
    topology = cluster("postgresql://h/airflow", "postgresql://h/overnight", "redis://h/0")
    services = COMPOSE["services"]
    assert set(topology.components) == set(AIRFLOW) <= set(services)
    for name, arguments in topology.components.items():
        command = services[name]["command"][1:]
        assert list(arguments[: len(command)]) == command
        environment = services[name]["environment"]
        assert set(topology.settings) <= set(environment), "the same settings, with values of their own"
        assert environment["AIRFLOW__CORE__EXECUTOR"] == topology.settings["AIRFLOW__CORE__EXECUTOR"]
        for key in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CELERY__RESULT_BACKEND", "AIRFLOW__CELERY__BROKER_URL"):
            assert environment[key].partition("://")[0] == topology.settings[key].partition("://")[0]


def test_everything_waits_for_the_migrations_and_says_whether_it_is_well() -> None:
    """Both databases are brought up first; each process has a check of its health; nothing runs as root but what gives volumes away."""
    services = COMPOSE["services"]
    for name in AIRFLOW:
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        assert services[name]["depends_on"]["redis"]["condition"] == "service_healthy"
    assert "bin/overnight migrate" in services["migrate"]["command"][-1]
    for name in (*AIRFLOW, "postgres", "redis", "sandbox"):
        assert services[name]["healthcheck"]["test"], name
    for name in (*AIRFLOW, "migrate", "sandbox"):
        assert services[name]["user"] == "${AIRFLOW_UID:-50000}:0", name
    assert services["sandbox"]["profiles"] == ["sandbox"]
    assert "--appendonly" in services["redis"]["command"]


def test_compose_itself_takes_the_file_and_stops_at_a_missing_secret(request: pytest.FixtureRequest) -> None:
    """Docker Compose reads, merges and interpolates it; without a secret it says which."""
    if shutil.which("docker-compose") is None:
        missing(request, "docker-compose")
    given = dict.fromkeys(SECRETS, "x")

    def config(**secrets: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": os.environ["PATH"], **secrets}
        return subprocess.run(["docker-compose", "config"], cwd=PROJECT, env=env, capture_output=True, text=True, check=False)

    read = config(**given)
    assert read.returncode == 0, read.stderr
    whole: dict[str, Any] = yaml.safe_load(read.stdout)
    assert set(whole["services"]) == set(COMPOSE["services"])
    for name in SECRETS:
        refused = config(**{key: value for key, value in given.items() if key != name})
        assert refused.returncode != 0
        assert f"set {name}" in refused.stderr


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    """Pinned base, no root at the end, no cache left behind: hadolint's rules."""
    hadolint = Path(sys.executable).with_name("hadolint")
    ran = subprocess.run([hadolint, PROJECT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_no_secret_stands_in_the_files() -> None:
    """Each comes from the environment or a secret of the cluster, and a missing one stops Compose by name."""
    text = (PROJECT / "docker-compose.yaml").read_text()
    for name in SECRETS:
        assert f"${{{name}:?" in text
    for file in ("docker-compose.yaml", "deploy/helm-values.yaml"):
        assert not re.search(r"(sk-|[Pp]assword: [a-z0-9])", (PROJECT / file).read_text())
    assert "secretRef" in HELM["extraEnvFrom"]


def test_images_are_pinned_and_airflow_is_the_locked_version() -> None:
    """The image, the Helm values and requirements.txt name one Airflow; the values name our own version."""
    locked = re.search(r"^apache-airflow==(\S+)", (PROJECT / "requirements.txt").read_text(), re.MULTILINE)
    assert locked is not None
    assert f"FROM apache/airflow:{locked.group(1)}-python3.11" in (PROJECT / "Dockerfile").read_text()
    assert HELM["airflowVersion"] == locked.group(1)
    ours = re.search(r'^version = "(.+)"', (PROJECT / "pyproject.toml").read_text(), re.MULTILINE)
    assert ours is not None
    assert HELM["defaultAirflowTag"] == ours.group(1)
    for name in ("postgres", "redis"):
        assert re.search(rf"{name}:\d+\.\d+", COMPOSE["services"][name]["image"])


def test_volumes_and_copied_folders_exist() -> None:
    """What is mounted is declared, what is copied is in the repository."""
    declared = set(COMPOSE["volumes"])
    for service in COMPOSE["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in declared or (PROJECT / source).exists(), source
    for sources in re.findall(r"^COPY \S+ (.+) \S+$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE):
        for source in sources.split():
            assert (PROJECT / source).exists(), source
    assert {mount["name"] for mount in HELM["volumeMounts"]} == {volume["name"] for volume in HELM["volumes"]}


def test_every_setting_of_ours_that_a_deployment_sets_is_one_that_we_read() -> None:
    """A variable that was renamed does not live on in a deployment."""
    set_by_compose = {name for service in COMPOSE["services"].values() for name in service.get("environment", {})}
    set_by_helm = {one["name"] for one in HELM["env"]}
    assert {name for name in set_by_compose | set_by_helm if name.startswith("OVERNIGHT_")} <= set(VARIABLES)


def test_the_locked_requirements_name_no_registry_and_hold_the_floors() -> None:
    """Pinned, portable, and google 22 or newer (an unconstrained resolve falls back to 6.0.0)."""
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-cluster.txt", "requirements-bench.txt"):
        text = (PROJECT / name).read_text()
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text), name
        lines = [line.split(";")[0].strip() for line in text.splitlines() if line and not line.startswith((" ", "#", "-"))]
        assert all("==" in line for line in lines), name
    google = re.search(r"^apache-airflow-providers-google==(\d+)", (PROJECT / "requirements.txt").read_text(), re.MULTILINE)
    assert google is not None
    assert int(google.group(1)) >= 22

"""The Compose file and the Dockerfile hold together as far as that can be seen without an engine."""

import re

import yaml

from tests.conftest import PROJECT

COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())


def test_every_part_of_airflow_is_there_and_waits_for_the_migrations() -> None:
    """Scheduler, Dag processor, triggerer and API server start after both databases are brought up."""
    services = COMPOSE["services"]
    assert {"api-server", "scheduler", "dag-processor", "triggerer", "migrate", "postgres"} == set(services)
    for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert "bin/overnight migrate" in services["migrate"]["command"][-1]


def test_no_secret_stands_in_the_file() -> None:
    """Each comes from the environment, and a missing one stops Compose by name."""
    text = (PROJECT / "docker-compose.yaml").read_text()
    for name in ("AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET", "AIRFLOW_SECRET_KEY", "POSTGRES_PASSWORD"):
        assert f"${{{name}:?" in text
    assert not re.search(r"(sk-|password: [a-z0-9])", text)


def test_images_are_pinned_and_airflow_is_the_locked_version() -> None:
    """The image and requirements.txt name one Airflow."""
    locked = re.search(r"^apache-airflow==(\S+)", (PROJECT / "requirements.txt").read_text(), re.MULTILINE)
    assert locked is not None
    assert f"FROM apache/airflow:{locked.group(1)}-python3.11" in (PROJECT / "Dockerfile").read_text()
    assert re.search(r"postgres:\d+\.\d+", COMPOSE["services"]["postgres"]["image"])


def test_volumes_and_copied_folders_exist() -> None:
    """What is mounted is declared, what is copied is in the repository."""
    declared = set(COMPOSE["volumes"])
    for service in COMPOSE["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in declared or (PROJECT / source).exists(), source
    for folder in re.findall(r"^COPY \S+ (\S+) ", (PROJECT / "Dockerfile").read_text(), re.MULTILINE):
        assert (PROJECT / folder).exists(), folder


def test_the_locked_requirements_name_no_registry_and_hold_the_floors() -> None:
    """Pinned, portable, and google 22 or newer (an unconstrained resolve falls back to 6.0.0)."""
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-bench.txt"):
        text = (PROJECT / name).read_text()
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text), name
        lines = [line.split(";")[0].strip() for line in text.splitlines() if line and not line.startswith((" ", "#", "-"))]
        assert all("==" in line for line in lines), name
    google = re.search(r"^apache-airflow-providers-google==(\d+)", (PROJECT / "requirements.txt").read_text(), re.MULTILINE)
    assert google is not None
    assert int(google.group(1)) >= 22

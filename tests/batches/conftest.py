"""What every test of buying may ask for."""

import pytest

from tests.conftest import Sandbox, connect


@pytest.fixture
def told(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    connect(monkeypatch, sandbox.hosts)
    return sandbox

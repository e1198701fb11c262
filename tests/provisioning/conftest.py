"""Two organisations that must never meet."""

import pytest

from . import cast
from .cast import House, house


@pytest.fixture
def acme(db: None) -> House:
    return house("acme")


@pytest.fixture
def tokenless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection has a token: one that a command issued is a case by itself."""
    monkeypatch.setattr(cast, "issue_token", lambda **_: (None, ""))


@pytest.fixture
def globex(db: None) -> House:
    return house("globex")

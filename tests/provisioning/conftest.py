"""Two organisations that must never meet."""

import pytest

from .cast import House, house


@pytest.fixture
def acme(db: None) -> House:
    return house("acme")


@pytest.fixture
def globex(db: None) -> House:
    return house("globex")

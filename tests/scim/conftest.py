"""A tenant with an IdP that pushes, and a second tenant beside it that must never be seen. Knows no rule."""

from collections.abc import Callable

import pytest

from tests.scim.clients import Idp, an_idp


@pytest.fixture
def make_idp(db: None) -> Callable[..., Idp]:
    return an_idp


@pytest.fixture
def idp(db: None) -> Idp:
    return an_idp("acme")


@pytest.fixture
def other(db: None) -> Idp:
    """The IdP of another tenant."""
    return an_idp("globex")

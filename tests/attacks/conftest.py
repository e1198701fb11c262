"""The parties of a login, and the attacker's scene."""

import pytest

from tests.saml_sp.idp import TestIdp
from tests.saml_sp.parties import Browser, browser, connection, idp, tenant

from .scene import Scene

__all__ = ["browser", "connection", "idp", "scene", "tenant"]


@pytest.fixture
def scene(browser: Browser, idp: TestIdp) -> Scene:
    return Scene(browser=browser, idp=idp, facts=browser.facts())

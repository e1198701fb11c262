"""Two organisations full of everything, and browsers of those who administer them."""

from collections.abc import Callable

import pytest
from django.test import Client

from provisioning.models import Identity
from provisioning.services import configuration

from ..cast import OPERATOR, House
from .scene import PASSWORD, Scene, scene

Enter = Callable[[Identity], Client]


@pytest.fixture
def ours(acme: House) -> Scene:
    return scene(acme)


@pytest.fixture
def theirs(globex: House) -> Scene:
    return scene(globex)


@pytest.fixture
def superuser(db: None) -> Identity:
    return configuration.create_local_identity(
        login_name="root", password=PASSWORD, superuser=True, actor=OPERATOR, reason="As agreed"
    )


@pytest.fixture
def enter(db: None) -> Enter:
    """A browser in which somebody is signed in."""

    def sign_in(identity: Identity) -> Client:
        client = Client()
        client.force_login(identity)
        return client

    return sign_in


@pytest.fixture
def admin(ours: Scene, enter: Enter) -> Client:
    """Our tenant's administrator."""
    return enter(ours.administrator)


@pytest.fixture
def root(superuser: Identity, enter: Enter) -> Client:
    """The installation's superuser."""
    return enter(superuser)

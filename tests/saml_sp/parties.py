"""A tenant with one connection to the test IdP, and a browser that signs in through it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from identity_hub.core.clock import now
from provisioning.models import Account, Connection, Identity, Session, Tenant
from provisioning.services import configuration
from saml_sp import encryption_keys
from tests.provisioning.cast import OPERATOR, extend

from .idp import Asked, Facts, TestIdp, encode, key_pair, read_request


def make_tenant(slug: str, domain: str) -> Tenant:
    return configuration.create_tenant(
        slug=slug, name=slug.title(), domains=[domain], actor=OPERATOR, reason="As agreed"
    )


def make_connection(tenant: Tenant, idp: TestIdp | None, **fields: Any) -> Connection:
    fields = {"name": "Test IdP", "idp_metadata": idp.metadata() if idp else ""} | fields
    return extend(tenant, **fields).connection


@dataclass
class Browser:
    """A person's browser at one connection: starts a login, brings the IdP's answer."""

    connection: Connection
    idp: TestIdp
    client: Client = field(default_factory=lambda: Client(enforce_csrf_checks=True))

    @property
    def acs(self) -> str:
        return reverse("saml:acs", args=[self.connection.pk])

    def start(self, next_path: str = "") -> Asked:
        answer = self.client.get(
            reverse("saml:login", args=[self.connection.pk]), {"next": next_path} if next_path else {}
        )
        assert answer.status_code == 302, answer.content
        return read_request(answer["Location"])

    def facts(self, at: datetime | None = None, **changes: Any) -> Facts:
        return self.idp.facts(self.start(), at or now(), **changes)

    def post(self, xml: str | bytes, **more: str) -> HttpResponse:
        # The IdP's page lives on another site: the Lax session cookie is not sent, the login cookie is.
        kept = self.client.cookies.pop(settings.SESSION_COOKIE_NAME, None)
        answer = self.client.post(self.acs, {"SAMLResponse": encode(xml), **more})
        if kept is not None and settings.SESSION_COOKIE_NAME not in answer.cookies:
            self.client.cookies[settings.SESSION_COOKIE_NAME] = kept.value
        return answer

    def me(self) -> HttpResponse:
        return self.client.get("/me/", headers={"Accept": "application/json"})

    def sign_in(self, **changes: Any) -> HttpResponse:
        return self.post(self.idp.signed_assertion(self.facts(**changes)))


@pytest.fixture
def idp() -> TestIdp:
    return TestIdp(entity_id="https://idp.example/metadata", keys=key_pair("corp"))


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant("corp", "corp.example")


@pytest.fixture
def connection(tenant: Tenant, idp: TestIdp) -> Connection:
    return make_connection(tenant, idp)


@pytest.fixture
def browser(connection: Connection, idp: TestIdp) -> Browser:
    return Browser(connection=connection, idp=idp)


def administrator_of(tenant: Tenant) -> Client:
    """Somebody's browser who administers the tenant."""
    client = Client()
    client.force_login(
        configuration.create_local_identity(
            login_name=f"mia.{tenant.slug}",
            password="correct horse battery",
            tenant=tenant,
            tenant_administrator=True,
            actor=OPERATOR,
            reason="As agreed",
        ),
        backend="provisioning.backends.HubBackend",
    )
    return client


@pytest.fixture
def administrator(connection: Connection) -> Client:
    return administrator_of(connection.tenant)


def certificate_of(connection: Connection) -> bytes:
    """That for which the connection's IdP encrypts."""
    return encryption_keys.published(connection).certificate.encode()


@pytest.fixture
def sp_certificate(connection: Connection) -> bytes:
    return certificate_of(connection)


def nobody_came_in() -> bool:
    """No session, no identity, no account."""
    return not (Session.objects.exists() or Identity.objects.exists() or Account.objects.exists())

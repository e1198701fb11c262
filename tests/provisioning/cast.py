"""The cast of the domain's tests: two tenants, their connections, and short ways to say what an IdP says."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from identity_hub.core.clock import now
from provisioning.decision.authority import profile_of_resource
from provisioning.decision.types import (
    PERSISTENT,
    Actor,
    Channel,
    Intent,
    Observation,
    Outcome,
    Profile,
    Subject,
)
from provisioning.models import Connection, Identity, Session, Tenant
from provisioning.services import configuration, submit
from provisioning.services.tokens import issue_token

OPERATOR = Actor(kind="command", id="tests")
CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"


@dataclass(frozen=True)
class House:
    """One organisation with one connection, and the secret of its SCIM token."""

    tenant: Tenant
    connection: Connection
    token: str

    @property
    def domain(self) -> str:
        return f"{self.tenant.slug}.example"


def house(slug: str, **connection: Any) -> House:
    tenant = configuration.create_tenant(
        slug=slug, name=slug.title(), domains=[f"{slug}.example"], actor=OPERATOR, reason="As agreed"
    )
    return extend(tenant, **connection)


def extend(tenant: Tenant, name: str = "Main", **fields: Any) -> House:
    """One more connection of a tenant."""
    fields = {"jit": "create", "status": "active"} | fields
    row = configuration.create_connection(
        tenant=tenant, name=name, actor=OPERATOR, reason="As agreed", **fields
    )
    _, secret = issue_token(connection=row, actor=OPERATOR, reason="As agreed")
    # Its IdP has pushed for long; nobody's grace begins with the test.
    row.first_push_at = now() - timedelta(days=400)
    Connection.objects.filter(pk=row.pk).update(first_push_at=row.first_push_at)
    return House(tenant, row, secret)


def user(user_name: str, external_id: str | None = None, **more: Any) -> dict[str, Any]:
    document = {
        "schemas": [CORE_USER],
        "userName": user_name,
        "active": True,
        "emails": [{"value": user_name, "type": "work", "primary": True}],
        "name": {"givenName": "Ada", "familyName": "Example"},
    }
    if external_id is not None:
        document["externalId"] = external_id
    return document | more


def pushed(
    where: House,
    intent: Intent,
    document: dict[str, Any] | None = None,
    account_id: UUID | None = None,
    at: datetime | None = None,
    **more: Any,
) -> Observation:
    """What SCIM says."""
    said: dict[str, Any] = {}
    if document is not None:
        said = {
            "user_name": document["userName"],
            "external_id": document.get("externalId"),
            "active": document.get("active"),
            "emails": tuple(entry["value"].lower() for entry in document.get("emails", ())),
            "profile": profile_of_resource(document),
            "resource": document,
        }
    return Observation(
        channel=Channel.SCIM,
        intent=intent,
        tenant_id=where.tenant.pk,
        connection_id=where.connection.pk,
        at=at or now(),
        actor=Actor(kind="token", id="test"),
        account_id=account_id,
        **(said | more),
    )


def asserted(
    where: House,
    name_id: str,
    *,
    email: str = "",
    format: str = PERSISTENT,
    user_name: str = "",
    external_id: str | None = None,
    at: datetime | None = None,
    **more: Any,
) -> Observation:
    """What a verified assertion says."""
    user_name = user_name or name_id
    email = email or f"{name_id}@{where.domain}"
    names = () if format == PERSISTENT else (name_id,)
    profile = Profile(user_name=user_name, email=email, given_name="Ada", family_name="Example")
    return Observation(
        channel=Channel.SAML,
        intent=Intent.AUTHENTICATE,
        tenant_id=where.tenant.pk,
        connection_id=where.connection.pk,
        at=at or now(),
        actor=Actor(kind="connection", id=str(where.connection.pk)),
        subject=Subject(issuer="https://idp.example", format=format, value=name_id),
        external_id=external_id,
        login_names=more.pop("login_names", names),
        user_name=user_name,
        emails=(email.lower(),),
        profile=profile,
        assertion={"email": email, "given_name": "Ada", "family_name": "Example", "user_name": user_name},
        **more,
    )


def session_of(identity: Identity, **more: Any) -> Session:
    """A session row that ends in an hour, unless `more` says otherwise."""
    facts = {"session_key": uuid4().hex, "session_data": "", "expire_date": now() + timedelta(hours=1)}
    return Session.objects.create(**facts | more, tenant_id=identity.tenant_id, identity=identity)


def push(where: House, document: dict[str, Any], **more: Any) -> Outcome:
    return submit(pushed(where, Intent.CREATE, document, **more))


def sign_in(where: House, name_id: str, **more: Any) -> Outcome:
    return submit(asserted(where, name_id, **more))

"""One organisation with something of everything that the admin shows, made through the services."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from identity_hub.core.clock import now
from provisioning import reconciliation, request_log
from provisioning.decision.types import Actor, GroupObservation, HoldKind, Intent
from provisioning.models import (
    DirectoryGroup,
    Entitlement,
    Finding,
    Identity,
    OutboxMessage,
    ReconciliationRun,
    Roster,
    SchemaExtension,
    ScimClient,
    ScimRequest,
    ScimToken,
    Session,
)
from provisioning.services import configuration, overrides, people, roster_files, schemas, submit
from provisioning.services.definitions import AttributeDefinition, Definition
from provisioning.services.groups import submit_group
from provisioning.services.tokens import create_client
from saml_sp.models import LoginAttempt

from ..cast import OPERATOR, House, extend, push, pushed, session_of, sign_in, user

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Scene:
    where: House
    administrator: Identity
    staff: Identity
    """Administers by an entitlement: came from the directory, has no password."""
    active: Identity
    held: Identity
    security: Identity
    unconfirmed: Identity
    group: DirectoryGroup
    entitlement: Entitlement
    staff_entitlement: Entitlement
    finding: Finding
    run: ReconciliationRun
    roster: Roster
    """Uploaded, and not mapped yet."""
    token: ScimToken
    client: ScimClient
    session: Session
    attempt: LoginAttempt
    outbox: OutboxMessage
    schema: SchemaExtension
    request: ScimRequest
    """Refused: somebody else's name."""

    @property
    def word(self) -> str:
        """Stands in every name of this organisation, and in none of another."""
        return self.where.tenant.slug


def person(where: House, name: str, given: str, family: str, number: int, **more: Any) -> dict[str, Any]:
    slug = where.tenant.slug
    return user(
        f"{name}@{where.domain}",
        f"{slug}-{number}",
        name={"givenName": given, "familyName": family},
        displayName=f"{given} {family} of {slug}",
        **more,
    )


def identity(outcome: Any) -> Identity:
    found: Identity = Identity.objects.with_state().get(pk=outcome.identity_id)
    return found


def group_of(where: House, name: str, members: list[UUID]) -> DirectoryGroup:
    submit_group(
        GroupObservation(
            intent=Intent.CREATE,
            tenant_id=where.tenant.pk,
            connection_id=where.connection.pk,
            at=now(),
            actor=OPERATOR,
            display_name=name,
            add=tuple(members),
        )
    )
    return DirectoryGroup.objects.get(connection=where.connection, display_name=name)


def scene(where: House) -> Scene:
    slug, tenant = where.tenant.slug, where.tenant
    administrator = configuration.create_local_identity(
        login_name=f"admin-{slug}",
        password=PASSWORD,
        tenant=tenant,
        display_name=f"Administrator of {slug}",
        tenant_administrator=True,
        actor=OPERATOR,
        reason="As agreed",
    )
    actor = Actor(kind="identity", id=str(administrator.pk))
    active = push(where, person(where, "ada", "Ada", "Active", 1))
    staff = push(where, person(where, "sam", "Sam", "Staff", 2))
    held = push(where, person(where, "hal", "Hal", "Held", 3))
    submit(
        pushed(
            where,
            Intent.DISABLE,
            person(where, "hal", "Hal", "Held", 3, active=False),
            account_id=held.account_id,
        )
    )
    security = push(where, person(where, "sue", "Sue", "Secured", 4))
    people.place_hold(
        identity=identity(security), kind=HoldKind.SECURITY, reason=f"Stolen laptop, {slug}", actor=actor
    )
    unconfirmed = sign_in(where, f"joe-{slug}", at=now() - timedelta(days=30))
    sign_in(where, f"hal@{where.domain}", email=f"hal@{where.domain}", format="unspecified")
    group = group_of(where, f"Engineering {slug}", [active.account_id, staff.account_id])
    managers = group_of(where, f"Managers {slug}", [staff.account_id])
    entitlement = configuration.create_entitlement(
        tenant=tenant, name=f"Developer {slug}", actor=OPERATOR, reason="As agreed"
    )
    configuration.map_entitlement(entitlement=entitlement, group=group, actor=OPERATOR, reason="As agreed")
    staff_entitlement = configuration.create_entitlement(
        tenant=tenant,
        name=f"Hub administrators {slug}",
        grants_staff=True,
        actor=OPERATOR,
        reason="As agreed",
    )
    configuration.map_entitlement(
        entitlement=staff_entitlement, group=managers, actor=OPERATOR, reason="As agreed"
    )
    second = extend(tenant, name=f"Second {slug}")
    push(second, person(where, "ada", "Ada", "Active", 1) | {"externalId": f"{slug}-other"})
    run = reconciliation.simulate(where.connection, actor, reason="As agreed")
    roster = roster_files.keep(
        connection=where.connection,
        pieces=[f"userName,title\nada@{where.domain},Engineer of {slug}\n".encode()],
        name=f"{slug}.csv",
        actor=actor,
        reason="As agreed",
    )
    client, _ = create_client(
        connection=where.connection, name=f"Client of {slug}", actor=OPERATOR, reason="As agreed"
    )
    overrides.override(
        identity=identity(active),
        attribute="title",
        value=f"Head of {slug}",
        until=now() + timedelta(days=30),
        reason=f"The directory of {slug} is late",
        actor=actor,
    )
    who = identity(active)
    session = session_of(
        who,
        session_key=f"{slug}-session-key".ljust(32, "0"),
        connection_id=where.connection.pk,
        user_agent=f"Browser of {slug}",
    )
    attempt = LoginAttempt.objects.create(
        tenant=tenant,
        connection=where.connection,
        outcome=LoginAttempt.Outcome.REFUSED,
        reason="saml:audience-foreign",
        detail={"expected": f"https://hub.example/{slug}", "found": f"https://other.example/{slug}"},
        identity_id=None,
        network="192.0.2.0",
        request_id=f"request-{slug}-0001",
    )
    token = ScimToken.objects.filter(connection=where.connection).get()
    asked = {
        "tenant_id": tenant.pk,
        "connection_id": where.connection.pk,
        "token_id": token.pk,
        "digest_key": bytes(tenant.digest_key),
        "at": now(),
        "milliseconds": 4.2,
    }
    request_log.note(
        request_log.Entry(
            **asked,
            request_id=f"request-{slug}-0002",
            method="POST",
            action="user.create",
            status=409,
            scim_type="uniqueness",
            reason="account:user-name-taken",
            detail="Another user of this connection has this userName.",
            body=person(where, "ada", "Ada", "Active", 9),
            keys=(("user_name", f"ada@{where.domain}"), ("external_id", f"{slug}-9")),
        ),
        request_log.Entry(
            **asked,
            request_id=f"request-{slug}-0003",
            method="PATCH",
            action="user.disable",
            status=200,
            reason="account:disabled",
            target_id=held.account_id,
            body={"Operations": [{"op": "replace", "path": "active", "value": False}]},
        ),
    )
    return Scene(
        where=where,
        administrator=Identity.objects.get(pk=administrator.pk),
        staff=identity(staff),
        active=who,
        held=identity(held),
        security=identity(security),
        unconfirmed=identity(unconfirmed),
        group=group,
        entitlement=entitlement,
        staff_entitlement=staff_entitlement,
        finding=Finding.objects.filter(
            tenant=tenant, status=Finding.Status.OPEN, account__identity=None
        ).get(),
        run=run,
        roster=roster,
        token=token,
        client=client,
        session=session,
        attempt=attempt,
        schema=schemas.define(
            tenant=tenant,
            definition=Definition(
                urn=f"urn:example:{slug}:2.0:User",
                name=f"Badge of {slug}",
                attributes=(
                    AttributeDefinition(path=("number",)),
                    AttributeDefinition(path=("door",), type="complex"),
                    AttributeDefinition(path=("door", "value")),
                ),
            ),
            actor=OPERATOR,
            reason="As agreed",
        ),
        outbox=OutboxMessage.objects.filter(tenant_id=tenant.pk).first()
        or OutboxMessage.objects.create(tenant_id=tenant.pk, topic=f"topic-{slug}"),
        request=ScimRequest.objects.get(tenant_id=tenant.pk, status=409),
    )

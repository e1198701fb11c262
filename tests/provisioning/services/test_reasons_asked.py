"""Every act of an administrator asks for a reason and lands in the audit with it; one that is new has to say how.

What is done, the table says by the code of its record. A code that stands in neither table fails this module.
"""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from identity_hub.core.clock import now
from provisioning import audit, reconciliation
from provisioning.decision.policy import Switch
from provisioning.decision.readiness import Item
from provisioning.decision.reasons import Act, FindingKind, Flaw, Reason
from provisioning.decision.types import Actor, HoldKind
from provisioning.models import (
    Account,
    AssertedGroup,
    AuditRecord,
    AuditValue,
    EntitlementMapping,
    Finding,
    Identity,
    Merge,
    Override,
    ReconciliationRun,
    Roster,
    RosterSource,
    SchemaExtension,
    ScimClient,
    ScimToken,
    TenantDomain,
)
from provisioning.reconciliation import Choice
from provisioning.roster.proof import Refusal
from provisioning.services import (
    configuration,
    domains,
    findings,
    linking,
    merging,
    metadata,
    overrides,
    ownership,
    people,
    pulls,
    remedies,
    roster_files,
    roster_sources,
    rosters,
    schemas,
    setup,
    submit,
    switches,
    tokens,
    undo,
)
from provisioning.services.definitions import AttributeDefinition, Definition
from provisioning.services.invalid import Invalid
from saml_sp import encryption_keys
from tests.saml_sp.idp import TestIdp, key_pair

from ..admin.scene import group_of
from ..cast import OPERATOR, House, asserted, extend, push, session_of, sign_in, user

pytestmark = pytest.mark.django_db

WHY = "The board has decided so"
BEFORE = "As agreed"
Way = Callable[[House, str], object]
ASKS: dict[Act | Reason, Way] = {}
"""Code of the record -> how somebody does it, for a reason."""


def asks(code: Act | Reason) -> Callable[[Way], Way]:
    def kept(way: Way) -> Way:
        ASKS[code] = way
        return way

    return kept


UNASKED = {
    Act.CONNECTION_TESTED: "the hub saw it: a test login",
    Act.CONNECTION_PROVEN: "the hub saw it",
    Act.CONNECTION_FROZEN: "what an address gave",
    Act.TOKEN_OBTAINED: "a client's own doing",
    Act.RESOURCE_CREATED: "a directory's doing",
    Act.RESOURCE_CHANGED: "a directory's doing",
    Act.RESOURCE_DELETED: "a directory's doing",
    Act.LOCAL_SIGNED_IN: "a person's own doing",
    Act.OTHER_SESSIONS_ENDED: "a person's own doing",
    Act.PREFERENCES_SET: "a person's own doing",
    Act.ACCOUNT_PURGED: "it is time",
    Act.FINDING_OPENED: "the hub's own doing",
    Act.FINDING_GONE: "the hub's own doing",
    Act.RUN_SIMULATED: "how it ended; why it began stands at run:started",
    Act.RUN_QUARANTINED: "the guard's doing",
    Act.RUN_UNDONE: "how it ended, with the reason of its order",
    Act.RUN_EXECUTED: "how it ended",
    Act.RUN_VERIFIED: "how it ended",
    Act.RUN_NOT_VERIFIED: "how it ended",
    Act.RUN_CANCELLED: "how it ended; why stands at run:cancel-ordered",
    Act.RUN_OVERTAKEN: "how it ended",
    Act.RUN_FAILED: "how it ended",
    Act.ROSTER_COMPLETED: "how it ended",
    Act.ROSTER_REFUSED: "how it ended",
    Act.ROSTER_SUPERSEDED: "it is time",
}


def administrator(where: House, name: str = "admin") -> Identity:
    return configuration.create_local_identity(
        login_name=name,
        password="correct horse battery",
        tenant=where.tenant,
        tenant_administrator=True,
        actor=OPERATOR,
        reason=BEFORE,
    )


def acting(identity: Identity) -> Actor:
    return Actor(kind="identity", id=str(identity.pk))


def person(where: House, name: str = "ada") -> Identity:
    outcome = push(where, user(f"{name}@{where.domain}", name))
    return Identity.objects.with_state().get(pk=outcome.identity_id)


@asks(Reason.IDENTITY_OVERRIDDEN)
def an_override(where: House, reason: str) -> object:
    return overrides.override(
        identity=person(where),
        attribute="title",
        value="Head",
        until=now() + timedelta(days=1),
        reason=reason,
        actor=OPERATOR,
    )


@asks(Reason.IDENTITY_OVERRIDE_ENDED)
def an_override_ended(where: House, reason: str) -> object:
    an_override(where, BEFORE)
    return overrides.end(override=Override.objects.get(), reason=reason, actor=OPERATOR)


@asks(Act.TENANT_CREATED)
def a_tenant(where: House, reason: str) -> object:
    return configuration.create_tenant(slug="new", name="New", actor=OPERATOR, reason=reason)


@asks(Act.TENANT_CHANGED)
def a_tenants_name(where: House, reason: str) -> object:
    return configuration.change_tenant(tenant=where.tenant, name="Other", actor=OPERATOR, reason=reason)


@asks(Act.TENANT_DOMAIN_ADDED)
def a_domain(where: House, reason: str) -> TenantDomain:
    return domains.claim_domain(tenant=where.tenant, domain="labs.example", actor=OPERATOR, reason=reason)


@asks(Act.TENANT_DOMAIN_VERIFIED)
def a_domain_confirmed(where: House, reason: str) -> object:
    return domains.confirm_domain(domain=a_domain(where, BEFORE), actor=OPERATOR, reason=reason)


@asks(Act.TENANT_DOMAIN_REMOVED)
def a_domain_removed(where: House, reason: str) -> object:
    return domains.remove_domain(domain=a_domain(where, BEFORE), actor=OPERATOR, reason=reason)


@asks(Act.CONNECTION_CREATED)
def a_connection(where: House, reason: str) -> object:
    return configuration.create_connection(tenant=where.tenant, name="New", actor=OPERATOR, reason=reason)


@asks(Act.CONNECTION_CHANGED)
def a_connections_setting(where: House, reason: str) -> object:
    return configuration.change_connection(
        connection=where.connection, changes={"jit": "off"}, actor=OPERATOR, reason=reason
    )


@asks(Act.CONNECTION_ACCEPTED)
def what_is_not_met(where: House, reason: str) -> object:
    return setup.accept(connection=where.connection, item=Item.LIFECYCLE, actor=OPERATOR, reason=reason)


@asks(Act.CONNECTION_ACTIVATED)
def an_activation(where: House, reason: str) -> object:
    draft = extend(where.tenant, "Draft", status="draft", jit="off").connection
    return setup.activate_untested(connection=draft, actor=OPERATOR, reason=reason)


@asks(Act.CONNECTION_DISABLED)
def a_disabling(where: House, reason: str) -> object:
    return setup.disable(connection=where.connection, actor=OPERATOR, reason=reason)


@asks(Act.CONNECTION_STOPPED)
def a_switch(where: House, reason: str) -> object:
    return switches.stop(connection=where.connection, switch=Switch.RUNS, actor=OPERATOR, reason=reason)


@asks(Act.CONNECTION_RESUMED)
def a_switch_back(where: House, reason: str) -> object:
    a_switch(where, BEFORE)
    return switches.resume(connection=where.connection, switch=Switch.RUNS, actor=OPERATOR, reason=reason)


IDP = TestIdp(entity_id="https://idp.example", keys=key_pair("corp"))
RENAMED = TestIdp(entity_id="https://renamed.example", keys=key_pair("corp"))


@asks(Act.METADATA_TAKEN)
def an_import(where: House, reason: str) -> object:
    return metadata.offer_metadata(
        connection=where.connection,
        document=IDP.metadata(),
        at=now(),
        actor=OPERATOR,
        source=metadata.Source(kind="file"),
        reason=reason,
    )


def frozen(where: House) -> dict[str, Any]:
    an_import(where, BEFORE)
    metadata.offer_metadata(
        connection=where.connection,
        document=RENAMED.metadata(),
        at=now(),
        actor=Actor(kind="schedule"),
        source=metadata.Source(kind="address"),
        reason=None,
        freezes=True,
    )
    where.connection.refresh_from_db()
    return {"connection": where.connection, "seen": metadata.proposal_digest(where.connection)}


@asks(Act.METADATA_CONFIRMED)
def new_metadata_confirmed(where: House, reason: str) -> object:
    return metadata.confirm(**frozen(where), actor=OPERATOR, reason=reason)


@asks(Act.METADATA_REJECTED)
def new_metadata_rejected(where: House, reason: str) -> object:
    return metadata.reject(**frozen(where), actor=OPERATOR, reason=reason)


@asks(Act.ENCRYPTION_KEY_MADE)
def another_key_to_encrypt_for(where: House, reason: str) -> object:
    seen = encryption_keys.published(where.connection).number
    return encryption_keys.renew(where.connection, seen=seen, actor=OPERATOR, reason=reason)


@asks(Act.ENCRYPTION_KEY_ENDED)
def an_older_key_ended(where: House, reason: str) -> object:
    another_key_to_encrypt_for(where, BEFORE)
    return encryption_keys.end(where.connection, number=1, actor=OPERATOR, reason=reason)


@asks(Act.TOKEN_ISSUED)
def a_token(where: House, reason: str) -> tuple[ScimToken, str]:
    return tokens.issue_token(connection=where.connection, actor=OPERATOR, reason=reason)


@asks(Act.TOKEN_ROTATED)
def a_rotation(where: House, reason: str) -> object:
    return tokens.rotate_token(token=a_token(where, BEFORE)[0], actor=OPERATOR, reason=reason)


@asks(Act.TOKEN_REVOKED)
def a_token_revoked(where: House, reason: str) -> object:
    return tokens.revoke_token(token=a_token(where, BEFORE)[0], actor=OPERATOR, reason=reason)


@asks(Act.CLIENT_CREATED)
def a_client(where: House, reason: str) -> tuple[ScimClient, str]:
    return tokens.create_client(connection=where.connection, actor=OPERATOR, reason=reason)


@asks(Act.CLIENT_REVOKED)
def a_client_revoked(where: House, reason: str) -> object:
    return tokens.revoke_client(client=a_client(where, BEFORE)[0], actor=OPERATOR, reason=reason)


@asks(Act.OWNER_CHANGED)
def another_owner(where: House, reason: str) -> object:
    token, _ = a_token(where, BEFORE)
    return ownership.take_over(row=token, actor=acting(administrator(where)), reason=reason)


@asks(Act.ENTITLEMENT_CREATED)
def a_role(where: House, reason: str) -> Any:
    return configuration.create_entitlement(tenant=where.tenant, name="Reader", actor=OPERATOR, reason=reason)


@asks(Act.ENTITLEMENT_MAPPED)
def a_mapping(where: House, reason: str) -> EntitlementMapping:
    return configuration.map_entitlement(
        entitlement=a_role(where, BEFORE), group=group_of(where, "Staff", []), actor=OPERATOR, reason=reason
    )


@asks(Act.ENTITLEMENT_UNMAPPED)
def a_mapping_taken_away(where: House, reason: str) -> object:
    return configuration.unmap_entitlement(mapping=a_mapping(where, BEFORE), actor=OPERATOR, reason=reason)


@asks(Act.ENTITLEMENT_GROUP_ALLOWED)
def a_group_of_logins(where: House, reason: str) -> AssertedGroup:
    return configuration.allow_group(
        connection=where.connection,
        value="Staff",
        entitlement=a_role(where, BEFORE),
        actor=OPERATOR,
        reason=reason,
    )


@asks(Act.ENTITLEMENT_GROUP_DISALLOWED)
def a_group_of_logins_taken_away(where: House, reason: str) -> object:
    return configuration.disallow_group(row=a_group_of_logins(where, BEFORE), actor=OPERATOR, reason=reason)


def definition(*names: str) -> Definition:
    return Definition(
        urn="urn:example:badge:2.0:User",
        name="Badge",
        attributes=tuple(AttributeDefinition(path=(name,)) for name in names),
    )


@asks(Act.SCHEMA_DEFINED)
def a_schema(where: House, reason: str) -> SchemaExtension:
    return schemas.define(tenant=where.tenant, definition=definition("number"), actor=OPERATOR, reason=reason)


@asks(Act.SCHEMA_CHANGED)
def a_schema_changed(where: House, reason: str) -> object:
    a_schema(where, BEFORE)
    return schemas.define(
        tenant=where.tenant, definition=definition("number", "colour"), actor=OPERATOR, reason=reason
    )


@asks(Act.SCHEMA_REMOVED)
def a_schema_removed(where: House, reason: str) -> object:
    return schemas.remove(extension=a_schema(where, BEFORE), actor=OPERATOR, reason=reason)


@asks(Act.LOCAL_CREATED)
def a_local_identity(where: House, reason: str) -> object:
    return configuration.create_local_identity(
        login_name="new",
        password="correct horse battery",
        tenant=where.tenant,
        actor=OPERATOR,
        reason=reason,
    )


@asks(Act.PASSWORD_SET)
def anothers_password(where: House, reason: str) -> object:
    return configuration.set_password(
        identity=administrator(where), password="another horse battery", actor=OPERATOR, reason=reason
    )


@asks(Act.SPARED)
def a_protection(where: House, reason: str) -> object:
    return people.keep_from_runs(identity=person(where), actor=OPERATOR, reason=reason)


@asks(Act.NOT_SPARED)
def a_protection_taken_away(where: House, reason: str) -> object:
    a_protection(where, BEFORE)
    return people.leave_to_runs(identity=Identity.objects.get(), actor=OPERATOR, reason=reason)


@asks(Act.SESSIONS_ENDED)
def all_sessions(where: House, reason: str) -> object:
    return people.end_sessions(identity=person(where), actor=OPERATOR, reason=reason)


@asks(Act.SESSION_ENDED)
def one_session(where: House, reason: str) -> object:
    return people.end_session(session=session_of(person(where)), actor=OPERATOR, reason=reason)


@asks(Reason.IDENTITY_HELD)
def a_hold(where: House, reason: str) -> object:
    return people.place_hold(identity=person(where), kind=HoldKind.SECURITY, actor=OPERATOR, reason=reason)


@asks(Reason.IDENTITY_RELEASED)
def a_hold_lifted(where: House, reason: str) -> object:
    a_hold(where, BEFORE)
    return people.lift_hold(
        identity=Identity.objects.get(), kind=HoldKind.SECURITY, actor=OPERATOR, reason=reason
    )


@asks(Reason.ACCOUNT_RELINKED)
def a_link(where: House, reason: str) -> object:
    ada, bob = person(where), person(extend(where.tenant, "Okta"), "bob")
    account = Account.objects.get(identity=bob)
    return linking.link(account=account, identity=ada, actor=OPERATOR, reason=reason)


@asks(Reason.ACCOUNT_UNLINKED)
def a_link_taken_away(where: House, reason: str) -> object:
    account = Account.objects.get(identity=person(where))
    return linking.unlink(account=account, actor=OPERATOR, reason=reason)


@asks(Reason.ACCOUNT_UNBOUND)
def a_name_id_freed(where: House, reason: str) -> object:
    sign_in(where, "p1")
    return linking.unbind(account=Account.objects.get(), actor=OPERATOR, reason=reason)


@asks(Reason.ACCOUNT_ENDED)
def a_name_freed(where: House, reason: str) -> object:
    row = push(where, user(f"ada@{where.domain}", "e1", active=False))
    account = Account.objects.get(pk=row.account_id)
    return linking.end_inactive(account=account, actor=OPERATOR, reason=reason)


def pair(where: House) -> dict[str, Identity]:
    return {"winner": person(where), "loser": person(extend(where.tenant, "Okta"), "bob")}


@asks(Reason.IDENTITY_MERGED)
@asks(Act.MERGED_INTO)
def a_merge(where: House, reason: str) -> object:
    return merging.merge(**pair(where), actor=OPERATOR, reason=reason)


@asks(Reason.IDENTITY_UNMERGED)
@asks(Act.STANDS_AGAIN)
def a_merge_taken_back(where: House, reason: str) -> object:
    a_merge(where, BEFORE)
    return merging.unmerge(merge=Merge.objects.get(), actor=OPERATOR, reason=reason)


def asked(where: House) -> Finding:
    return Finding.objects.create(
        tenant=where.tenant,
        kind=FindingKind.CONNECTION_STALE,
        severity="medium",
        connection_id=where.connection.pk,
        opened_at=now(),
        fingerprint="one",
    )


@asks(Reason.FINDING_CLOSED)
def an_answer(where: House, reason: str) -> object:
    return findings.decide(finding=asked(where), approve=True, actor=OPERATOR, reason=reason)


@asks(Reason.FINDING_ASSIGNED)
def an_owner_of_a_finding(where: House, reason: str) -> object:
    return findings.assign(finding=asked(where), owner=administrator(where), actor=OPERATOR, reason=reason)


@asks(Reason.FINDING_POSTPONED)
def another_day(where: House, reason: str) -> object:
    day = now() + timedelta(days=9)
    return findings.postpone(finding=asked(where), due_at=day, actor=OPERATOR, reason=reason)


@asks(Act.RUN_STARTED)
def a_run(where: House, reason: str) -> ReconciliationRun:
    """It would hold one person."""
    submit(asserted(where, "joe", at=now() - timedelta(days=30)))
    return reconciliation.simulate(where.connection, OPERATOR, reason=reason)


def waiting(where: House) -> ReconciliationRun:
    run = a_run(where, BEFORE)
    ReconciliationRun.objects.filter(pk=run.pk).update(status="quarantined")
    run.refresh_from_db()
    return run


@asks(Act.RUN_TAKEN_UP)
def a_run_that_waits_already(where: House, reason: str) -> object:
    waiting(where)
    return reconciliation.simulate(where.connection, OPERATOR, reason=reason)


@asks(Act.RUN_ORDERED)
def an_order(where: House, reason: str) -> object:
    return reconciliation.order(a_run(where, BEFORE), OPERATOR, reason)


@asks(Act.RUN_RELEASED)
def a_release(where: House, reason: str) -> object:
    return reconciliation.release(waiting(where), OPERATOR, reason)


@asks(Act.RUN_HALF_RELEASED)
def the_first_of_two_releases(where: House, reason: str) -> object:
    configuration.change_connection(
        connection=where.connection, changes={"second_approver_over": 0}, actor=OPERATOR, reason=BEFORE
    )
    where.connection.refresh_from_db()
    return reconciliation.release(waiting(where), acting(administrator(where)), reason)


@asks(Act.RUN_REJECTED)
def a_rejection(where: House, reason: str) -> object:
    return reconciliation.reject(waiting(where), OPERATOR, reason)


@asks(Act.RUN_CHOSEN)
def a_choice(where: House, reason: str) -> object:
    return reconciliation.leave_out(waiting(where), Choice(destructive=True), OPERATOR, reason)


@asks(Act.RUN_CANCEL_ORDERED)
def a_stop(where: House, reason: str) -> object:
    return reconciliation.cancel(a_run(where, BEFORE), OPERATOR, reason)


@asks(Act.RUN_UNDO_ORDERED)
def an_undo(where: House, reason: str) -> object:
    run = reconciliation.execute(a_run(where, BEFORE))
    return undo.order(run, actor=OPERATOR, reason=reason)


def source(where: House, reason: str) -> RosterSource:
    return roster_sources.keep_source(
        connection=where.connection,
        actor=OPERATOR,
        fields={"kind": "scim", "base_address": "https://idp.example"},
        secret="token",
        reason=reason,
    )


asks(Act.ROSTER_SOURCE_SET)(source)


@asks(Act.ROSTER_SOURCE_REMOVED)
def a_source_removed(where: House, reason: str) -> object:
    return roster_sources.remove_source(source=source(where, BEFORE), actor=OPERATOR, reason=reason)


@asks(Act.ROSTER_ORDERED)
def a_pull(where: House, reason: str) -> object:
    return pulls.order(source(where, BEFORE), OPERATOR, reason)


@asks(Act.ROSTER_UPLOADED)
def an_upload(where: House, reason: str) -> Roster:
    return roster_files.keep(
        connection=where.connection,
        pieces=[b"userName\nada@acme.example\n"],
        name="people.csv",
        actor=OPERATOR,
        reason=reason,
    )


@asks(Act.ROSTER_BEGUN)
def a_loading(where: House, reason: str) -> object:
    roster = an_upload(where, BEFORE)
    return roster_files.take(roster=roster, mapping=roster.mapping, actor=OPERATOR, reason=reason)


@asks(Act.ROSTER_GIVEN_AGAIN)
def a_file_whose_loading_stopped(where: House, reason: str) -> object:
    def open_() -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(b"userName\nada@acme.example\n"))  # type: ignore[type-var, arg-type, return-value]

    seen, preview = roster_files.look_at(open_, name="people.csv", options={}, mapped={})
    facts: dict[str, Any] = {"connection": where.connection, "name": "people.csv", "actor": OPERATOR}
    mapping = preview.mapping
    rosters.begin(
        **facts, kind="csv", fields=mapping.fields, mapping=mapping, digest=seen.digest, reason=BEFORE
    )
    return roster_files.import_file(**facts, open_=open_, seen=seen, preview=preview, reason=reason)


@asks(Act.ROSTER_DISCARDED)
def an_upload_thrown_away(where: House, reason: str) -> object:
    return roster_files.discard(roster=an_upload(where, BEFORE), actor=OPERATOR, reason=reason)


@asks(Act.ROSTER_ACCEPTED)
def a_shrunk_roster(where: House, reason: str) -> object:
    shrunk = rosters.begin(
        connection=where.connection, kind="csv", fields=["user_name"], actor=OPERATOR, reason=BEFORE
    )
    rosters.refuse(shrunk, Refusal(flaw=Flaw.SHRUNK, sentence="Far fewer."))
    return rosters.accept_shrinking(roster=shrunk, actor=OPERATOR, reason=reason)


def test_every_act_stands_in_one_of_the_tables() -> None:
    acts = {code for code in ASKS if isinstance(code, Act)}
    assert acts | UNASKED.keys() == set(Act)
    assert not acts & UNASKED.keys()


@pytest.mark.parametrize("code", ASKS, ids=[way.__name__.replace("_", " ") for way in ASKS.values()])
def test_nobody_does_it_without_a_reason(acme: House, code: Act | Reason) -> None:
    with pytest.raises(Invalid) as refusal:
        ASKS[code](acme, " \u200b")
    assert refusal.value.field == "reason"


@pytest.mark.parametrize("code", ASKS, ids=[way.__name__.replace("_", " ") for way in ASKS.values()])
def test_the_audit_has_it_with_its_reason(acme: House, code: Act | Reason) -> None:
    ASKS[code](acme, f" {WHY} ")
    record = AuditRecord.objects.filter(reason=code).latest("id")
    assert Actor(kind=record.actor_kind, id=record.actor_id).is_person
    assert AuditValue.objects.get(record_id=record.pk).values["reason"] == WHY


def test_a_remedy_asks_before_it_looks_what_there_is_to_do(acme: House) -> None:
    with pytest.raises(Invalid, match="in writing"):
        remedies.carry_out(finding=asked(acme), name="settled", reason=" ", actor=OPERATOR)


def test_a_service_that_forgets_to_ask_is_caught_at_the_door(acme: House) -> None:
    with pytest.raises(ValueError, match="without a reason"):
        audit.record_act(Act.TENANT_CHANGED, acme.tenant, actor=OPERATOR, why=" ")
    with pytest.raises(ValueError, match="without a reason"):
        submit(people.holding(identity=person(acme), kind=HoldKind.ADMIN, reason="", actor=OPERATOR))
    audit.record_act(Act.ROSTER_BEGUN, acme.tenant, actor=Actor(kind="schedule"), why="")


def test_nobody_is_asked_about_their_own(acme: House) -> None:
    identity = administrator(acme)
    configuration.set_password(identity=identity, password="another horse battery", actor=acting(identity))
    here = session_of(identity)
    people.end_session(session=session_of(identity), actor=acting(identity))
    session_of(identity)
    assert people.end_other_sessions(identity=identity, session_key=here.session_key) == 1

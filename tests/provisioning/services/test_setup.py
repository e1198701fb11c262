"""A connection comes into use when its readiness list is met, or accepted in writing by who may."""

from datetime import timedelta
from typing import Any

import pytest

from identity_hub.core.clock import now
from provisioning.decision.readiness import Item, State
from provisioning.decision.types import Actor
from provisioning.models import AuditRecord, AuditValue, Connection, Proof, Roster, ScimToken
from provisioning.selectors.readiness import facts_of, readiness
from provisioning.services import configuration, roster_sources, setup
from provisioning.services.configuration import Invalid
from provisioning.services.tokens import create_client, revoke_client
from tests.provisioning.cast import OPERATOR, House, extend, house, user
from tests.saml_sp.idp import TestIdp, key_pair

pytestmark = pytest.mark.django_db

ADMINISTRATOR = Actor(kind="identity", id="01a20068-21fb-789b-87b8-bad289e7e672")
IDP = TestIdp(entity_id="https://idp.example", keys=key_pair("corp"))


@pytest.fixture
def draft() -> House:
    return extend(house("corp").tenant, "Draft", status="draft", idp_metadata=IDP.metadata())


def states(connection: Connection) -> dict[Item, State]:
    return {one.item: one.state for one in readiness(connection, now())}


def show_test(connection: Connection, **changes: Any) -> None:
    facts = {"passed": True, "verdicts": {"email": "ok"}, "key": "name-id"} | changes
    setup.note_test(connection=connection, actor=ADMINISTRATOR, **facts)


def test_a_draft_whose_list_is_open_stays_a_draft_and_is_told_what_lacks(draft: House) -> None:
    with pytest.raises(Invalid, match="a complete mapping, a key that never changes, a path for leavers"):
        setup.activate(connection=draft.connection, actor=ADMINISTRATOR, reason="As agreed")
    draft.connection.refresh_from_db()
    assert draft.connection.status == "draft"


def test_what_was_shown_and_what_was_accepted_activate_it_together(draft: House) -> None:
    show_test(draft.connection)
    setup.prove(connection=draft.connection, item=Item.SIGN_OUT, actor=ADMINISTRATOR)
    for item in (Item.LIFECYCLE, Item.DEACTIVATION):
        setup.accept(connection=draft.connection, item=item, reason="A trial of a week.", actor=ADMINISTRATOR)
    row = setup.activate(connection=draft.connection, actor=ADMINISTRATOR, reason="Go.")
    assert row.status == "active"
    assert row.config_version > draft.connection.config_version
    codes = list(
        AuditRecord.objects.filter(connection_id=row.pk, intent="set-up")
        .order_by("id")
        .values_list("reason", flat=True)
    )
    assert codes == [
        "connection:tested",
        "connection:proven",
        "connection:accepted",
        "connection:accepted",
        "connection:activated",
    ]
    assert AuditValue.objects.filter(values={"reason": "A trial of a week."}).count() == 2


def test_a_push_and_a_deactivation_by_scim_are_evidence_already_of_a_draft(draft: House, client: Any) -> None:
    send = {"content_type": "application/scim+json", "headers": {"Authorization": f"Bearer {draft.token}"}}
    assert states(draft.connection)[Item.LIFECYCLE] is State.MISSING
    made = client.post("/scim/v2/Users", user("test@corp.example", "t-1"), **send)
    assert made.status_code == 201
    address = f"/scim/v2/Users/{made.json()['id']}"
    client.put(address, user("test@corp.example", "t-1", active=False), **send)
    draft.connection.refresh_from_db()
    now_shown = states(draft.connection)
    assert (now_shown[Item.LIFECYCLE], now_shown[Item.DEACTIVATION]) == (State.MET, State.MET)
    client.put(address, user("test@corp.example", "t-1"), **send)
    assert states(draft.connection)[Item.DEACTIVATION] is State.MET, "whoever was tried is enabled again"


def test_somebody_who_comes_inactive_proves_no_deactivation(draft: House, client: Any) -> None:
    send = {"content_type": "application/scim+json", "headers": {"Authorization": f"Bearer {draft.token}"}}
    made = client.post("/scim/v2/Users", user("gone@corp.example", "t-1", active=False), **send)
    assert (made.status_code, made.json()["active"]) == (201, False)
    assert states(draft.connection)[Item.DEACTIVATION] is State.MISSING


def test_a_mapping_that_changes_has_to_be_tested_again(draft: House) -> None:
    show_test(draft.connection)
    assert states(draft.connection)[Item.MAPPING] is State.MET
    row = configuration.change_connection(
        connection=draft.connection,
        changes={"external_id_attribute": "oid"},
        actor=OPERATOR,
        reason="As agreed",
    )
    assert states(row)[Item.MAPPING] is State.MISSING


@pytest.mark.parametrize(
    ("actor", "item", "reason", "field"),
    [
        pytest.param(
            ADMINISTRATOR, Item.MAPPING, "Trust me.", "item", id="a mapping, by a tenant's administrator"
        ),
        pytest.param(ADMINISTRATOR, Item.KEY, "Trust me.", "item", id="a key, by a tenant's administrator"),
        pytest.param(OPERATOR, Item.CERTIFICATE, "Trust me.", "item", id="a certificate, by the operator"),
        pytest.param(
            ADMINISTRATOR, Item.LIFECYCLE, "  ", "reason", id="a path for leavers, without a reason"
        ),
    ],
)
def test_not_everything_can_be_accepted(
    draft: House, actor: Actor, item: Item, reason: str, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        setup.accept(connection=draft.connection, item=item, reason=reason, actor=actor)
    assert refused.value.field == field
    assert not Proof.objects.filter(connection=draft.connection).exists()


def test_an_operator_activates_at_once_and_his_reason_stands_on_the_list(draft: House) -> None:
    row = setup.activate_untested(
        connection=draft.connection, actor=OPERATOR, reason="Moved from the old hub."
    )
    assert row.status == "active"
    told = {one.item: one.sentence for one in readiness(row, now())}
    assert "Accepted by the operator tests" in told[Item.MAPPING]
    assert "Moved from the old hub." in told[Item.MAPPING]


def test_not_even_an_operator_activates_an_idp_without_a_certificate() -> None:
    bare = IDP.metadata().replace('use="signing"', 'use="encryption"')
    draft = extend(house("corp").tenant, "Draft", status="draft", idp_metadata=IDP.metadata())
    Connection.objects.filter(pk=draft.connection.pk).update(idp_metadata=bare)
    with pytest.raises(Invalid, match="a valid certificate"):
        setup.activate_untested(connection=draft.connection, actor=OPERATOR, reason="Go.")
    assert not Proof.objects.filter(connection=draft.connection).exists()


def test_the_status_is_no_field_that_can_be_set(draft: House) -> None:
    with pytest.raises(Invalid, match="status"):
        configuration.change_connection(
            connection=draft.connection, changes={"status": "active"}, actor=ADMINISTRATOR, reason="As agreed"
        )
    with pytest.raises(Invalid, match="begins as a draft"):
        configuration.create_connection(
            tenant=draft.tenant, name="Shortcut", status="active", actor=ADMINISTRATOR, reason="As agreed"
        )


def test_a_disabled_connection_takes_no_pushes_and_comes_back_by_activation(
    draft: House, client: Any
) -> None:
    send = {"headers": {"Authorization": f"Bearer {draft.token}"}}
    setup.activate_untested(connection=draft.connection, actor=OPERATOR, reason="Go.")
    assert client.get("/scim/v2/Users", **send).status_code == 200
    setup.disable(connection=draft.connection, actor=ADMINISTRATOR, reason="The contract ended.")
    assert client.get("/scim/v2/Users", **send).status_code == 401
    assert (
        setup.activate(connection=draft.connection, actor=ADMINISTRATOR, reason="As agreed").status
        == "active"
    )
    assert client.get("/scim/v2/Users", **send).status_code == 200


@pytest.mark.parametrize(("revoked", "state"), [(False, State.MET), (True, State.MISSING)])
def test_an_oauth_client_between_two_of_its_tokens_is_a_path_for_leavers(
    draft: House, revoked: bool, state: State
) -> None:
    client, _ = create_client(connection=draft.connection, actor=OPERATOR, reason="As agreed")
    ScimToken.objects.all().delete()
    if revoked:
        revoke_client(client=client, actor=OPERATOR, reason="As agreed")
    Connection.objects.filter(pk=draft.connection.pk).update(last_push_at=now())
    draft.connection.refresh_from_db()
    assert states(draft.connection)[Item.LIFECYCLE] is state


def test_metadata_that_is_over_activates_nothing(draft: House) -> None:
    Connection.objects.filter(pk=draft.connection.pk).update(metadata_valid_until=now())
    with pytest.raises(Invalid, match="a valid certificate"):
        setup.activate_untested(connection=draft.connection, actor=OPERATOR, reason="Go.")


def test_another_tenants_proofs_prove_nothing(draft: House) -> None:
    other = extend(house("other").tenant, "Draft", status="draft", idp_metadata=IDP.metadata())
    show_test(other.connection)
    assert states(draft.connection)[Item.MAPPING] is State.MISSING


@pytest.mark.parametrize(
    ("scheduled", "source", "days", "met"),
    [
        pytest.param(True, "scim", 1, True, id="listed every night, and as a whole yesterday"),
        pytest.param(False, "scim", 1, False, id="listed when somebody asks"),
        pytest.param(True, "csv", 1, False, id="a file"),
        pytest.param(True, "scim", 8, False, id="the last whole listing is old"),
    ],
)
def test_a_nightly_listing_is_a_path_for_leavers(
    acme: House, scheduled: bool, source: str, days: int, met: bool
) -> None:
    roster_sources.keep_source(
        connection=acme.connection,
        actor=OPERATOR,
        reason="As agreed",
        fields={"kind": "scim", "base_address": "https://idp.example", "scheduled": scheduled},
        secret="token",
    )
    at = now() - timedelta(days=days)
    Roster.objects.create(
        tenant=acme.tenant,
        connection=acme.connection,
        source=source,
        status="complete",
        as_of=at,
        completed_at=at,
        requested_by="schedule:",
    )
    assert (facts_of(acme.connection, now()).listed_at == at) is met

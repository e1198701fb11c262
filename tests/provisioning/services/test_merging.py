"""What a merge moves and what taking it back restores, row by row; and what races it."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError
from django.db.models import ForeignKey
from time_machine import travel

from identity_hub.core.clock import now
from provisioning.decision.types import PROFILE_FIELDS, GroupObservation, HoldKind, Intent
from provisioning.merges import REFERENCES, Fate
from provisioning.models import (
    Account,
    Alias,
    AuditRecord,
    AuditValue,
    DirectoryGroup,
    Distinction,
    Entitlement,
    Finding,
    Hold,
    Identity,
    Membership,
    Merge,
    ScimToken,
    Session,
    Tombstone,
)
from provisioning.selectors import merges as told
from provisioning.selectors import overview
from provisioning.selectors.invariants import violations
from provisioning.services import configuration, linking, merging, overrides, people, retention, submit
from provisioning.services.findings import tell_apart
from provisioning.services.groups import submit_group
from provisioning.services.invalid import Invalid
from provisioning.tasks import delivery

from ..admin.scene import group_of
from ..cast import OPERATOR, House, extend, push, pushed, session_of, sign_in, user
from .test_findings import breaks, stored
from .test_races import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def okta(acme: House) -> House:
    return extend(acme.tenant, "Okta")


def identity(outcome: Any) -> Identity:
    return Identity.objects.with_state().get(pk=outcome.identity_id)


def account(outcome: Any) -> Account:
    return Account.objects.get(pk=outcome.account_id)


def merge(winner: Any, loser: Any, **more: Any) -> Any:
    return merging.merge(
        winner=identity(winner), loser=identity(loser), reason="One person", actor=OPERATOR, **more
    )


def unmerge() -> Any:
    return merging.unmerge(merge=Merge.objects.latest("merged_at"), reason="Two", actor=OPERATOR)


def broken(acme: House) -> list[tuple[str, str]]:
    delivery.drain()
    return [(one.law.name, one.id) for one in violations(tenant_id=acme.tenant.pk, at=now())]


@pytest.fixture
def pair(acme: House, okta: House) -> tuple[Any, Any]:
    """One person twice: (as Entra pushed her, as Okta did under another name)."""
    return push(acme, user("ada@acme.example", "e1")), push(okta, user("adal@okta.example", "o1"))


def test_every_reference_to_an_identity_has_its_fate() -> None:
    """A new column that names identities needs a row in the table, or a merge forgets it."""
    from django.apps import apps  # noqa: PLC0415

    wanted = {
        (model._meta.db_table, field.column)
        for model in apps.get_models()
        if model._meta.managed
        for field in model._meta.local_fields
        if isinstance(field, ForeignKey) and field.related_model is Identity
    }
    assert {(one.table, one.column) for one in REFERENCES} == {
        one for one in wanted if one[0].startswith("provisioning_")
    }
    assert all(one.why for one in REFERENCES)
    assert {one.fate for one in REFERENCES} == set(Fate)


def everything(acme: House, okta: House, pair: tuple[Any, Any]) -> Identity:
    """A loser that every table names."""
    _, other = pair
    loser = identity(other)
    submit(pushed(okta, Intent.UPDATE, user("adal.x@okta.example", "o1"), other.account_id))
    gone = push(extend(acme.tenant, "Gone"), user("adal@gone.example", "g1"))
    row = account(gone)
    linking.link(account=row, identity=loser, reason="hers", actor=OPERATOR)
    submit(pushed(House(acme.tenant, row.connection, ""), Intent.DELETE, account_id=gone.account_id))
    people.place_hold(identity=loser, kind=HoldKind.SECURITY, reason="Stolen", actor=OPERATOR)
    third = push(acme, user("third@acme.example", "e3"))
    tell_apart(tenant_id=acme.tenant.pk, pairs=[(loser.pk, third.identity_id)], actor=OPERATOR)
    waiting = push(
        extend(acme.tenant, "Waiting"),
        user("w@x.example", "w1") | {"emails": [{"value": "adal.x@okta.example", "type": "work"}]},
    )
    assert waiting.reason == "account:link-pending"
    ScimToken.objects.filter(connection=acme.connection).update(owner=loser)
    session_of(loser)
    return loser


def picture() -> dict[str, Any]:
    """Whose each row is, by table."""
    return {
        "accounts": dict(Account.objects.values_list("pk", "identity_id")),
        "tombstones": dict(Tombstone.objects.values_list("pk", "identity_id")),
        "holds": {
            (hold.identity_id, hold.kind, hold.source_account_id, hold.reason) for hold in Hold.objects.all()
        },
        "aliases": dict(Alias.objects.values_list("pk", "identity_id")),
        "findings": {f.pk: (f.identity_id, tuple(f.candidates)) for f in Finding.objects.all()},
        "owners": dict(ScimToken.objects.values_list("pk", "owner_id")),
        "profiles": {
            i.pk: (i.user_name, i.email, i.display_name, i.merged_into_id) for i in Identity.objects.all()
        },
    }


def test_everything_that_names_the_loser_names_the_winner_and_goes_back(
    acme: House, okta: House, pair: tuple[Any, Any]
) -> None:
    loser = everything(acme, okta, pair)
    winner = identity(pair[0])
    before = picture()
    outcome = merge(*pair)
    assert (outcome.reason, outcome.identity_id) == ("identity:merged", winner.pk)
    after = picture()
    assert loser.pk not in {
        key for name in ("accounts", "tombstones", "aliases") for key in after[name].values()
    }
    assert loser.pk not in {hold[0] for hold in after["holds"]}
    assert loser.pk not in {key for key, _ in after["findings"].values()}
    assert str(loser.pk) not in {name for _, names in after["findings"].values() for name in names}
    assert set(after["owners"].values()) >= {winner.pk}
    assert not Distinction.objects.filter(one=loser).exists()
    assert not Distinction.objects.filter(other=loser).exists()
    assert {hold[1] for hold in after["holds"] if hold[0] == winner.pk} == {"security", "scim"}
    assert broken(acme) == []
    assert not Session.objects.filter(identity=loser).exists()
    unmerge()
    assert picture() == before
    assert Merge.objects.get().kept == {}
    pairs = {frozenset(pair) for pair in Distinction.objects.values_list("one_id", "other_id")}
    assert frozenset((winner.pk, loser.pk)) in pairs  # nobody asks about the two again
    assert len(pairs) == 2
    assert broken(acme) == []


def test_a_merge_is_on_record_about_both_and_holds_no_personal_value(pair: tuple[Any, Any]) -> None:
    outcome = merge(*pair)
    record = AuditRecord.objects.get(pk=outcome.audit_id)
    row = Merge.objects.get()
    assert (record.reason, record.identity_id, record.object_id) == (
        "identity:merged",
        pair[0].identity_id,
        row.pk,
    )
    other = AuditRecord.objects.get(reason="identity:merged-into")
    assert (other.identity_id, other.object_id) == (pair[1].identity_id, row.pk)
    assert AuditValue.objects.get(pk=record.pk).values["reason"] == "One person"
    assert "example" not in f"{row.moved}{record.changes}{other.changes}"
    assert (row.merged_by, row.reason) == (OPERATOR.signature, "One person")


def test_the_loser_s_id_is_an_answer_for_good(acme: House, pair: tuple[Any, Any]) -> None:
    merge(*pair)
    third = push(extend(acme.tenant, "Third"), user("third@x.example", "t1"))
    merging.merge(winner=identity(third), loser=identity(pair[0]), reason="x", actor=OPERATOR)
    for outcome in pair:
        assert told.stands_for(identity(outcome)).pk == third.identity_id
    assert set(told.all_ids(identity(third))) == {
        third.identity_id,
        pair[0].identity_id,
        pair[1].identity_id,
    }


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(
            partial(people.end_sessions, reason="Lost phone", actor=OPERATOR), id="end her sessions"
        ),
        pytest.param(
            partial(people.keep_from_runs, reason="On leave", actor=OPERATOR), id="keep her from runs"
        ),
        pytest.param(partial(people.leave_to_runs, reason="Back", actor=OPERATOR), id="leave her to runs"),
    ],
)
def test_an_act_on_whoever_ended_does_nothing_and_names_who_stands_for_her(
    acme: House, pair: tuple[Any, Any], act: Callable[..., Any]
) -> None:
    winner, loser = pair
    merge(winner, loser)
    third = push(extend(acme.tenant, "Third"), user("ada.l@third.example", "t1"))
    merge(third, winner)
    session_of(identity(third))
    epoch = identity(loser).session_epoch
    # As somebody has read her before the merge, and as she is read now.
    for known in (Identity(pk=loser.identity_id, tenant_id=acme.tenant.pk), identity(loser)):
        before = AuditRecord.objects.count()
        with pytest.raises(Invalid, match=str(third.identity_id)):
            act(identity=known)
        assert AuditRecord.objects.count() == before
    assert Session.objects.count() == 1
    row = identity(loser)
    assert (row.session_epoch, row.kept_from_runs) == (epoch, False)


def test_nobody_overrides_what_whoever_ended_shows(pair: tuple[Any, Any]) -> None:
    winner, loser = pair
    merge(winner, loser)
    with pytest.raises(Invalid, match=str(winner.identity_id)):
        overrides.override(
            identity=identity(loser),
            attribute="display_name",
            value="Ada",
            until=now() + timedelta(days=3),
            reason="Married",
            actor=OPERATOR,
        )


def test_what_came_since_stays_and_what_moved_on_is_named(
    acme: House, okta: House, pair: tuple[Any, Any]
) -> None:
    one, other = pair
    merge(*pair)
    third = push(acme, user("third@acme.example", "e3"))
    moved = linking.link(account=account(other), identity=identity(third), reason="x", actor=OPERATOR)
    assert moved.reason == "account:relinked"
    since = push(extend(acme.tenant, "New"), user("n@x.example", "n1"))
    linking.link(account=account(since), identity=identity(one), reason="x", actor=OPERATOR)
    assert unmerge().reason == "identity:unmerged"
    assert account(other).identity_id == third.identity_id
    assert account(since).identity_id == one.identity_id
    assert Merge.objects.get().kept == {"account.identity": [str(other.account_id)]}
    assert broken(acme) == []


def test_what_an_account_did_since_returns_with_it(acme: House, okta: House, pair: tuple[Any, Any]) -> None:
    one, other = pair
    merge(*pair)
    submit(pushed(okta, Intent.UPDATE, user("renamed@okta.example", "o1"), other.account_id))
    submit(pushed(okta, Intent.UPDATE, user("renamed@okta.example", "o1", active=False), other.account_id))
    assert not identity(one).enabled
    unmerge()
    assert (identity(one).enabled, identity(other).enabled) == (True, False)
    assert set(Alias.objects.values_list("identity_id", flat=True)) == {other.identity_id}
    assert broken(acme) == []


@pytest.mark.parametrize("when", ["before", "since"])
@pytest.mark.parametrize("whose", ["the winner's", "the loser's", "both"])
def test_taking_a_merge_back_frees_nobody_whom_a_person_holds(
    pair: tuple[Any, Any], when: str, whose: str
) -> None:
    one, other = pair
    if when == "since":
        merge(*pair)
        people.place_hold(identity=identity(one), kind=HoldKind.SECURITY, reason="x", actor=OPERATOR)
        unmerge()
        assert (identity(one).enabled, identity(other).enabled) == (False, False)
        return
    held = {"the winner's": [one], "the loser's": [other], "both": [one, other]}[whose]
    for outcome in held:
        people.place_hold(identity=identity(outcome), kind=HoldKind.SECURITY, reason="x", actor=OPERATOR)
    merge(*pair)
    assert not identity(one).enabled
    unmerge()
    assert [identity(outcome).enabled for outcome in pair] == [outcome not in held for outcome in pair]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["the first merge first", "the last merge first"])
@pytest.mark.parametrize(
    ("held", "enabled"),
    [
        ((1,), (True, False, True)),
        ((2,), (True, True, False)),
        ((0, 1), (False, False, True)),
        ((0, 1, 2), (False, False, False)),
    ],
    ids=["the second is held", "the third is held", "two are held", "all are held"],
)
def test_of_three_who_were_one_each_is_held_who_was(
    acme: House, pair: tuple[Any, Any], held: tuple[int, ...], enabled: tuple[bool, ...], order: Any
) -> None:
    three, merges = [*pair, push(extend(acme.tenant, "Third"), user("third@x.example", "t1"))], []
    for number in held:
        people.place_hold(
            identity=identity(three[number]), kind=HoldKind.SECURITY, reason="x", actor=OPERATOR
        )
    for other in three[1:]:
        merge(three[0], other)
        merges.append(Merge.objects.get(loser_id=other.identity_id))
    for number in order:
        merging.unmerge(merge=merges[number], reason="Two", actor=OPERATOR)
    assert tuple(identity(one).enabled for one in three) == enabled
    assert broken(acme) == []


def test_whoever_a_third_holds_stays_held_when_a_merge_before_it_is_taken_back(
    acme: House, pair: tuple[Any, Any]
) -> None:
    """Two who ended in the same one were both held: the hold goes back with the first, and stays for the second."""
    one, other = pair
    third = push(extend(acme.tenant, "Third"), user("third@x.example", "t1"))
    for outcome in (other, third):
        people.place_hold(identity=identity(outcome), kind=HoldKind.SECURITY, reason="x", actor=OPERATOR)
    merge(one, other)
    merge(one, third)
    first, second = Merge.objects.order_by("merged_at")
    merging.unmerge(merge=first, reason="Two", actor=OPERATOR)
    assert [identity(outcome).enabled for outcome in (one, other)] == [False, False]
    merging.unmerge(merge=second, reason="Two", actor=OPERATOR)
    assert [identity(outcome).enabled for outcome in (other, third)] == [False, False]
    assert broken(acme) == []


@pytest.mark.parametrize("by", [0, 2], ids=["before the two were one", "since"])
def test_a_hold_that_the_winner_s_winner_had_too_goes_back_to_whose_it_was(
    acme: House, pair: tuple[Any, Any], by: int
) -> None:
    """One ends in another, who ends in a third; both merges are taken back."""
    one, other = pair
    third = push(extend(acme.tenant, "Third"), user("third@x.example", "t1"))
    steps = [
        lambda: people.place_hold(identity=identity(other), kind=HoldKind.ADMIN, reason="x", actor=OPERATOR),
        lambda: merge(one, other),
    ]
    steps.insert(
        by,
        lambda: people.place_hold(identity=identity(third), kind=HoldKind.ADMIN, reason="x", actor=OPERATOR),
    )
    for step in steps:
        step()
    merge(third, one)
    for record in Merge.objects.order_by("-merged_at"):
        merging.unmerge(merge=record, reason="Two", actor=OPERATOR)
    assert [identity(outcome).enabled for outcome in (one, other, third)] == [True, False, False]
    assert broken(acme) == []


def test_a_hold_that_was_lifted_meanwhile_does_not_come_back(pair: tuple[Any, Any]) -> None:
    one, other = pair
    people.place_hold(identity=identity(other), kind=HoldKind.ADMIN, reason="x", actor=OPERATOR)
    merge(*pair)
    people.lift_hold(identity=identity(one), kind=HoldKind.ADMIN, reason="x", actor=OPERATOR)
    unmerge()
    assert identity(other).enabled


@pytest.mark.parametrize(
    ("disabled", "then", "enabled"),
    [
        ("before", "", (False, False)),
        ("since", "", (False, False)),
        ("before", "enabled", (True, True)),
        ("since", "enabled", (True, True)),
        ("before", "linked to the winner", (False, True)),
        ("since", "linked to the winner", (False, True)),
        ("before", "lifted by a person", (True, True)),
    ],
    ids=[
        "one that held both still does",
        "one that was closed since holds both",
        "one that held both and is open again frees both",
        "one that was closed since and is open again frees both",
        "one that held both and is the winner's by now holds the winner alone",
        "one that was closed since and is the winner's by now holds the winner alone",
        "what a person lifted meanwhile holds nobody",
    ],
)
def test_taking_a_merge_back_frees_nobody_whom_a_waiting_account_holds(
    acme: House, disabled: str, then: str, enabled: tuple[bool, bool]
) -> None:
    """Row 13b: an account that may be either of two holds both while it is inactive."""
    one = push(acme, user("ada@acme.example", "e1"))
    other = sign_in(acme, "p-1", user_name="adab", email="ada.b@acme.example")
    addresses = [{"value": f"{name}@acme.example", "type": "work"} for name in ("ada", "ada.b")]

    def close() -> Any:
        waits = push(acme, user("adas", "e9", emails=addresses))
        assert waits.reason == "account:link-pending"
        submit(pushed(acme, Intent.DISABLE, account_id=waits.account_id, active=False))
        return waits

    waits = close() if disabled == "before" else None
    merge(one, other)
    waits = waits or close()
    assert not identity(one).enabled
    if then == "linked to the winner":
        # Two live accounts of one connection are never one person's.
        submit(pushed(acme, Intent.DELETE, account_id=one.account_id))
        linked = linking.link(account=account(waits), identity=identity(one), reason="hers", actor=OPERATOR)
        assert linked.accepted
    elif then == "lifted by a person":
        people.lift_hold(identity=identity(one), kind=HoldKind.SCIM, reason="known", actor=OPERATOR)
    assert unmerge().accepted
    assert broken(acme) == []
    if then == "enabled":
        submit(pushed(acme, Intent.ENABLE, account_id=waits.account_id, active=True))
    assert (identity(one).enabled, identity(other).enabled) == enabled
    assert broken(acme) == []


def test_a_hold_that_a_merge_brought_stays_with_whom_its_account_is_by_then(acme: House) -> None:
    """The waiting account had held the loser alone, and is the winner's when the merge is taken back."""
    one = push(acme, user("ada@acme.example", "e1"))
    other = sign_in(acme, "p-1", user_name="adab", email="ada.b@acme.example")
    addresses = [{"value": "ada.b@acme.example", "type": "work"}]
    waits = push(acme, user("adas", "e9", emails=addresses))
    assert waits.reason == "account:link-pending"
    submit(pushed(acme, Intent.DISABLE, account_id=waits.account_id, active=False))
    assert (identity(one).enabled, identity(other).enabled) == (True, False)
    merge(one, other)
    submit(pushed(acme, Intent.DELETE, account_id=one.account_id))
    assert linking.link(
        account=account(waits), identity=identity(one), reason="hers", actor=OPERATOR
    ).accepted
    assert unmerge().accepted
    assert (identity(one).enabled, identity(other).enabled) == (False, True)
    assert broken(acme) == []


def test_a_duplicate_of_one_connection_ends_and_wakes(acme: House) -> None:
    login = sign_in(acme, "p-1", email="ada@acme.example")
    pushed_ = push(acme, user("ada.l@acme.example", "e1"))
    role = configuration.create_entitlement(
        tenant=acme.tenant, name="Developer", actor=OPERATOR, reason="As agreed"
    )
    group = group_of(acme, "Engineers", [pushed_.account_id])
    configuration.map_entitlement(entitlement=role, group=group, actor=OPERATOR, reason="As agreed")
    preview = merging.foresee(winner=identity(login), loser=identity(pushed_), actor=OPERATOR)
    assert (preview.possible, preview.folded, preview.gained) == (True, [login.account_id], [role])
    outcome = merge(login, pushed_)
    assert outcome.reason == "identity:merged"
    kept, gone = account(pushed_), account(login)
    assert (kept.subject_value, kept.identity_id) == ("p-1", login.identity_id)
    assert gone.deleted_at is not None
    assert retention.purge_deleted(at=now(), actor=OPERATOR) == 0  # not before its retention is over
    assert list(Entitlement.objects.of_identity(identity(login))) == [role]
    assert sign_in(acme, "p-1", email="ada@acme.example").account_id == kept.pk
    assert broken(acme) == []
    unmerge()
    kept, gone = account(pushed_), account(login)
    assert (kept.subject_value, kept.identity_id) == ("", pushed_.identity_id)
    assert (gone.subject_value, gone.identity_id, gone.deleted_at, gone.active) == (
        "p-1",
        login.identity_id,
        None,
        True,
    )
    assert sign_in(acme, "p-1", email="ada@acme.example").account_id == login.account_id
    assert broken(acme) == []


def roles_of(outcome: Any) -> list[str]:
    return [role.name for role in Entitlement.objects.of_identity(identity(outcome))]


def shows(outcome: Any) -> tuple[str, str, str]:
    one = identity(outcome)
    return one.user_name, one.email, one.title


def members(group: DirectoryGroup) -> set[UUID]:
    return set(Membership.objects.filter(group=group).values_list("account_id", flat=True))


def test_the_groups_of_a_duplicate_are_handed_over_and_back(acme: House) -> None:
    login = sign_in(acme, "p-1", email="ada@acme.example")
    delivered = push(acme, user("ada.l@acme.example", "e1"))
    board = group_of(acme, "Board", [login.account_id])
    staff = group_of(acme, "Staff", [login.account_id, delivered.account_id])
    for group, name in ((board, "Root"), (staff, "Desk")):
        role = configuration.create_entitlement(
            tenant=acme.tenant, name=name, actor=OPERATOR, reason="As agreed"
        )
        configuration.map_entitlement(entitlement=role, group=group, actor=OPERATOR, reason="As agreed")
    preview = merging.foresee(winner=identity(delivered), loser=identity(login), actor=OPERATOR)
    assert [role.name for role in preview.gained] == ["Root"]
    merge(delivered, login)
    assert sorted(roles_of(delivered)) == ["Desk", "Root"]
    assert members(board) == members(staff) == {delivered.account_id}
    board.refresh_from_db()
    seen = board.version
    unmerge()
    board.refresh_from_db()
    assert board.version == seen + 1
    assert members(board) == {login.account_id}
    assert members(staff) == {login.account_id, delivered.account_id}
    assert (sorted(roles_of(delivered)), sorted(roles_of(login))) == (["Desk"], ["Desk", "Root"])
    assert broken(acme) == []


def test_a_group_that_its_directory_took_away_meanwhile_does_not_come_back(acme: House) -> None:
    login = sign_in(acme, "p-1", email="ada@acme.example")
    delivered = push(acme, user("ada.l@acme.example", "e1"))
    board = group_of(acme, "Board", [login.account_id])
    merge(delivered, login)
    submit_group(
        GroupObservation(
            intent=Intent.UPDATE,
            tenant_id=acme.tenant.pk,
            connection_id=acme.connection.pk,
            at=now(),
            actor=OPERATOR,
            group_id=board.pk,
            remove=(delivered.account_id,),
        )
    )
    unmerge()
    assert account(login).deleted_at is None
    assert members(board) == set()
    assert broken(acme) == []


@pytest.mark.parametrize("login_stays", [True, False], ids=["the login's stays", "the pushed one stays"])
def test_whose_duplicate_wakes_is_shown_as_before(acme: House, login_stays: bool) -> None:
    login = sign_in(acme, "p-1", user_name="j@acme.example", email="j@acme.example")
    delivered = push(acme, user("p@acme.example", "e1", title="Clerk"))
    shown = [shows(login), shows(delivered)]
    merge(*((login, delivered) if login_stays else (delivered, login)))
    unmerge()
    assert [shows(login), shows(delivered)] == shown
    assert broken(acme) == []


def test_whose_own_account_has_ended_meanwhile_is_not_shown_as_the_other(acme: House, okta: House) -> None:
    ada = push(acme, user("ada@acme.example", "e1"))
    zoe = push(okta, user("zoe@okta.example", "o1", title="Boss"))
    shown = [shows(ada), shows(zoe)]
    merge(ada, zoe)
    submit(pushed(acme, Intent.DELETE, account_id=ada.account_id))
    assert shows(ada) == shown[1]
    unmerge()
    assert [shows(ada), shows(zoe)] == shown


def without_account(acme: House) -> Any:
    """Somebody whose one account was found to be somebody else's."""
    ada = push(acme, user("ada@acme.example", "e1"))
    linking.unlink(account=account(ada), reason="Not hers", actor=OPERATOR)
    return ada


def local_administrator(acme: House) -> Any:
    row = configuration.create_local_identity(
        tenant=acme.tenant,
        login_name="ada",
        display_name="Ada Admin",
        password="correct horse battery staple",
        tenant_administrator=True,
        actor=OPERATOR,
        reason="As agreed",
    )
    return SimpleNamespace(identity_id=row.pk)


def purge(where: House, outcome: Any) -> None:
    submit(pushed(where, Intent.DELETE, account_id=outcome.account_id))
    Tombstone.objects.filter(pk=outcome.account_id).update(purge_after=now())
    assert retention.purge_deleted(at=now(), actor=OPERATOR) == 1


def whole(outcome: Any) -> dict[str, str]:
    """Whatever an identity shows and is recognised by."""
    (row,) = Identity.objects.filter(pk=outcome.identity_id).values(
        *PROFILE_FIELDS, "user_name_key", "email_key"
    )
    return {name: value for name, value in row.items() if value}


def known(okta: House) -> Any:
    resource = user("zoe@okta.example", "o1", name={"givenName": "Zoe", "familyName": "Zed"}, title="Boss")
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    said = {enterprise: {"employeeNumber": "4711", "department": "Board"}, "locale": "en-GB"}
    return push(okta, resource | said | {"schemas": [*resource["schemas"], enterprise]})


@pytest.mark.parametrize(
    ("who", "left"),
    [
        pytest.param(without_account, {}, id="whose account was unlinked shows nothing"),
        pytest.param(
            local_administrator,
            {"user_name": "ada", "user_name_key": "ada"},
            id="who signs in here shows the name for that",
        ),
    ],
)
def test_whoever_has_no_account_keeps_nothing_of_the_other(
    acme: House, okta: House, who: Callable[[House], Any], left: dict[str, str]
) -> None:
    third = extend(acme.tenant, "Third", trusted_hr_number=True)
    ada, zoe = who(acme), known(okta)
    shown = whole(zoe)
    merge(ada, zoe)
    assert whole(ada) == shown
    unmerge()
    assert (whole(ada), whole(zoe)) == (left, shown)
    assert broken(acme) == []
    # By what she showed of somebody else nobody recognises her.
    again = known(House(third.tenant, third.connection, ""))
    assert str(ada.identity_id) not in {
        name for finding in Finding.objects.filter(account_id=again.account_id) for name in finding.candidates
    }
    assert again.identity_id != ada.identity_id


@pytest.mark.parametrize("zoe_stays", [False, True], ids=["who stays was purged", "who ended was purged"])
def test_whose_data_is_purged_meanwhile_shows_nothing(acme: House, okta: House, zoe_stays: bool) -> None:
    ada, zoe = push(acme, user("ada@acme.example", "e1")), known(okta)
    shown = whole(zoe)
    merge(*((zoe, ada) if zoe_stays else (ada, zoe)))
    purge(acme, ada)
    unmerge()
    assert (whole(ada), whole(zoe)) == ({}, shown)
    assert broken(acme) == []


def test_no_record_about_the_other_keeps_what_a_purged_one_showed(acme: House) -> None:
    first = extend(acme.tenant, "First", precedence=1)
    ada, zoe = push(acme, user("ada@acme.example", "e1")), known(first)
    merge(ada, zoe)
    unmerge()
    assert "zoe@okta.example" in kept_beside(ada)
    purge(first, zoe)
    assert "zoe@okta.example" not in repr(list(AuditValue.objects.values_list("values")))
    assert "ada@acme.example" in kept_beside(ada)


def kept_beside(outcome: Any) -> str:
    return repr(list(AuditValue.objects.filter(identity_id=outcome.identity_id).values_list("values")))


def test_whoever_met_nobody_s_accounts_shows_what_she_showed(acme: House) -> None:
    ada, zoe = local_administrator(acme), without_account(acme)
    shown = [whole(ada), whole(zoe)]
    merge(ada, zoe)
    unmerge()
    assert [whole(ada), whole(zoe)] == shown


def test_a_duplicate_whose_name_is_taken_stays_ended_and_is_named(acme: House) -> None:
    login = sign_in(acme, "p-1", email="ada@acme.example")
    delivered = push(acme, user("ada.l@acme.example", "e1"))
    merge(delivered, login)
    push(acme, user("p-1", "e9", emails=[]))
    unmerge()
    assert account(login).deleted_at is not None
    assert Merge.objects.get().kept == {"folded": [str(login.account_id)]}


def test_a_duplicate_stays_ended_where_its_connection_has_another_account_by_now(
    acme: House, okta: House
) -> None:
    login, pushed = sign_in(acme, "p-1"), push(acme, user("ada@acme.example", "e1"))
    merge(login, pushed)
    other = push(okta, user("bob@okta.example", "o2"))
    third = push(acme, user("cleo@acme.example", "e3"))
    for moved, whose in ((pushed, other), (third, login)):
        assert linking.link(
            account=account(moved), identity=identity(whose), reason="x", actor=OPERATOR
        ).accepted
    assert unmerge().reason == "identity:unmerged"
    assert account(login).deleted_at is not None
    assert Merge.objects.get().kept["folded"] == [str(login.account_id)]
    assert broken(acme) == []


def test_two_people_of_one_connection_are_refused_and_nothing_is_written(acme: House) -> None:
    one, other = push(acme, user("ada@acme.example", "e1")), push(acme, user("bob@acme.example", "e2"))
    before = picture()
    assert merge(one, other).reason == "identity:accounts-collide"
    assert picture() == before
    assert not Merge.objects.exists()


def test_whoever_ended_is_counted_no_more(acme: House, pair: tuple[Any, Any]) -> None:
    before = overview.people(acme.tenant.pk)
    merge(*pair)
    after = overview.people(acme.tenant.pk)
    assert (before.enabled, after.enabled) == (2, 1)
    assert (before.without_account, after.without_account) == (0, 0)


def test_nobody_is_merged_across_tenants(acme: House, globex: House) -> None:
    one, other = push(acme, user("ada@acme.example", "e1")), push(globex, user("ada@globex.example", "g1"))
    assert merge(one, other).reason == "identity:unknown"
    assert merge(other, one).reason == "identity:unknown"
    assert not Merge.objects.exists()


def test_a_superuser_is_nobody_s_duplicate(pair: tuple[Any, Any]) -> None:
    root = configuration.create_local_identity(
        login_name="root",
        password="correct horse battery staple",
        superuser=True,
        actor=OPERATOR,
        reason="As agreed",
    )
    for winner, loser in ((root, identity(pair[0])), (identity(pair[0]), root)):
        with pytest.raises(ValueError, match="superuser"):
            merging.foresee(winner=winner, loser=loser, actor=OPERATOR)
    assert merging.merge(winner=identity(pair[0]), loser=root, reason="x", actor=OPERATOR).reason == (
        "identity:unknown"
    )


def test_without_telling_the_two_apart_a_merge_is_not_taken_back(pair: tuple[Any, Any]) -> None:
    merge(*pair)
    breaks("INSERT", "provisioning_distinction")
    before = stored()
    with pytest.raises(OperationalError):
        unmerge()
    assert stored() == before


def test_the_preview_counts_what_would_go_and_writes_nothing(
    acme: House, okta: House, pair: tuple[Any, Any]
) -> None:
    everything(acme, okta, pair)
    before, audited = picture(), AuditRecord.objects.count()
    preview = merging.foresee(winner=identity(pair[0]), loser=identity(pair[1]), actor=OPERATOR)
    assert preview.possible
    assert preview.moves["Accounts"] == 1
    assert preview.moves["Holds"] == 2
    assert preview.moves["Sessions"] == 1
    assert preview.moves["SCIM tokens to answer for"] == 1
    assert preview.held
    assert (picture(), AuditRecord.objects.count()) == (before, audited)


def test_the_preview_counts_the_sessions_of_the_moment_when_it_is_asked(
    acme: House, pair: tuple[Any, Any]
) -> None:
    winner, loser = map(identity, pair)
    session_of(loser)
    with travel(now() + timedelta(hours=2), tick=False):
        preview = merging.foresee(winner=winner, loser=loser, actor=OPERATOR)
    assert preview.moves["Sessions"] == 0


def test_whoever_is_forgotten_is_forgotten_under_every_id(
    acme: House, okta: House, pair: tuple[Any, Any]
) -> None:
    merge(*pair)
    for where, outcome in zip((acme, okta), pair, strict=True):
        submit(pushed(where, Intent.DELETE, account_id=outcome.account_id))
    Tombstone.objects.update(purge_after=now())
    retention.purge_deleted(at=now(), actor=OPERATOR)
    for outcome in pair:
        row = identity(outcome)
        assert (row.user_name, row.email, row.given_name) == ("", "", "")
        assert not AuditValue.objects.filter(identity_id=row.pk).exists()


@pytest.mark.django_db(transaction=True)
class TestRaces:
    @pytest.mark.parametrize("round_", range(4))
    def test_a_push_and_a_login_of_the_loser_meet_the_winner_or_come_first(
        self, acme: House, round_: int
    ) -> None:
        okta = extend(acme.tenant, "Okta")
        one = push(acme, user("ada@acme.example", "e1"))
        other = push(okta, user("adal@okta.example", "o1"))
        sign_in(okta, "p-1", external_id="o1", email="adal@okta.example")
        merged, patched, logged_in, closed = at_once(
            lambda: merge(one, other),
            lambda: submit(pushed(okta, Intent.UPDATE, user("adal.x@okta.example", "o1"), other.account_id)),
            lambda: sign_in(okta, "p-1", external_id="o1", email="adal@okta.example"),
            lambda: submit(
                pushed(acme, Intent.UPDATE, user("ada@acme.example", "e1", active=False), one.account_id)
            ),
        )
        assert merged.reason == "identity:merged"
        assert patched.accepted
        assert closed.accepted
        assert logged_in.reason in ("login:admitted", "login:identity-held")
        assert set(Account.objects.values_list("identity_id", flat=True)) == {one.identity_id}
        assert not identity(one).enabled
        assert not identity(other).enabled
        assert broken(acme) == []
        again = sign_in(okta, "p-1", external_id="o1", email="adal@okta.example")
        assert (again.reason, again.identity_id) == ("login:identity-held", one.identity_id)

    def test_two_merges_of_one_pair_in_both_directions_leave_one(self, acme: House) -> None:
        okta = extend(acme.tenant, "Okta")
        one, other = push(acme, user("ada@acme.example", "e1")), push(okta, user("adal@okta.example", "o1"))
        outcomes = at_once(lambda: merge(one, other), lambda: merge(other, one), lambda: merge(one, other))
        assert sorted(o.reason for o in outcomes) == [
            "identity:merged",
            "identity:merged-away",
            "identity:merged-away",
        ]
        assert Merge.objects.count() == 1

    def test_somebody_new_with_the_loser_s_e_mail_is_no_third_person(self, acme: House) -> None:
        okta, third = extend(acme.tenant, "Okta"), extend(acme.tenant, "Third")
        one, other = push(acme, user("ada@acme.example", "e1")), push(okta, user("adal@okta.example", "o1"))
        _, posted = at_once(lambda: merge(one, other), lambda: push(third, user("adal@okta.example", "t1")))
        assert posted.reason == "account:link-pending"
        assert Identity.objects.filter(tenant=acme.tenant).count() == 2
        (finding,) = Finding.objects.filter(account_id=posted.account_id)
        assert finding.candidates == [str(one.identity_id)]

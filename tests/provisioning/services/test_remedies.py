"""What can be done about each kind of finding, what it foresees, and that it does just that."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db import OperationalError
from time_machine import travel

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.types import Actor, HoldKind, Intent, Verdict
from provisioning.models import (
    Account,
    AuditRecord,
    Distinction,
    Finding,
    Hold,
    Identity,
    Merge,
    Override,
    ScimToken,
)
from provisioning.services import configuration, merging, people, remedies, submit
from provisioning.services.invalid import Invalid

from ..cast import OPERATOR, House, push, pushed, sign_in, user
from ..reconciliation import test_doubts as doubts
from .test_findings import administrator, breaks, stored, weak_match

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tokenless")]


def names(finding: Finding) -> list[str]:
    return [one.name.partition(":")[0] for one in remedies.remedies(finding, OPERATOR)]


def asked_by(case: Callable[[House], None], where: House) -> Finding:
    case(where)
    reconciliation.ask_tenant(where.tenant.pk, now())
    return Finding.objects.select_related("account", "identity").get(seen_at__isnull=False)


def unconfirmed(where: House) -> Finding:
    doubts.a_token_with_an_owner(where)
    sign_in(where, "ada", at=now() - timedelta(days=30))
    reconciliation.execute(reconciliation.simulate(where.connection, OPERATOR, reason="As agreed"))
    return Finding.objects.select_related("account", "identity").get(kind="account:unconfirmed")


@pytest.mark.parametrize(
    ("case", "offered"),
    [
        (doubts.a_duplicate, ["merge", "merge", "apart"]),
        (doubts.an_orphan_without_account, ["settled", "dismiss"]),
        (doubts.an_orphan_of_a_disabled_connection, ["hold", "settled", "dismiss"]),
        (doubts.an_account_of_nobody, ["settled", "separate"]),
        (doubts.a_dormant_account, ["hold", "settled", "dismiss"]),
        (doubts.a_state_conflict, ["hold", "settled", "dismiss"]),
        (doubts.an_attribute_conflict, ["unlink", "unlink", "settled", "dismiss"]),
        (doubts.a_held_member, ["settled", "dismiss"]),
        (doubts.a_drifting_group, ["settled", "dismiss"]),
        (doubts.an_entitlement_without_group, ["settled", "dismiss"]),
        (doubts.an_ownerless_token, ["own", "settled", "dismiss"]),
        (doubts.a_stale_connection, ["settled", "dismiss"]),
        (doubts.a_privileged_group, ["settled", "dismiss"]),
    ],
)
def test_a_kind_has_its_remedies(acme: House, case: Callable[[House], None], offered: list[str]) -> None:
    finding = asked_by(case, acme)
    assert names(finding)[-len(offered) :] == offered
    finding.status = "approved"
    assert names(finding) == []


def test_a_waiting_account_is_somebody_or_somebody_else(acme: House) -> None:
    finding = weak_match(acme)
    assert names(finding) == ["link", "separate"]
    link, separate = remedies.foresee(finding, OPERATOR)
    assert next(type(change).__name__ for change in link.decision.changes) == "LinkAccount"
    assert next(type(change).__name__ for change in separate.decision.changes) == "CreateIdentity"
    assert Account.objects.get(pk=finding.account_id).identity_id is None  # nothing was written
    outcome = remedies.carry_out(finding=finding, name=link.remedy.name, reason="the same", actor=OPERATOR)
    assert (outcome.verdict, outcome.reason) == (link.decision.verdict, link.decision.reason)
    assert Account.objects.get(pk=finding.account_id).identity_id == link.remedy.identity_id


def test_an_account_is_never_tied_to_a_protected_identity(acme: House) -> None:
    finding = weak_match(acme)
    Identity.objects.filter(pk=finding.identity_id).update(kind="service", local=True)
    link, _ = remedies.foresee(finding, OPERATOR)
    assert (link.decision.verdict, link.decision.reason) == (Verdict.REFUSED, "identity:protected")


def test_two_people_are_told_apart(acme: House) -> None:
    finding = asked_by(doubts.a_duplicate, acme)
    remedies.carry_out(finding=finding, name="apart", reason="twins", actor=OPERATOR)
    assert Distinction.objects.get().finding_id == finding.pk
    finding.refresh_from_db()
    assert finding.status == "rejected"


@pytest.mark.parametrize("stays", [0, 1], ids=["the one", "the other"])
def test_two_identities_become_one_person(acme: House, stays: int) -> None:
    finding = asked_by(doubts.a_duplicate, acme)
    foreseen = remedies.foresee(finding, OPERATOR)[stays]
    assert foreseen.decision.verdict is Verdict.APPLIED
    assert foreseen.moves["Accounts"] == 1
    winner, loser = foreseen.remedy.merge
    remedies.carry_out(finding=finding, name=foreseen.remedy.name, reason="one person", actor=OPERATOR)
    assert Identity.objects.get(pk=loser).merged_into_id == winner
    assert set(Account.objects.values_list("identity_id", flat=True)) == {winner}
    finding.refresh_from_db()
    assert finding.status == "approved"
    assert doubts.look(acme) == {}


def test_whoever_takes_a_merge_back_has_told_the_two_apart(acme: House) -> None:
    finding = asked_by(doubts.a_duplicate, acme)
    name = remedies.remedies(finding, OPERATOR)[0].name
    remedies.carry_out(finding=finding, name=name, reason="one person", actor=OPERATOR)
    merging.unmerge(merge=Merge.objects.get(), reason="twins after all", actor=OPERATOR)
    Finding.objects.all().delete()
    assert doubts.look(acme) == {}


def test_two_of_one_directory_are_told_why_they_are_not_one(acme: House) -> None:
    push(acme, user("ada@acme.example", "e1"))
    two = push(acme, user("ada2@acme.example", "e2"))
    Identity.objects.filter(pk=two.identity_id).update(hr_number="7")
    Identity.objects.exclude(pk=two.identity_id).update(hr_number="7")
    reconciliation.ask_tenant(acme.tenant.pk, now())
    first, *_ = remedies.foresee(Finding.objects.get(), OPERATOR)
    assert first.decision.verdict is Verdict.REFUSED


def test_an_orphan_is_held_and_the_finding_closed(acme: House) -> None:
    finding = asked_by(doubts.an_orphan_of_a_disabled_connection, acme)
    (foreseen, *_) = remedies.foresee(finding, OPERATOR)
    assert [type(change).__name__ for change in foreseen.decision.changes] == ["PlaceHold", "EndSessions"]
    remedies.carry_out(finding=finding, name=foreseen.remedy.name, reason="left", actor=OPERATOR)
    assert Hold.objects.get().kind == HoldKind.ADMIN
    finding.refresh_from_db()
    assert (finding.status, finding.decision_reason) == ("approved", "left")


def test_whom_nobody_confirmed_is_let_back_in(acme: House) -> None:
    finding = unconfirmed(acme)
    assert names(finding) == ["release", "settled", "dismiss"]
    remedies.carry_out(finding=finding, name="release", reason="known", actor=OPERATOR)
    assert not Hold.objects.exists()
    assert Identity.objects.get(pk=finding.identity_id).is_active


def test_a_candidate_of_a_disabled_account_is_held(acme: House) -> None:
    known = push(acme, user("ada@acme.example", "e1"))
    finding = Finding.objects.create(
        tenant=acme.tenant,
        kind="account:disabled-unlinked",
        severity="high",
        identity_id=known.identity_id,
        candidates=[str(known.identity_id)],
        fingerprint="x",
    )
    assert names(finding) == ["hold", "apart", "settled"]


def values_disagree(where: House) -> Finding:
    return TestOfValuesThatDisagree().finding(where)


@pytest.mark.parametrize(
    ("case", "act"),
    [
        pytest.param(partial(asked_by, doubts.an_orphan_of_a_disabled_connection), "hold", id="hold"),
        pytest.param(unconfirmed, "release", id="let back in"),
        pytest.param(values_disagree, "unlink", id="take an account off the person"),
        pytest.param(values_disagree, "show", id="show one of two values"),
    ],
)
def test_a_remedy_that_cannot_close_its_finding_does_nothing(
    acme: House, case: Callable[[House], Finding], act: str
) -> None:
    finding = case(acme)
    name = next(one.name for one in remedies.remedies(finding, OPERATOR) if one.name.partition(":")[0] == act)
    breaks("UPDATE OF decision_reason", "provisioning_finding")
    before = stored()
    with pytest.raises(OperationalError):
        remedies.carry_out(finding=finding, name=name, reason="x", actor=OPERATOR)
    assert stored() == before


def name_kept(where: House) -> Callable[[], object]:
    """The IdP sends the name of an inactive account with another key, as it does every forty minutes."""
    known = push(where, user("ada@acme.example", "e1"))
    submit(pushed(where, Intent.DISABLE, account_id=known.account_id, active=False))
    return lambda: push(where, user("ada@acme.example", "e9"))


def name_id_changed(where: House) -> Callable[[], object]:
    push(where, user("ada@acme.example", "e1"))
    sign_in(where, "p1", external_id="e1")
    return lambda: sign_in(where, "p2", external_id="e1")


def name_id_recycled(where: House) -> Callable[[], object]:
    push(where, user("ada@acme.example", "e1"))
    sign_in(where, "p1", external_id="e1")
    return lambda: sign_in(where, "p1", external_id="e2")


class TestWhatPushesAndLoginsAsk:
    @pytest.mark.parametrize(
        ("case", "name", "days", "again"),
        [
            pytest.param(name_kept, "settled", 0, False, id="a push: not the next time"),
            pytest.param(name_kept, "settled", 89, False, id="a push: not for three months"),
            pytest.param(name_kept, "settled", 91, True, id="a push: then, where it is still so"),
            pytest.param(name_kept, "dismiss", 400, False, id="a push: never where it was dismissed"),
            pytest.param(name_id_changed, "settled", 89, False, id="a login: not for three months"),
            pytest.param(name_id_changed, "settled", 91, True, id="a login: then, where it is still so"),
            pytest.param(name_id_recycled, "settled", 0, True, id="a recycled NameID: by the next login"),
        ],
    )
    def test_is_asked_again_when(
        self, acme: House, case: Callable[[House], Callable[[], object]], name: str, days: int, again: bool
    ) -> None:
        met = case(acme)
        met()
        remedies.carry_out(finding=Finding.objects.get(), name=name, reason="They know", actor=OPERATOR)
        with travel(now() + timedelta(days=days), tick=False):
            met()
        assert Finding.objects.filter(status="open").exists() is again

    def test_another_case_of_the_kind_is_asked_about(self, acme: House) -> None:
        met = name_id_changed(acme)
        met()
        remedies.carry_out(finding=Finding.objects.get(), name="settled", reason="x", actor=OPERATOR)
        sign_in(acme, "p3", external_id="e1")
        assert Finding.objects.filter(status="open").count() == 1

    def test_what_a_remedy_has_mended_is_asked_about_when_it_comes_back(self, acme: House) -> None:
        met = name_id_changed(acme)
        met()
        for comes in ("p1", "p2"):
            finding = Finding.objects.get(status="open")
            name = next(one.name for one in remedies.remedies(finding, OPERATOR) if one.name == "unbind")
            remedies.carry_out(finding=finding, name=name, reason="A new NameID", actor=OPERATOR)
            met()
            sign_in(acme, comes, external_id="e1")
            met = partial(sign_in, acme, comes, external_id="e1")
        assert Finding.objects.filter(status="open").count() == 1


class TestOwner:
    @pytest.mark.parametrize(
        "case",
        [doubts.an_ownerless_token, doubts.a_token_that_a_command_issued],
        ids=["whose owner left", "that a command issued"],
    )
    def test_an_administrator_answers_for_a_token_from_now_on(
        self, acme: House, case: Callable[[House], None]
    ) -> None:
        finding = asked_by(case, acme)
        successor = administrator(acme, "successor")
        actor = Actor(kind="identity", id=str(successor.pk))
        remedies.carry_out(finding=finding, name="own", reason="took over", actor=actor)
        assert ScimToken.objects.get(pk=finding.evidence["token"]).owner == successor
        assert AuditRecord.objects.get(reason="credential:owner-changed").actor_id == str(successor.pk)
        assert doubts.look(acme) == {}

    def test_a_command_answers_for_nothing(self, acme: House) -> None:
        finding = asked_by(doubts.an_ownerless_token, acme)
        with pytest.raises(Invalid):
            remedies.carry_out(finding=finding, name="own", reason="x", actor=OPERATOR)
        finding.refresh_from_db()
        assert finding.status == "open"

    def test_nobody_answers_for_themselves(self, acme: House) -> None:
        finding = asked_by(doubts.an_ownerless_local_identity, acme)
        made = Identity.objects.get(pk=finding.evidence["identity"])
        with pytest.raises(Invalid):
            remedies.carry_out(
                finding=finding, name="own", reason="x", actor=Actor(kind="identity", id=str(made.pk))
            )


def test_a_remedy_that_is_gone_does_nothing(acme: House) -> None:
    finding = asked_by(doubts.an_orphan_of_a_disabled_connection, acme)
    (hold, *_) = remedies.remedies(finding, OPERATOR)
    people.place_hold(identity=Identity.objects.get(), kind=HoldKind.SECURITY, reason="x", actor=OPERATOR)
    for name in (hold.name, "link:nobody", "take", ""):
        with pytest.raises(Invalid):
            remedies.carry_out(finding=finding, name=name, reason="x", actor=OPERATOR)
    finding.refresh_from_db()
    assert finding.status == "open"


@pytest.mark.parametrize(
    ("name", "kinds", "status"), [("let-in", [], "approved"), ("keep-out", ["admin"], "rejected")]
)
def test_a_request_is_granted_or_refused(acme: House, name: str, kinds: list[str], status: str) -> None:
    configuration.change_connection(
        connection=acme.connection, changes={"jit_approval": True}, actor=OPERATOR, reason="As agreed"
    )
    sign_in(acme, "ada")
    finding = Finding.objects.get()
    assert names(finding) == ["let-in", "keep-out"]
    remedies.carry_out(finding=finding, name=name, reason="asked her manager", actor=OPERATOR)
    assert list(Hold.objects.values_list("kind", flat=True)) == kinds
    finding.refresh_from_db()
    assert finding.status == status


class TestOfValuesThatDisagree:
    def finding(self, where: House) -> Finding:
        return asked_by(
            lambda acme: doubts.linked_twice(acme, name={"givenName": "Ada", "familyName": "King"}), where
        )

    def test_one_of_them_is_shown_until_it_is_asked_again(self, acme: House) -> None:
        finding = self.finding(acme)
        assert names(finding) == ["unlink", "unlink", "show", "show", "settled", "dismiss"]
        king = next(one for one in remedies.foresee(finding, OPERATOR) if one.remedy.title == "Show King")
        assert king.decision is not None
        assert [type(one).__name__ for one in king.decision.changes] == ["SetOverride", "UpdateIdentity"]
        remedies.carry_out(
            finding=finding, name=king.remedy.name, reason="Her passport says so", actor=OPERATOR
        )
        identity = Identity.objects.get(pk=finding.identity_id)
        row = Override.objects.get()
        assert (identity.family_name, row.value, row.reason) == ("King", "King", "Her passport says so")
        finding.refresh_from_db()
        assert finding.status == "approved"
        reconciliation.ask_tenant(acme.tenant.pk, now())
        assert not Finding.objects.filter(status="open", kind=finding.kind).exists()
        assert row.until - now() > timedelta(days=89)

    def test_what_a_push_has_changed_since_is_not_what_somebody_agreed_to(self, acme: House) -> None:
        finding = self.finding(acme)
        (name,) = [one.name for one in remedies.remedies(finding, OPERATOR) if one.title == "Show King"]
        doubts.told(acme, "Other", name={"givenName": "Ada", "familyName": "Queen"})
        with pytest.raises(Invalid):
            remedies.carry_out(finding=finding, name=name, reason="x", actor=OPERATOR)
        assert not Override.objects.exists()

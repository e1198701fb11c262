"""The page of a finding shows every kind of case, whoever it is about, and what each remedy would change."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.reasons import FindingKind
from provisioning.decision.types import Channel, HoldKind, Intent
from provisioning.models import Account, AuditRecord, AuditValue, Finding, Hold, Identity, Tombstone
from provisioning.selectors import contradictions
from provisioning.selectors.timeline import meaning
from provisioning.services import people, submit

from ..cast import OPERATOR, House, push, pushed, sign_in, user
from ..reconciliation import test_doubts as doubts
from ..services.test_findings import administrator, weak_match
from .conftest import Enter

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tokenless")]


@pytest.fixture
def browser(acme: House, enter: Enter) -> Client:
    return enter(administrator(acme, "reader"))


def shown(browser: Client, finding: Finding) -> str:
    answer = browser.get(f"/admin/provisioning/finding/{finding.pk}/change/")
    assert answer.status_code == 200
    return unescape(answer.content.decode())


@pytest.mark.parametrize(
    ("case", "kind"),
    doubts.CASES,
    ids=[case.__name__.replace("_", " ") for case, _ in doubts.CASES],
)
def test_a_case_has_its_page(
    acme: House, browser: Client, case: Callable[[House], None], kind: FindingKind
) -> None:
    case(acme)
    reconciliation.ask_tenant(acme.tenant.pk, now())
    page = shown(browser, Finding.objects.get(kind=kind))
    assert meaning(kind) in page
    assert 'name="remedy"' in page
    assert "Gone" not in page
    # What it is about may go before anybody looks.
    Finding.objects.filter(kind=kind).update(account=None, identity=None, candidates=[])
    assert meaning(kind) in shown(browser, Finding.objects.get(kind=kind))


def test_candidates_stand_side_by_side_with_the_score_and_what_agrees(acme: House, browser: Client) -> None:
    doubts.two_of_one(acme)
    reconciliation.ask_tenant(acme.tenant.pk, now())
    page = shown(browser, Finding.objects.get(kind="identity:duplicate"))
    assert "The same HR number" in page
    assert 'class="hub-same"' in page
    assert 'class="hub-differs"' in page
    assert page.count('value="merge:') == 2


def test_where_names_that_look_alike_differ_is_spelled(acme: House, browser: Client) -> None:
    push(acme, user("fiona@acme.example", "e1"))
    push(acme, user("\ufb01ona@acme.example", "e2", emails=[]))
    page = shown(browser, Finding.objects.get(kind="account:look-alike"))
    assert "Looks the same, and is not: U+0066 LATIN SMALL LETTER F, U+0069 LATIN SMALL LETTER I; " in page
    assert "the first column has U+FB01 LATIN SMALL LIGATURE FI." in page


def test_both_values_and_their_sources_are_read_when_the_page_is_shown(acme: House, browser: Client) -> None:
    doubts.an_attribute_conflict(acme)
    reconciliation.ask_tenant(acme.tenant.pk, now())
    finding = Finding.objects.get(kind="identity:attribute-conflict")
    assert finding.evidence == {"attributes": ["user_type"], "sources": ["scim"]}
    page = shown(browser, finding)
    for told in ("Employee", "Contractor", "Account of Main", "Account of Other"):
        assert told in page
    Account.objects.update(resource={})
    assert "Contractor" not in shown(browser, finding)


def one_account_of_two_sources(acme: House) -> Finding:
    """SCIM and a login of one account, each with a number and a name of its own."""
    document = user("ada@acme.example", "e1", **{doubts.ENTERPRISE: {"employeeNumber": "4711"}})
    outcome = push(acme, document, at=now() - timedelta(days=3))
    Account.objects.filter(pk=outcome.account_id).update(
        assertion={"hr_number": "9999", "family_name": "King", "email": "ada@acme.example"},
        last_login_at=now() - timedelta(hours=2),
    )
    reconciliation.ask_tenant(acme.tenant.pk, now())
    return Finding.objects.get(kind="identity:attribute-conflict")


def test_scim_and_a_login_of_one_account_stand_side_by_side_with_what_each_says(
    acme: House, browser: Client
) -> None:
    finding = one_account_of_two_sources(acme)
    pushed_on, signed_in_on = now() - timedelta(days=3), now() - timedelta(hours=2)
    page = shown(browser, finding)
    sides = re.findall(r'<div class="hub-side( hub-chosen)?">(.*?)</ul>', page, re.S)
    told = [(bool(chosen), re.sub(r"<[^>]+>|\s+", " ", text).split()) for chosen, text in sides]
    assert [(chosen, words[0]) for chosen, words in told] == [
        (True, "4711"),
        (False, "9999"),
        (True, "Example"),
        (False, "King"),
    ]
    for chosen, words in told:
        channel, at = ("SCIM", pushed_on) if chosen else ("Login", signed_in_on)
        assert [channel, "Main", f"{at:%Y-%m-%d}", f"{at:%H:%M}"] == words[-4:]
    # And in the columns below: one for each source.
    table = page.partition("Everything that they say")[2]
    assert table.count("Account of Main") == 2
    for value in ("4711", "9999", "King"):
        assert value in table
    assert table.count('class="hub-differs"') == 2


def test_a_value_of_several_sources_is_told_once_with_all_of_them(acme: House, browser: Client) -> None:
    doubts.a_conflict_of_hr_numbers(acme)
    Account.objects.filter(connection__name="Main").update(assertion={"hr_number": "8"})
    reconciliation.ask_tenant(acme.tenant.pk, now())
    finding = Finding.objects.get(kind="identity:attribute-conflict")
    (one,) = contradictions.of_person(finding.identity, finding.evidence["attributes"])
    assert [(side.values, side.shown, [str(s.channel) for s in side.sources]) for side in one.sides] == [
        (("7",), True, ["SCIM"]),
        (("8",), False, ["Login", "SCIM"]),
    ]
    for account in Account.objects.all():
        account.resource |= {doubts.ENTERPRISE: {"employeeNumber": "8"}}
        account.save()
    assert "they agree by now" in shown(browser, finding)


@pytest.mark.parametrize(
    ("case", "sides"),
    [
        (doubts.a_conflict_of_roles, [(("Global Administrator",), ["Main"]), ((), ["Other"])]),
        (doubts.an_attribute_conflict, [(("Employee",), ["Main"]), (("Contractor",), ["Other"])]),
        (
            doubts.a_conflict_of_e_mails,
            [(("ada@acme.example",), ["Main"]), (("ada@elsewhere.example",), ["Other"])],
        ),
    ],
    ids=["a privileged role and none", "two user types", "two e-mails"],
)
def test_each_attribute_says_who_says_what(
    acme: House, browser: Client, case: Callable[[House], None], sides: list[Any]
) -> None:
    case(acme)
    reconciliation.ask_tenant(acme.tenant.pk, now())
    finding = Finding.objects.get(kind="identity:attribute-conflict")
    (one,) = contradictions.of_person(finding.identity, finding.evidence["attributes"])
    assert [(side.values, [s.connection for s in side.sources]) for side in one.sides] == sides
    page = shown(browser, finding)
    assert ("the person shows none of them" in page) is (not one.of_person)


def test_two_accounts_that_one_login_names_stand_side_by_side(acme: House, browser: Client) -> None:
    push(acme, user("ada@acme.example", "e1"))
    push(acme, user("bob@acme.example", "e2"))
    sign_in(
        acme,
        "p1",
        external_id="e1",
        user_name="bob@acme.example",
        login_names=("bob@acme.example",),
        email="bob@acme.example",
    )
    page = shown(browser, Finding.objects.get(kind="login:disputed"))
    assert page.count("Account of Main") == 2


def test_the_question_of_a_deleted_account_offers_to_hold_its_candidates(
    acme: House, browser: Client
) -> None:
    finding = weak_match(acme)
    other = House(acme.tenant, finding.connection, "")
    submit(pushed(other, Intent.DELETE, account_id=finding.account_id))

    asked = Finding.objects.get(kind="account:disabled-unlinked")
    page = shown(browser, asked)
    assert f'value="hold:{asked.candidates[0]}"' in page
    assert "An administrator's hold is placed on" in page


def test_a_decided_finding_offers_nothing(acme: House, browser: Client) -> None:
    finding = weak_match(acme)
    Finding.objects.filter(pk=finding.pk).update(
        status="rejected", decided_at=now(), decision_reason="a namesake"
    )
    page = shown(browser, finding)
    assert 'name="remedy"' not in page
    assert "a namesake" in page


@pytest.mark.parametrize(
    ("days", "name"), [(0, "today"), (3, "this week"), (20, "this month"), (200, "older")]
)
def test_a_finding_says_how_long_it_has_waited_and_is_found_by_it(
    acme: House, browser: Client, days: int, name: str
) -> None:
    finding = weak_match(acme)
    Finding.objects.filter(pk=finding.pk).update(opened_at=now() - timedelta(days=days, hours=1))
    for age in ("today", "this week", "this month", "older"):
        answer = browser.get("/admin/provisioning/finding/", {"age": age}).content.decode()
        assert (str(finding.pk) in answer) is (age == name)
    said = {0: "1 hour", 3: "3 days", 20: "2 weeks", 200: "6 months"}[days]
    listed = unescape(browser.get("/admin/provisioning/finding/").content.decode()).replace("\xa0", " ")
    assert said in listed


class TestMany:
    LIST = "/admin/provisioning/finding/"

    def many(self, browser: Client, act: str, rows: list[Finding], **more: str) -> str:
        data = {"action": act, "_selected_action": [str(row.pk) for row in rows], **more}
        answer = browser.post(self.LIST, data, follow=True)
        assert answer.status_code == 200
        return unescape(answer.content.decode())

    @pytest.fixture
    def rows(self, acme: House) -> list[Finding]:
        doubts.a_privileged_role(acme)
        doubts.an_entitlement_without_group(acme)
        reconciliation.ask_tenant(acme.tenant.pk, now())
        return [*Finding.objects.order_by("kind"), weak_match(House(acme.tenant, acme.connection, ""))]

    @pytest.mark.parametrize(("act", "status"), [("settle_many", "approved"), ("dismiss_many", "rejected")])
    def test_many_are_decided_with_one_reason(
        self, browser: Client, rows: list[Finding], act: str, status: str
    ) -> None:
        assert "Decide 3 findings at once" in self.many(browser, act, rows)
        assert Finding.objects.filter(status="open").count() == 3
        self.many(browser, act, rows, chosen="yes", reason="")
        assert Finding.objects.filter(status="open").count() == 3
        told = self.many(browser, act, rows, chosen="yes", reason="seen")
        assert "2 findings are decided. 1 ask for more" in told
        assert Finding.objects.get(status="open").kind == "account:weak-match"
        assert set(Finding.objects.filter(status=status).values_list("decision_reason", flat=True)) == {
            "seen"
        }

    def test_an_administrator_takes_many(self, browser: Client, rows: list[Finding]) -> None:
        assert "See to 3 findings at once" in self.many(browser, "take_many", rows)
        self.many(browser, "take_many", rows, chosen="yes", reason="")
        assert not Finding.objects.filter(owner__isnull=False).exists()
        told = self.many(browser, "take_many", rows, chosen="yes", reason="my week")
        assert "You see to 3 findings." in told
        assert set(Finding.objects.values_list("owner__login_name", flat=True)) == {"reader-acme"}

    def test_nobody_decides_those_of_another_tenant(self, browser: Client, globex: House) -> None:
        doubts.a_privileged_role(globex)
        reconciliation.ask_tenant(globex.tenant.pk, now())
        theirs = list(Finding.objects.filter(tenant=globex.tenant))
        for act in ("settle_many", "dismiss_many", "take_many"):
            self.many(browser, act, theirs, chosen="yes", reason="mine now")
        assert {(row.status, row.owner_id) for row in Finding.objects.all()} == {("open", None)}


def carry_out(browser: Client, finding: Finding, remedy: str, reason: str = "Asked her") -> str:
    address = f"/admin/provisioning/finding/{finding.pk}/decide/"
    answer = browser.post(address, {"remedy": remedy, "reason": reason}, follow=True)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


class TestBindAnew:
    def changed(self, acme: House) -> tuple[Finding, Account]:
        row = Account.objects.get(pk=push(acme, user("ada@acme.example", "e1")).account_id)
        sign_in(acme, "p1", external_id="e1")
        assert sign_in(acme, "p2", external_id="e1").reason == "login:name-id-changed"
        return Finding.objects.get(kind="login:name-id-changed"), row

    def test_the_next_login_binds_its_own(self, acme: House, browser: Client) -> None:
        finding, row = self.changed(acme)
        epoch = row.identity.session_epoch
        page = shown(browser, finding)
        for told in ("Bind anew", "is bound to no NameID, and its next login binds one", "Every session of"):
            assert told in page
        carry_out(browser, finding, "unbind", reason="")
        row.refresh_from_db()
        assert row.subject_value == "p1"
        carry_out(browser, finding, "unbind")
        row.refresh_from_db()
        finding.refresh_from_db()
        assert (row.subject_value, row.subject_issuer, finding.status) == ("", "", "approved")
        assert Identity.objects.get(pk=row.identity_id).session_epoch == epoch + 1
        record = AuditRecord.objects.get(reason="account:unbound")
        assert (record.account_id, record.actor_kind) == (row.pk, "identity")
        assert AuditValue.objects.get(record_id=record.pk).values["reason"] == "Asked her"
        assert "p1" not in str(record.changes)
        assert sign_in(acme, "p2", external_id="e1").reason == "login:account-bound"

    def test_it_lifts_no_hold(self, acme: House, browser: Client) -> None:
        finding, row = self.changed(acme)
        people.place_hold(identity=row.identity, kind=HoldKind.ADMIN, reason="lost laptop", actor=OPERATOR)
        carry_out(browser, finding, "unbind")
        assert Hold.objects.get().kind == HoldKind.ADMIN
        assert sign_in(acme, "p2", external_id="e1").reason == "login:identity-held"

    def test_it_is_not_offered_where_nothing_is_bound_any_more(self, acme: House, browser: Client) -> None:
        finding, row = self.changed(acme)
        Account.objects.filter(pk=row.pk).update(subject_value="", subject_issuer="", subject_format="")
        assert "Bind anew" not in shown(browser, finding)
        assert "not there any more" in carry_out(browser, finding, "unbind")

    def test_a_name_id_goes_to_whoever_has_a_key_and_the_former_account_to_nobody(
        self, acme: House, browser: Client
    ) -> None:
        ada = push(acme, user("ada@acme.example", "e1"))
        sign_in(acme, "p1", external_id="e1")
        sign_in(acme, "p1", external_id="e2", user_name="bob@acme.example")
        finding = Finding.objects.get(kind="login:name-id-recycled")
        # Nobody knows yet whose it is: the former account would be open to a name.
        assert 'value="unbind"' not in shown(browser, finding)
        bob = push(acme, user("bob@acme.example", "e2"))
        carry_out(browser, finding, "settled")
        sign_in(acme, "p1", external_id="e2", user_name="bob@acme.example")
        again = Finding.objects.get(kind="login:name-id-recycled", status="open")
        assert "The NameID is bob@acme.example's now" in shown(browser, again)
        carry_out(browser, again, "unbind")
        assert Account.objects.get(pk=ada.account_id).subject_value == ""
        came = sign_in(acme, "p1", external_id="e2", user_name="bob@acme.example")
        assert (came.reason, came.account_id) == ("login:account-bound", bob.account_id)


class TestFreeTheName:
    @pytest.fixture
    def finding(self, acme: House) -> Finding:
        push(acme, user("ada@acme.example", "e1", active=False))
        assert push(acme, user("ada@acme.example", "e2")).reason == "account:user-name-taken"
        return Finding.objects.get(kind="account:name-held-by-inactive")

    def test_the_next_push_creates(self, acme: House, browser: Client, finding: Finding) -> None:
        page = shown(browser, finding)
        for told in ("Free the name", "The account ends with its groups, and its name and key are free"):
            assert told in page
        carry_out(browser, finding, "free", reason="")
        assert not Tombstone.objects.exists()
        carry_out(browser, finding, "free")
        assert Tombstone.objects.get().pk == finding.account_id
        finding.refresh_from_db()
        assert finding.status == "approved"
        record = AuditRecord.objects.get(reason="account:ended")
        assert AuditValue.objects.get(record_id=record.pk).values["reason"] == "Asked her"
        former = Identity.objects.with_state().get(pk=finding.identity_id)
        assert not former.enabled
        came = push(acme, user("ada@acme.example", "e2"))
        assert (came.reason, came.identity_id != former.pk) == ("account:created", True)

    def test_whoever_came_back_keeps_the_name(self, acme: House, browser: Client, finding: Finding) -> None:
        document = user("ada@acme.example", "e1")
        submit(pushed(acme, Intent.ENABLE, document, account_id=finding.account_id))
        assert "Free the name" not in shown(browser, finding)
        assert "not there any more" in carry_out(browser, finding, "free")
        assert not Tombstone.objects.exists()


class TestStatesThatDiffer:
    def test_whom_one_source_keeps_out_is_held_and_let_in_by_no_button(
        self, acme: House, browser: Client
    ) -> None:
        doubts.a_state_conflict(acme)
        reconciliation.ask_tenant(acme.tenant.pk, now())
        finding = Finding.objects.get(kind="identity:state-conflict")
        page = shown(browser, finding)
        assert "An administrator's hold is placed on" in page
        assert 'value="release"' not in page
        carry_out(browser, finding, f"hold:{finding.identity_id}", reason="")
        assert set(Hold.objects.values_list("kind", flat=True)) == {"scim"}
        carry_out(browser, finding, f"hold:{finding.identity_id}")
        assert set(Hold.objects.values_list("kind", flat=True)) == {"scim", "admin"}
        record = AuditRecord.objects.get(reason="identity:held")
        assert AuditValue.objects.get(record_id=record.pk).values["reason"] == "Asked her"

    @pytest.fixture
    def listed(self, acme: House) -> Finding:
        """A roster lists as active whom SCIM has closed."""
        outcome = push(acme, user("eve@acme.example", "k3", active=False))
        said = pushed(acme, Intent.ENABLE, user("eve@acme.example", "k3"), account_id=outcome.account_id)
        submit(replace(said, channel=Channel.ROSTER, as_of=now() + timedelta(minutes=1)))
        return Finding.objects.get(kind="account:state-conflict")

    def test_the_hold_of_the_account_that_the_roster_contradicts_is_lifted(
        self, browser: Client, listed: Finding
    ) -> None:
        assert "The directory's hold is lifted from" in shown(browser, listed)
        carry_out(browser, listed, "release")
        assert not Hold.objects.exists()
        listed.refresh_from_db()
        assert listed.status == "approved"
        record = AuditRecord.objects.get(reason="identity:released")
        assert AuditValue.objects.get(record_id=record.pk).values["reason"] == "Asked her"

    def test_nobody_is_let_in_whom_something_else_holds(self, browser: Client, listed: Finding) -> None:
        people.place_hold(
            identity=listed.identity, kind=HoldKind.SECURITY, reason="lost laptop", actor=OPERATOR
        )
        assert 'value="release"' not in shown(browser, listed)
        assert "not there any more" in carry_out(browser, listed, "release")
        assert Hold.objects.count() == 2


def test_an_account_whose_values_contradict_is_taken_off(acme: House, browser: Client) -> None:
    doubts.an_attribute_conflict(acme)
    reconciliation.ask_tenant(acme.tenant.pk, now())
    finding = Finding.objects.get(kind="identity:attribute-conflict")
    wrong = Account.objects.get(connection__name="Other")
    page = shown(browser, finding)
    assert f"{wrong} of Other is somebody else" in page
    assert "No rule ties the account to" in page
    carry_out(browser, finding, f"unlink:{wrong.pk}", reason="")
    assert Account.objects.get(pk=wrong.pk).identity_id == finding.identity_id
    carry_out(browser, finding, f"unlink:{wrong.pk}")
    assert Account.objects.get(pk=wrong.pk).identity_id is None
    assert Account.objects.filter(identity=finding.identity_id).count() == 1
    finding.refresh_from_db()
    assert finding.status == "approved"
    record = AuditRecord.objects.get(reason="account:unlinked")
    assert AuditValue.objects.get(record_id=record.pk).values["reason"] == "Asked her"

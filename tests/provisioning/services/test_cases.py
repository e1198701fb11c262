"""What tells two cases of one kind apart where a push or a login asks: another one is asked about, the same is not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from identity_hub.core.clock import now
from provisioning.decision.types import Channel, Intent
from provisioning.models import Account, AuditRecord, Finding, Identity
from provisioning.services import findings, submit, submit_many

from ..cast import OPERATOR, House, push, pushed, sign_in, user
from .test_findings import administrator

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tokenless")]

Story = Callable[[House], Any]


def put(where: House, document: dict[str, Any], **more: Any) -> Any:
    account = Account.objects.get(connection=where.connection, user_name="ada@acme.example")
    return submit(pushed(where, Intent.UPDATE, document, account_id=account.pk, **more))


def ada_signed_in(acme: House) -> None:
    push(acme, user("ada@acme.example", "e1"))
    sign_in(acme, "p1", external_id="e1")


def another_name_id(acme: House) -> None:
    assert sign_in(acme, "p2", external_id="e1").reason == "login:name-id-changed"


def a_third_name_id(acme: House) -> None:
    sign_in(acme, "p3", external_id="e1")


def ada_and_bob_signed_in(acme: House) -> None:
    ada_signed_in(acme)
    push(acme, user("bob@acme.example", "e2"))


def her_name_id_with_his_key(acme: House) -> None:
    assert sign_in(acme, "p1", external_id="e2").reason == "login:name-id-recycled"


def her_name_id_with_nobody_s_key(acme: House) -> None:
    assert sign_in(acme, "p1", external_id="e9").reason == "login:name-id-recycled"


def mailing(address: str) -> Story:
    def story(acme: House) -> None:
        put(acme, user("ada@acme.example", "e1", emails=[{"value": address, "primary": True}]))

    return story


def keyed(key: str) -> Story:
    return lambda acme: put(acme, user("ada@acme.example", key))


def two_who_only_signed_in(acme: House) -> None:
    for name in ("ada", "bob"):
        sign_in(acme, f"p-{name}", user_name=f"{name}.l@acme.example", external_id=f"k-{name}")
    push(acme, user("ada@acme.example", "e1", emails=[{"value": "a@acme.example"}]))


def ada_only_signed_in(acme: House) -> None:
    sign_in(acme, "p1", user_name="ada@acme.example", external_id="e1", email="ada@acme.example")


def posted(key: str) -> Story:
    return lambda acme: push(acme, user("ada@acme.example", key))


def listed_with(key: str) -> Story:
    def story(acme: House) -> None:
        said = pushed(acme, Intent.CREATE, user("ada@acme.example", key))
        submit(replace(said, channel=Channel.ROSTER, as_of=now(), at=now() + timedelta(minutes=1)))

    return story


def an_idp_knows_the_emergency_administrator(acme: House) -> None:
    push(acme, user("ada@acme.example", "e1"))
    Identity.objects.filter(accounts__external_id="e1").update(kind="service")


def pushed_again(acme: House) -> None:
    put(acme, user("ada@acme.example", "e1", title="Root"))


def once_more(acme: House) -> None:
    put(acme, user("ada@acme.example", "e1", title="Emperor"))


def signs_in(acme: House) -> None:
    assert sign_in(acme, "p1", external_id="e1").reason == "login:protected"


CASES: dict[str, tuple[str, Story, Story, Story]] = {
    "a third NameID after another one": (
        "login:name-id-changed",
        ada_signed_in,
        another_name_id,
        a_third_name_id,
    ),
    "a NameID that comes with the key of somebody else": (
        "login:name-id-recycled",
        ada_and_bob_signed_in,
        her_name_id_with_his_key,
        her_name_id_with_nobody_s_key,
    ),
    "an e-mail that moves to a third domain": (
        "account:email-domain-changed",
        posted("e1"),
        mailing("ada@elsewhere.example"),
        mailing("ada@third.example"),
    ),
    "a bound account that gets a third key": (
        "account:external-id-changed",
        ada_signed_in,
        keyed("e7"),
        keyed("e8"),
    ),
    "an account that gets the key of another login": (
        "account:duplicate",
        two_who_only_signed_in,
        keyed("k-ada"),
        keyed("k-bob"),
    ),
    "a name that is asked for with a third key": (
        "account:key-contradicts",
        ada_only_signed_in,
        posted("e9"),
        posted("e10"),
    ),
    "a name that is asked for by a push, where a roster had another key for it": (
        "account:key-contradicts",
        ada_only_signed_in,
        listed_with("e9"),
        posted("e10"),
    ),
    "a login as a service identity of which a push spoke": (
        "account:protected-match",
        an_idp_knows_the_emergency_administrator,
        pushed_again,
        signs_in,
    ),
}

each = pytest.mark.parametrize(("kind", "before", "first", "other"), list(CASES.values()), ids=list(CASES))


def dismissed(kind: str) -> Finding:
    finding = Finding.objects.get(kind=kind, status="open")
    findings.decide(finding=finding, approve=False, reason="meant", actor=OPERATOR)
    return finding


@each
def test_another_case_is_asked_about_whatever_was_said_of_the_first_one(
    acme: House, kind: str, before: Story, first: Story, other: Story
) -> None:
    before(acme)
    first(acme)
    dismissed(kind)
    other(acme)
    assert Finding.objects.filter(kind=kind, status="open").count() == 1


REPEATED = {
    "a third NameID after another one": another_name_id,
    "a NameID that comes with the key of somebody else": her_name_id_with_his_key,
    "a name that is asked for with a third key": posted("e9"),
    "a login as a service identity of which a push spoke": once_more,
}


@pytest.mark.parametrize("name", list(REPEATED))
def test_the_same_case_stays_answered(acme: House, name: str) -> None:
    kind, before, first, other = CASES[name]
    before(acme)
    first(acme)
    dismissed(kind)
    REPEATED[name](acme)
    assert not Finding.objects.filter(kind=kind, status="open").exists()
    # And so it does when another case was answered since.
    other(acme)
    dismissed(kind)
    REPEATED[name](acme)
    assert not Finding.objects.filter(kind=kind, status="open").exists()


def test_a_domain_that_was_answered_may_come_back(acme: House) -> None:
    posted("e1")(acme)
    for domain in ("elsewhere.example", "acme.example"):
        mailing(f"ada@{domain}")(acme)
        dismissed("account:email-domain-changed")
    for domain in ("elsewhere.example", "acme.example"):
        mailing(f"ada@{domain}")(acme)
    assert not Finding.objects.filter(status="open").exists()


def test_a_roster_that_moves_an_e_mail_to_a_third_domain_is_asked_about(acme: House) -> None:
    posted("e1")(acme)
    for number, domain in enumerate(("elsewhere.example", "third.example"), 1):
        document = user("ada@acme.example", "e1", emails=[{"value": f"ada@{domain}", "primary": True}])
        account = Account.objects.get()
        said = pushed(acme, Intent.UPDATE, document, account_id=account.pk)
        at = now() + timedelta(minutes=number)
        submit(replace(said, channel=Channel.ROSTER, at=at, as_of=at, says=frozenset({"email"})))
        dismissed("account:email-domain-changed")
    assert Finding.objects.filter(kind="account:email-domain-changed").count() == 2


class TestAnOpenOne:
    def test_follows_what_came_last_and_keeps_its_owner(self, acme: House) -> None:
        ada_signed_in(acme)
        another_name_id(acme)
        opened = Finding.objects.get()
        assert opened.seen_at is None
        owner = administrator(acme)
        findings.assign(finding=opened, owner=owner, actor=OPERATOR, reason="my week")
        at = now() + timedelta(hours=1)
        sign_in(acme, "p3", external_id="e1", at=at)
        finding = Finding.objects.get()
        assert (finding.pk, finding.owner_id, finding.opened_at) == (opened.pk, owner.pk, opened.opened_at)
        assert finding.seen_at == at
        assert len(finding.parts) == 2
        findings.decide(finding=finding, approve=False, reason="meant", actor=OPERATOR)
        another_name_id(acme)
        a_third_name_id(acme)
        assert Finding.objects.get().status == "rejected"

    def test_says_today_s_evidence(self, acme: House) -> None:
        an_idp_knows_the_emergency_administrator(acme)
        pushed_again(acme)
        Finding.objects.update(evidence={"of": "yesterday"})
        once_more(acme)
        finding = Finding.objects.get()
        assert finding.evidence != {"of": "yesterday"}
        assert finding.seen_at

    def test_does_not_grow_with_every_key_that_an_idp_makes_up(
        self, acme: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ada_signed_in(acme)
        another_name_id(acme)
        Finding.objects.update(parts=[f"{number:032x}" for number in range(100)])
        a_third_name_id(acme)
        assert len(Finding.objects.get().parts) == 100

    def test_takes_no_statement_more_than_a_new_one(self, acme: House) -> None:
        ada_signed_in(acme)
        counts: list[int] = []
        for _ in range(3):
            with CaptureQueriesContext(database) as queries:
                another_name_id(acme)
            counts.append(len(queries))
        assert counts[1:] == [counts[1]] * 2
        assert counts[1] <= counts[0]

    def test_of_several_in_one_batch_there_is_one(self, acme: House) -> None:
        ada_only_signed_in(acme)
        submit_many(
            [pushed(acme, Intent.CREATE, user("ada@acme.example", f"k{number}")) for number in range(20)]
        )
        assert Finding.objects.filter(kind="account:key-contradicts").count() == 1


def test_no_value_stands_in_a_finding_or_in_the_audit(acme: House) -> None:
    ada_signed_in(acme)
    another_name_id(acme)
    mailing("ada@elsewhere.example")(acme)
    told = [*Finding.objects.values_list("evidence", "parts"), *AuditRecord.objects.values_list("changes")]
    assert "p2" not in str(told)
    assert "elsewhere.example" not in str(told)

"""A name that only looks like somebody's is noticed when it arrives, by whatever way, and is asked about once."""

from collections.abc import Callable
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from identity_hub.core.clock import now
from provisioning.decision.keys import other_skeleton
from provisioning.decision.types import Intent, Outcome
from provisioning.models import Account, Connection, Distinction, Finding, Identity
from provisioning.reconciliation import ask_tenant, execute, simulate
from provisioning.services import findings, submit, submit_many

from ..cast import OPERATOR, House, asserted, extend, push, pushed, user
from ..reconciliation.listings import line, roster

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tokenless")]

EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
PLAIN, WIDE = "ada@acme.example", "\uff41da@acme.example"
HIDDEN = "a\u200bda@acme.example"
SHARP, SPELLED = "stra\u00dfe@acme.example", "strasse@acme.example"


def mail(name: str) -> list[dict[str, str]]:
    """E-mails that look like nobody's."""
    return [{"value": f"{len(name.encode())}.{name[-9:]}"}]


def pushes(where: House, name: str) -> None:
    push(where, user(name, "k2", emails=mail(name)))


def signs_in(where: House, name: str) -> None:
    submit(asserted(where, name, format=EMAIL_FORMAT, email="other@acme.example"))


def is_listed(where: House, name: str) -> None:
    Connection.objects.filter(pk=where.connection.pk).update(run_few=100)
    where.connection.refresh_from_db()
    roster(where, line(name, "k2", email="other@acme.example"))
    execute(simulate(where.connection, OPERATOR, reason="As agreed"))


def comes_in_a_batch(where: House, name: str) -> None:
    people = [user(f"p{n}@acme.example", f"p{n}") for n in range(20)]
    people.append(user(name, "k2", emails=mail(name)))
    submit_many([pushed(where, Intent.CREATE, document) for document in people])


@pytest.mark.parametrize(
    ("hers", "his"),
    [
        *((PLAIN, WIDE), (WIDE, PLAIN), (SHARP, SPELLED), (SPELLED, SHARP)),
        *((PLAIN, HIDDEN), (HIDDEN, PLAIN), (HIDDEN, WIDE)),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("comes", [pushes, signs_in, is_listed, comes_in_a_batch])
def test_a_newcomer_waits_and_is_asked_about_once(
    acme: House, hers: str, his: str, comes: Callable[[House, str], None]
) -> None:
    known = push(acme, user(hers, "k1"))
    comes(extend(acme.tenant, "Other"), his)
    account = Account.objects.get(user_name=his)
    assert account.identity_id is None
    finding = Finding.objects.get()
    assert (finding.kind, finding.account_id) == ("account:look-alike", account.pk)
    assert finding.candidates == [str(known.identity_id)]
    ask_tenant(acme.tenant.pk, now())
    assert Finding.objects.get().status == "open"
    findings.decide(finding=finding, approve=False, reason="two people", actor=OPERATOR)
    ask_tenant(acme.tenant.pk, now())
    assert list(Finding.objects.values_list("status", flat=True)) == ["rejected"]


def test_two_of_one_batch_are_noticed(acme: House) -> None:
    submit_many([pushed(acme, Intent.CREATE, user(name, name, emails=mail(name))) for name in (WIDE, PLAIN)])
    assert Finding.objects.get().kind == "account:look-alike"
    assert Identity.objects.count() == 1


def test_nobody_waits_for_somebody_of_another_organisation(acme: House, globex: House) -> None:
    push(globex, user(PLAIN, "k1"))
    push(acme, user(WIDE, "k1"))
    push(globex, user(SHARP, "k2"))
    push(acme, user(SPELLED, "k2"))
    assert not Finding.objects.exists()
    assert not Account.objects.filter(identity=None).exists()


class TestRenames:
    @pytest.fixture
    def bob(self, acme: House) -> Outcome:
        push(acme, user(PLAIN, "k1"))
        return push(acme, user("bob@acme.example", "k2", name={"givenName": "Bob", "familyName": "Lee"}))

    def rename(self, where: House, who: Outcome, name: str) -> None:
        document = user(name, "k2", emails=mail("bob@acme.example"), name={"givenName": "Bob"})
        submit(pushed(where, Intent.UPDATE, document, account_id=who.account_id))

    def test_the_night_asks_the_same_question(self, acme: House, bob: Outcome) -> None:
        self.rename(acme, bob, WIDE)
        finding = Finding.objects.get()
        assert (finding.kind, finding.severity) == ("identity:duplicate", "medium")
        ask_tenant(acme.tenant.pk, now())
        again = Finding.objects.get()
        assert (again.pk, again.severity, again.evidence) == (finding.pk, "medium", finding.evidence)
        assert again.seen_at > finding.seen_at
        self.rename(acme, bob, "bob@acme.example")
        ask_tenant(acme.tenant.pk, now())
        assert Finding.objects.get().status == "obsolete"

    def test_a_name_that_goes_back_before_the_night_is_asked_about_no_more(
        self, acme: House, bob: Outcome
    ) -> None:
        self.rename(acme, bob, WIDE)
        self.rename(acme, bob, "bob@acme.example")
        ask_tenant(acme.tenant.pk, now())
        assert Finding.objects.get().status == "obsolete"

    def test_who_was_told_apart_is_not_asked_about(self, acme: House, bob: Outcome) -> None:
        self.rename(acme, bob, WIDE)
        findings.decide(finding=Finding.objects.get(), approve=False, reason="two people", actor=OPERATOR)
        assert Distinction.objects.count() == 1
        self.rename(acme, bob, "bob@acme.example")
        self.rename(acme, bob, WIDE)
        assert list(Finding.objects.values_list("status", flat=True)) == ["rejected"]

    def test_the_night_asks_about_those_of_one_directory_that_came_before(
        self, acme: House, bob: Outcome
    ) -> None:
        wide = {"user_name": WIDE, "user_name_key": WIDE, "user_name_skeleton": PLAIN}
        Account.objects.filter(pk=bob.account_id).update(**wide)
        ask_tenant(acme.tenant.pk, now())
        finding = Finding.objects.get()
        assert (finding.kind, finding.severity, finding.evidence["score"]) == (
            "identity:duplicate",
            "medium",
            0,
        )

    def test_one_in_a_roster_is_asked_about(self, acme: House, bob: Outcome) -> None:
        Connection.objects.filter(pk=acme.connection.pk).update(run_few=100)
        acme.connection.refresh_from_db()
        roster(acme, line(PLAIN, "k1"), line(WIDE, "k2", given_name="Bob", email="bob@acme.example"))
        execute(simulate(acme.connection, OPERATOR, reason="As agreed"))
        assert Account.objects.get(pk=bob.account_id).user_name == WIDE
        assert Finding.objects.get(kind="identity:duplicate").severity == "medium"

    def test_the_skeleton_follows_the_name(self, acme: House, bob: Outcome) -> None:
        for name in (WIDE, "bob@acme.example", SHARP):
            self.rename(acme, bob, name)
            stored = Account.objects.get(pk=bob.account_id).user_name_skeleton
            assert stored == other_skeleton(name)


@pytest.mark.parametrize("migration", ["0044_look_alikes_so_far", "0046_names_with_what_nobody_sees"])
def test_names_that_came_before_the_column_are_given_their_skeleton(acme: House, migration: str) -> None:
    for key, name in enumerate((WIDE, SHARP, HIDDEN, "j\u00f3zef@acme.example", "bob@acme.example")):
        push(acme, user(name, str(key)))
    kept = set(Account.objects.values_list("user_name", "user_name_skeleton"))
    Account.objects.update(user_name_skeleton="")
    import_module(f"provisioning.migrations.{migration}").fill(apps, None)
    assert set(Account.objects.values_list("user_name", "user_name_skeleton")) == kept
    assert {skeleton for _, skeleton in kept} == {PLAIN, SPELLED, ""}


def test_an_ordinary_push_and_login_ask_nothing_more(acme: House) -> None:
    """The look-alikes come with the keys, in the statement that looks for them."""
    push(acme, user("zoe@acme.example", "k0"))
    with CaptureQueriesContext(connection) as captured:
        push(acme, user(PLAIN, "k1"))
    keys = [query["sql"] for query in captured if "user_name_skeleton" in query["sql"]]
    assert len([one for one in keys if one.lstrip().startswith("SELECT")]) == 1

"""A run with a roster: finds the differences, decides them, does them once, and finds none afterwards."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.types import Actor, HoldKind, Intent
from provisioning.models import (
    Account,
    AuditRecord,
    Connection,
    Finding,
    Hold,
    Identity,
    ReconciliationRun,
    Roster,
)
from provisioning.reconciliation import runs
from provisioning.selectors import roster_differences
from provisioning.selectors.invariants import violations
from provisioning.selectors.roster_differences import Kind
from provisioning.services import people, submit, submit_many, undo
from provisioning.services.invalid import Invalid

from ..cast import House, extend, push, pushed, sign_in, user
from .listings import FIELDS, line, roster

OPERATOR = Actor(kind="command", id="tests")
Status = ReconciliationRun.Status
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db

ADA, BOB, FLO = "ada@acme.example", "bob@acme.example", "flo@acme.example"


def ago(days: float) -> datetime:
    return now() - days * DAY


def arrive(where: House, name: str, key: str | None, days: float = 30, **more: object) -> Account:
    return Account.objects.get(pk=push(where, user(name, key, **more), at=ago(days)).account_id)


def say(where: House, account: Account, intent: Intent, days: float, **more: object) -> None:
    document = account.resource | more
    submit(pushed(where, intent, document, account_id=account.pk, at=ago(days)))


def reconcile(where: House) -> ReconciliationRun:
    Connection.objects.filter(pk=where.connection.pk).update(run_few=100)
    where.connection.refresh_from_db()
    return reconciliation.execute(reconciliation.simulate(where.connection, OPERATOR, reason="As agreed"))


def found(where: House, listing: Roster) -> dict[str, list[str]]:
    """userNames by kind of difference."""
    assert not roster_differences.find(where.connection, listing)
    told = {}
    for kind in Kind:
        if kind in (Kind.GONE, Kind.GONE_ONCE):
            names = [Account.objects.get(pk=pk).user_name for pk in roster_differences.gone(kind)]
        else:
            names = [row.user_name for row in roster_differences.differences(kind)]
        if names:
            told[kind.value] = sorted(names)
    return told


def items(run: ReconciliationRun, *leaving_out: str) -> list[tuple[str, str, str]]:
    return [
        (item.check_name, item.status, item.reason)
        for item in run.items.order_by("id")
        if item.check_name not in ("never-came", *leaving_out)
    ]


@dataclass(frozen=True, kw_only=True)
class Difference:
    id: str
    before: Callable[[House], object]
    lines: tuple[dict, ...]
    found: dict[str, list[str]]
    earlier: tuple[dict, ...] | None = None
    """The lines of a roster of two days ago; None: there is none. This one is of yesterday."""
    fields: tuple[str, ...] = tuple(FIELDS)
    fields_before: tuple[str, ...] = ()
    """Of the earlier roster, where it says something else."""


DIFFERENCES = [
    Difference(
        id="who is as she is listed is no difference",
        before=lambda w: arrive(w, ADA, "k1"),
        lines=(line(ADA, "k1"),),
        found={},
    ),
    Difference(
        id="a row that nobody answers is new",
        before=lambda w: arrive(w, ADA, "k1"),
        lines=(line(ADA, "k1"), line(BOB, "k2")),
        found={"new": [BOB]},
    ),
    Difference(
        id="another connection's people are nobody's here",
        before=lambda w: arrive(extend(w.tenant, "Other"), ADA, "k1"),
        lines=(line(ADA, "k1"),),
        found={"new": [ADA]},
    ),
    Difference(
        id="whom the key finds under another name is renamed, not new and gone",
        before=lambda w: arrive(w, "ada.l@acme.example", "k1"),
        lines=(line(ADA, "k1"),),
        earlier=(),
        found={"changed": [ADA]},
    ),
    Difference(
        id="where nobody has the key, the name answers, whatever its case",
        before=lambda w: arrive(w, "Ada@Acme.example", None),
        lines=(line(ADA, "k1"),),
        earlier=(),
        found={"changed": [ADA]},
    ),
    Difference(
        id="a roster without keys finds by names",
        before=lambda w: (arrive(w, ADA, "k1"), arrive(w, BOB, "k2")),
        lines=(line(ADA), line("eve@acme.example")),
        fields=tuple(name for name in FIELDS if name != "external_id"),
        earlier=(),
        found={"new": ["eve@acme.example"], "gone": [BOB]},
    ),
    Difference(
        id="a roster without names finds by keys, and makes nobody",
        before=lambda w: (arrive(w, ADA, "k1"), arrive(w, BOB, "k2")),
        lines=(line("", "k1", active=False), line("", "k3"), line("", "k4")),
        fields=("external_id", "active"),
        earlier=(),
        found={"inactive": [""], "nameless": ["", ""], "gone": [BOB]},
    ),
    Difference(
        id="and does not miss whom it cannot know, for want of a key",
        before=lambda w: arrive(w, ADA, None),
        lines=(line("", "k2"),),
        fields=("external_id", "active"),
        earlier=(),
        found={"nameless": [""]},
    ),
    Difference(
        id="one that lists her by her name only speaks for her before one that lacks her key",
        before=lambda w: arrive(w, ADA, "k1"),
        lines=(line("", "k2"),),
        fields=("external_id", "active"),
        earlier=(line(ADA),),
        found={"nameless": [""], "gone-once": [ADA]},
    ),
    Difference(
        id="one that could not know her does not count as one that lacks her",
        before=lambda w: arrive(w, ADA, None),
        lines=(line(BOB, "k2"),),
        earlier=(line("", "k2"),),
        fields_before=("external_id", "active"),
        found={"new": [BOB], "gone-once": [ADA]},
    ),
    Difference(
        id="what the roster does not say is not compared",
        before=lambda w: arrive(w, ADA, "k1"),
        lines=(line(ADA, "k1", given_name="Augusta", active=False),),
        fields=("external_id", "user_name", "email"),
        found={},
    ),
    Difference(
        id="another given name is a change",
        before=lambda w: arrive(w, ADA, "k1"),
        lines=(line(ADA, "k1", given_name="Augusta"),),
        found={"changed": [ADA]},
    ),
    Difference(
        id="an account that SCIM changed after the roster's moment is newer",
        before=lambda w: arrive(w, ADA, "k1", days=0.5),
        lines=(line(ADA, "k1", given_name="Augusta", active=False),),
        found={},
    ),
    Difference(
        id="inactive there, active here",
        before=lambda w: arrive(w, ADA, "k1"),
        lines=(line(ADA, "k1", active=False),),
        found={"inactive": [ADA]},
    ),
    Difference(
        id="active there, inactive here",
        before=lambda w: arrive(w, ADA, "k1", active=False),
        lines=(line(ADA, "k1"),),
        found={"active": [ADA]},
    ),
    Difference(
        id="a login's account that is listed is a change, because it is confirmed",
        before=lambda w: sign_in(w, "p-1", user_name=ADA, email=ADA, at=ago(30)),
        lines=(line(ADA, "k1"),),
        found={"changed": [ADA]},
    ),
    Difference(
        id="a login's account is found by the key that it asserted",
        before=lambda w: sign_in(w, "p-1", user_name="a.l", email=ADA, external_id="k1", at=ago(30)),
        lines=(line(ADA, "k1"),),
        found={"changed": [ADA]},
    ),
    Difference(
        id="two accounts answer to one row",
        before=lambda w: (arrive(w, "ada.l@acme.example", "k1"), arrive(w, ADA, None)),
        lines=(line(ADA, "k1"),),
        earlier=(),
        found={"ambiguous": [ADA]},
    ),
    Difference(
        id="the one who has the name has another key",
        before=lambda w: arrive(w, ADA, "k9"),
        lines=(line(ADA, "k1"),),
        earlier=(),
        found={"ambiguous": [ADA]},
    ),
    Difference(
        id="missing from the only roster: once",
        before=lambda w: arrive(w, ADA, "k1"),
        lines=(line(BOB, "k2"),),
        found={"new": [BOB], "gone-once": [ADA]},
    ),
    Difference(
        id="listed the day before: missing once",
        before=lambda w: arrive(w, ADA, "k1"),
        earlier=(line(ADA, "k1"),),
        lines=(line(BOB, "k2"),),
        found={"new": [BOB], "gone-once": [ADA]},
    ),
    Difference(
        id="missing from two rosters",
        before=lambda w: arrive(w, ADA, "k1"),
        earlier=(line(BOB, "k2"),),
        lines=(line(BOB, "k2"),),
        found={"new": [BOB], "gone": [ADA]},
    ),
    Difference(
        id="who came after the earlier roster is missing once",
        before=lambda w: arrive(w, ADA, "k1", days=1.5),
        earlier=(line(BOB, "k2"),),
        lines=(line(BOB, "k2"),),
        found={"new": [BOB], "gone-once": [ADA]},
    ),
    Difference(
        id="so is whom SCIM changed since",
        before=lambda w: say(w, arrive(w, ADA, "k1"), Intent.UPDATE, 1.5, title="Countess"),
        earlier=(line(BOB, "k2"),),
        lines=(line(BOB, "k2"),),
        found={"new": [BOB], "gone-once": [ADA]},
    ),
    Difference(
        id="whom it opened again since",
        before=lambda w: say(w, arrive(w, ADA, "k1", active=False), Intent.ENABLE, 1.5, active=True),
        earlier=(line(BOB, "k2"),),
        lines=(line(BOB, "k2"),),
        found={"new": [BOB], "gone-once": [ADA]},
    ),
    Difference(
        id="and whom it confirmed since",
        before=lambda w: (
            sign_in(w, "p-1", user_name=ADA, email=ADA, at=ago(10)),
            arrive(w, ADA, "k1", days=1.5),
        ),
        earlier=(line(BOB, "k2"),),
        lines=(line(BOB, "k2"),),
        found={"new": [BOB], "gone-once": [ADA]},
    ),
    Difference(
        id="who came after the newest roster is missing from none",
        before=lambda w: arrive(w, ADA, "k1", days=0.5),
        earlier=(line(BOB, "k2"),),
        lines=(line(BOB, "k2"),),
        found={"new": [BOB]},
    ),
    Difference(
        id="an account that nobody confirmed keeps its grace",
        before=lambda w: sign_in(w, "p-1", user_name=ADA, email=ADA, at=ago(10)),
        earlier=(line(BOB, "k2"),),
        lines=(line(BOB, "k2"),),
        found={"new": [BOB]},
    ),
    Difference(
        id="who is inactive already is missed by nobody",
        before=lambda w: arrive(w, ADA, "k1", active=False),
        earlier=(line(BOB, "k2"),),
        lines=(line(BOB, "k2"),),
        found={"new": [BOB]},
    ),
]


@pytest.mark.parametrize("case", DIFFERENCES, ids=lambda case: case.id)
def test_a_difference(acme: House, case: Difference) -> None:
    case.before(acme)
    fields = list(case.fields)
    if case.earlier is not None:
        roster(acme, *case.earlier, as_of=ago(2), fields=list(case.fields_before) or fields)
    listing = roster(acme, *case.lines, as_of=ago(1), fields=fields)
    assert found(acme, listing) == case.found
    roster_differences.forget()


def test_accounts_without_a_fingerprint_are_given_theirs(acme: House) -> None:
    arrive(acme, ADA, "k1")
    Account.objects.update(fingerprint=None)
    listing = roster(acme, line(ADA, "k1"), as_of=ago(1))
    assert roster_differences.find(acme.connection, listing)
    assert items(reconcile(acme)) == []
    assert found(acme, listing) == {}


def test_a_run_does_what_its_roster_says_and_finds_nothing_afterwards(acme: House) -> None:
    ada = arrive(acme, ADA, "k1")
    bob = arrive(acme, BOB, "k2")
    eve = arrive(acme, "eve@acme.example", "k3", active=False)
    dan = arrive(acme, "dan@acme.example", "k4")
    jit = sign_in(acme, "p-1", user_name="kim@acme.example", email="kim@acme.example", at=ago(30))
    roster(acme, line(ADA, "k1"), as_of=ago(2))
    listing = roster(
        acme,
        line(ADA, "k1", given_name="Augusta"),
        line(BOB, "k2", active=False),
        line("eve@acme.example", "k3"),
        line("kim@acme.example", "k5"),
        line("new@acme.example", "k6"),
        line("old@acme.example", "k7", active=False),
        as_of=ago(1),
    )
    run = reconcile(acme)
    assert items(run) == [
        ("roster-inactive", "applied", "account:disabled"),
        ("roster-gone", "applied", "account:missing"),
        ("roster-changed", "applied", "account:updated"),
        ("roster-changed", "applied", "account:adopted"),
        ("roster-active", "applied", "account:state-conflict"),
        ("roster-new", "applied", "account:created"),
        ("roster-new", "applied", "account:created"),
    ]
    assert (run.status, run.roster, run.items_total, run.items_done) == (Status.DONE, listing, 7, 7)
    assert (run.remaining, run.destructive, run.verified_at) == (0, 2, run.finished_at)
    assert Account.objects.get(pk=ada.pk).resource["name"]["givenName"] == "Augusta"
    assert not Identity.objects.get(pk=bob.identity_id).is_active
    assert not Identity.objects.get(pk=eve.identity_id).is_active
    assert Hold.objects.get(source_account_id=dan.pk).kind == HoldKind.SCIM
    assert Account.objects.get(pk=jit.account_id).lifecycle_owner == "roster"
    new = Account.objects.get(external_id="k6")
    assert (new.origin, new.as_of, new.identity.is_active) == ("roster", listing.as_of, True)
    assert not Account.objects.get(external_id="k7").identity.is_active
    made = run.items.get(row_id__isnull=False, account=new)
    assert [one["change"] for one in made.inverse] == ["RemoveAccount", "RemoveIdentity"]
    assert found(acme, listing) == {"active": ["eve@acme.example"]}
    assert items(reconcile(acme)) == [], "the roster is used up"
    told = AuditRecord.objects.filter(object_id=run.pk).order_by("id").values_list("reason", flat=True)
    assert list(told) == ["run:started", "run:simulated", "run:executed", "run:verified"]


def test_a_roster_without_names_makes_nobody_and_reports_whom_it_would(acme: House) -> None:
    arrive(acme, ADA, "k1")
    roster(
        acme,
        *(line("", key, active=False) for key in ("k1", "k2", "k3")),
        as_of=ago(1),
        fields=["external_id", "active"],
    )
    run = reconcile(acme)
    assert (run.status, run.remaining) == (Status.DONE, 0)
    assert items(run) == [
        ("roster-inactive", "applied", "account:disabled"),
        ("roster-nameless", "reported", "account:listed-without-name"),
        ("roster-nameless", "reported", "account:listed-without-name"),
    ]
    assert Account.objects.get().user_name == ADA


def test_what_scim_says_between_simulation_and_execution_wins(acme: House) -> None:
    ada, bob = arrive(acme, ADA, "k1"), arrive(acme, BOB, "k2")
    roster(
        acme, line(ADA, "k1", active=False), line(BOB, "k2", given_name="Bo"), line("new@acme.example", "k3")
    )
    acme.connection.run_few = 10
    acme.connection.save()
    run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
    say(acme, ada, Intent.UPDATE, 0, title="Countess")
    submit(pushed(acme, Intent.DELETE, account_id=bob.pk))
    push(acme, user("new@acme.example", "k3"))
    run = reconciliation.execute(run)
    assert items(run) == [
        ("roster-inactive", "unchanged", "account:newer-than-roster"),
        ("roster-changed", "unchanged", "account:unknown"),
        ("roster-new", "unchanged", "account:newer-than-roster"),
    ]
    assert (run.remaining, Account.objects.get(pk=ada.pk).active) == (0, True)
    assert Account.objects.filter(deleted_at__isnull=True).count() == 2


@pytest.mark.parametrize("intent", [Intent.UPDATE, Intent.DELETE], ids=["a push about", "the end of"])
def test_an_item_is_booked_on_whom_its_row_means_by_then(acme: House, intent: Intent) -> None:
    """What is newer of her is then no item's to take back."""
    bob, flo = (
        sign_in(acme, f"s-{name}", user_name=name, email=name, at=ago(5), **more).account_id
        for name, more in ((BOB, {"external_id": "k1"}), (FLO, {}))
    )
    roster(acme, line(FLO, "k1", given_name="Florence"), as_of=ago(1))
    run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
    assert run.items.get().account_id == bob
    document = user(BOB) if intent is Intent.UPDATE else None
    submit(pushed(acme, intent, document, account_id=bob))
    item = reconciliation.execute(run).items.get()
    assert (item.reason, item.account_id) == ("account:adopted", flo)
    assert item.identity_id == Account.objects.get(pk=flo).identity_id
    assert list(violations(tenant_id=acme.tenant.pk, at=now())) == []
    said = user(FLO, "k1", title="Countess")
    assert submit(pushed(acme, Intent.UPDATE, said, account_id=flo)).reason == "account:updated"
    undo.order(run, actor=OPERATOR, reason="a mistake")
    assert dict(undo.carry_out(run)) == {"item:touched-since": 1}
    assert Account.objects.get(pk=flo).resource["title"] == "Countess"


def test_whom_an_administrator_let_in_after_the_roster_is_not_missed_by_it(acme: House) -> None:
    ada = arrive(acme, ADA, "k1")
    for day in (3, 2):
        roster(acme, line(BOB, "k2"), as_of=ago(day))
    assert ("roster-gone", "applied", "account:missing") in items(reconcile(acme))
    people.lift_hold(identity=ada.identity, kind=HoldKind.SCIM, reason="on leave", actor=OPERATOR)
    listing = roster(acme, line(BOB, "k2"), as_of=ago(1))
    assert found(acme, listing) == {}
    # The next listing is newer than the administrator's word.
    assert found(acme, roster(acme, line(BOB, "k2"), as_of=now())) == {"gone": [ADA]}


SAYS_NOBODY_ACTIVE = [name for name in FIELDS if name != "active"]


@pytest.mark.parametrize("fields", [FIELDS, SAYS_NOBODY_ACTIVE], ids=["active", "of active nothing"])
def test_who_was_missing_and_is_listed_again_comes_back(acme: House, fields: list[str]) -> None:
    ada = arrive(acme, ADA, "k1")
    for day in (4, 3):
        roster(acme, line(BOB, "k2"), as_of=ago(day), fields=fields)
    reconcile(acme)
    assert not Identity.objects.get(pk=ada.identity_id).is_active
    roster(acme, line(ADA, "k1"), line(BOB, "k2"), as_of=ago(1), fields=fields)
    assert items(reconcile(acme)) == [("roster-active", "applied", "account:enabled")]
    assert Identity.objects.get(pk=ada.identity_id).is_active


def test_a_roster_that_says_nothing_of_active_lifts_no_hold_that_a_person_put_back(acme: House) -> None:
    arrive(acme, ADA, "k1")
    for day, lines in ((4, ()), (3, ()), (2, (line(ADA, "k1"),))):
        roster(acme, line(BOB, "k2"), *lines, as_of=ago(day), fields=SAYS_NOBODY_ACTIVE)
        run = reconcile(acme)
    undo.order(run, actor=OPERATOR, reason="not yet")
    assert dict(undo.carry_out(run)) == {"item:undone": 1}
    roster(acme, line(BOB, "k2"), line(ADA, "k1"), as_of=ago(1), fields=SAYS_NOBODY_ACTIVE)
    assert items(reconcile(acme)) == []
    assert Hold.objects.get().kind == "scim"


def test_what_is_in_doubt_is_asked_once_and_reported_afterwards(acme: House) -> None:
    arrive(acme, ADA, "k9")
    roster(acme, line(ADA, "k1"), as_of=ago(2))
    assert items(reconcile(acme), "roster-gone-once") == [
        ("roster-ambiguous", "refused", "account:user-name-taken")
    ]
    assert Finding.objects.get().kind == "account:key-contradicts"
    roster(acme, line(ADA, "k1"), as_of=ago(1))
    run = reconcile(acme)
    assert items(run) == [("roster-ambiguous", "reported", "account:listed-ambiguously")]
    assert (Finding.objects.count(), run.remaining) == (1, 0)


def test_nobody_is_missed_whom_scim_confirms_while_a_run_looks(acme: House) -> None:
    jit = sign_in(acme, "p-1", user_name=ADA, email=ADA, at=ago(30))
    run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
    absent = runs.CHECKS["unconfirmed"].look(runs._scope(run, acme.connection), None)
    (observation,) = [hit.observation for hit in absent]
    push(acme, user(ADA, "k1"))
    assert submit(observation).reason == "account:unchanged"
    assert Identity.objects.get(pk=jit.identity_id).is_active


def test_of_two_items_about_one_account_in_one_batch_the_second_sees_what_the_first_did(acme: House) -> None:
    jit = sign_in(acme, "p-1", user_name=ADA, email=ADA, at=ago(30))
    run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
    roster(acme, line(ADA, "k1"))
    scope = runs.replace(runs._scope(run, acme.connection), roster=Roster.objects.get())
    (expires,) = [hit.observation for hit in runs.CHECKS["unconfirmed"].look(scope, [jit.account_id])]
    roster_differences.find(acme.connection, scope.roster)
    (listed,) = [hit.observation for hit in runs.CHECKS["roster-changed"].look(scope, None)]
    outcomes = submit_many([listed, expires])
    assert [outcome.reason for outcome in outcomes] == ["account:adopted", "account:unchanged"]
    assert Identity.objects.get(pk=jit.identity_id).is_active


OVERTAKEN = "is newer, and complete: the next run compares with it."


@pytest.mark.parametrize(
    ("minutes", "reason"),
    [
        (None, "account:missing"),
        (28 * 60, "account:missing"),
        (4 * 60, "account:missing-once"),
        (60, None),
    ],
    ids=[
        "nobody has spoken since",
        "its word is older than the rosters",
        "its word is newer than one of them",
        "its word is newer",
    ],
)
def test_a_word_that_changes_nothing_counts_from_when_it_was_said(
    acme: House, minutes: int | None, reason: str | None
) -> None:
    long_ago = now() - timedelta(days=30)
    ada, _bob = (push(acme, user(f"{n}@acme.example", n), at=long_ago) for n in ("ada", "bob"))
    for hours in (27, 3):
        roster(acme, line("bob@acme.example", "bob"), as_of=now() - timedelta(hours=hours))
    before = Account.objects.get(pk=ada.account_id)
    if minutes is not None:
        said = pushed(
            acme,
            Intent.UPDATE,
            user("ada@acme.example", "ada"),
            account_id=ada.account_id,
            at=now() - timedelta(minutes=minutes),
        )
        assert submit(said).reason == "account:unchanged"
    run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
    found = run.items.filter(account_id=ada.account_id).exclude(check_name="never-came")
    assert [item.reason for item in found] == ([reason] if reason else [])
    # Whoever reads it back sees no other version.
    after = Account.objects.get(pk=ada.account_id)
    assert (after.version, after.updated_at) == (before.version, before.updated_at)


class TestWhichRoster:
    def test_the_newest_complete_one_that_no_run_has_executed(self, acme: House) -> None:
        assert roster_differences.roster_for(acme.connection) is None
        roster(acme, line(ADA, "k1"), as_of=ago(3))
        newer = roster(acme, line(ADA, "k1"), as_of=ago(2))
        roster(acme, as_of=ago(1), status=Roster.Status.REFUSED)
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        assert run.roster == newer
        again = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        assert again.roster == newer, "a simulation uses nothing up"
        reconciliation.execute(again)
        assert roster_differences.roster_for(acme.connection) is None, "and the older one stays behind"

    def test_a_run_that_a_newer_one_has_overtaken_is_not_executed(self, acme: House) -> None:
        roster(acme, line(ADA, "k1"), as_of=ago(3))
        older = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        roster(acme, line(ADA, "k1"), as_of=ago(2))
        after = reconciliation.execute(older)
        assert (after.status, OVERTAKEN in after.note) == (Status.OVERTAKEN, True)
        assert [item.status for item in after.items.filter(check_name="roster-new")] == ["planned"]

    def test_one_that_a_newer_one_overtook_in_its_middle_does_not_go_on(self, acme: House) -> None:
        roster(acme, line(ADA, "k1"), as_of=ago(3))
        older = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        ReconciliationRun.objects.update(status=Status.EXECUTING)
        roster(acme, as_of=ago(2))
        assert reconciliation.execute(older).status == Status.OVERTAKEN
        assert not Account.objects.exists()

    @pytest.mark.parametrize("release", [True, False], ids=["at its release", "at its execution"])
    @pytest.mark.parametrize("planned_with", ["two rosters", "no roster"])
    def test_a_run_that_waits_holds_nobody_whom_a_newer_roster_lists(
        self, acme: House, planned_with: str, release: bool
    ) -> None:
        people = [(f"p{n}@acme.example", f"k{n}") for n in range(12)]
        if planned_with == "two rosters":
            for name, key in people:
                push(acme, user(name, key), at=ago(9))
            for days in (4, 3):
                roster(acme, *(line(*one) for one in people[:3]), as_of=ago(days))
        else:
            for name, key in people:
                sign_in(acme, key, user_name=name, email=name, at=ago(30))
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        assert run.status == Status.QUARANTINED
        if not release:
            reconciliation.release(run, OPERATOR, "they left")
        roster(acme, *(line(*one) for one in people), as_of=ago(2))
        run = reconciliation.release(run, OPERATOR, "they left") if release else reconciliation.execute(run)
        assert (run.status, OVERTAKEN in run.note) == (Status.OVERTAKEN, True)
        assert not run.items.filter(status="applied").exists()
        assert AuditRecord.objects.filter(object_id=run.pk).latest("id").reason == "run:overtaken"
        again = reconcile(acme)
        assert (again.status, again.remaining) == (Status.DONE, 0)
        assert not Hold.objects.exists()

    def test_a_refused_roster_overtakes_nothing(self, acme: House) -> None:
        roster(acme, line(ADA, "k1"), as_of=ago(3))
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        roster(acme, line(ADA, "k1"), as_of=ago(2), status=Roster.Status.REFUSED)
        roster(extend(acme.tenant, "Other"), line(ADA, "k1"), as_of=ago(2))
        assert reconciliation.execute(run).status == Status.DONE

    def test_a_run_whose_roster_has_lost_its_rows_is_not_executed(self, acme: House) -> None:
        listing = roster(acme, line(ADA, "k1"), as_of=ago(3))
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        Roster.objects.filter(pk=listing.pk).update(status=Roster.Status.SUPERSEDED)
        run = reconciliation.execute(ReconciliationRun.objects.get(pk=run.pk))
        assert (run.status, run.items.get().status) == (Status.FAILED, "planned")
        assert run.note == "The rows of this run's roster are gone; please simulate again."

    @pytest.mark.parametrize("left_out", [2, 1, 0])
    def test_one_that_items_were_left_out_of_is_not_used_up(self, acme: House, left_out: int) -> None:
        for n in range(4):
            push(acme, user(f"p{n}@acme.example", f"k{n}"), at=ago(9))
        roster(acme, line("p0@acme.example", "k0"), as_of=ago(3))
        newest = roster(
            acme, *(line(f"p{n}@acme.example", f"k{n}", active=n > 1) for n in range(4)), as_of=ago(2)
        )
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        leavers = list(run.items.filter(check_name="roster-inactive").values_list("pk", flat=True))
        choice = reconciliation.Choice(items=leavers[:left_out])
        reconciliation.leave_out(run, choice, OPERATOR, "on leave")
        reconciliation.execute(run)
        again = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        assert again.items.filter(status="left-out").count() == left_out
        assert not again.items.filter(status="planned").exists()
        reconciliation.take_in(again, reconciliation.Choice(destructive=True), OPERATOR, "they left")
        # Asked to the end it is used up as well, and none goes back to the older one.
        assert reconciliation.execute(again).remaining == 0
        assert Hold.objects.count() == 2
        assert roster_differences.roster_for(acme.connection) != newest

    @pytest.mark.parametrize(
        ("meanwhile", "held"),
        [
            pytest.param("a push", False, id="a push between does not end it"),
            pytest.param("a rejected roster", False, id="nor does a night without a roster"),
            pytest.param("listed", True, id="but being listed again does"),
        ],
    )
    def test_what_a_person_left_out_stays_out_over_a_night_without_it(
        self, acme: House, meanwhile: str, held: bool
    ) -> None:
        ada = arrive(acme, ADA, "k1")
        arrive(acme, BOB, "k2")
        bob = line(BOB, "k2")
        for days in (9, 8):
            roster(acme, bob, as_of=ago(days))
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        reconciliation.leave_out(run, reconciliation.Choice(destructive=True), OPERATOR, "on leave")
        reconciliation.execute(run)
        if meanwhile == "a push":
            say(acme, ada, Intent.UPDATE, 6, title="Countess")
        elif meanwhile == "a rejected roster":
            wrong = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
            reconciliation.reject(wrong, OPERATOR, "wrong file")
            reconcile(acme)
        roster(acme, bob, *([line(ADA, "k1")] if meanwhile == "listed" else []), as_of=ago(7))
        night = reconcile(acme)
        assert night.items.filter(status="left-out").count() == (not held)
        for days in (5, 4):
            roster(acme, bob, as_of=ago(days))
            night = reconcile(acme)
        assert Hold.objects.filter(source_account_id=ada.pk).exists() is held
        if not held:
            item = night.items.get(status="left-out")
            assert item.evidence["left_out_of"] == str(run.pk)

    def test_a_push_that_changes_nothing_does_not_end_it_either(self, acme: House) -> None:
        ada = arrive(acme, ADA, "k1")
        roster(acme, line(ADA, "k1", active=False), as_of=ago(9))
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        reconciliation.leave_out(run, reconciliation.Choice(destructive=True), OPERATOR, "on leave")
        reconciliation.execute(run)
        say(acme, ada, Intent.UPDATE, 6)
        for days in (7, 5):
            roster(acme, line(ADA, "k1", active=False), as_of=ago(days))
            night = reconcile(acme)
            assert night.items.get(status="left-out").evidence["left_out_of"] == str(run.pk)
        assert not Hold.objects.exists()

    @pytest.mark.parametrize(
        ("then", "made"),
        [
            pytest.param("the same", False, id="the next roster says the same"),
            pytest.param("no roster", False, id="nor after a night without one"),
            pytest.param("something else", True, id="but where it says something else she is new"),
            pytest.param("once", False, id="nor where she was not listed for a night"),
            pytest.param("one file twice", False, id="nor where one listing without her came twice"),
            pytest.param("twice", True, id="but where two of them did not list her"),
        ],
    )
    def test_somebody_new_whom_a_person_left_out_stays_out(self, acme: House, then: str, made: bool) -> None:
        arrive(acme, BOB, "k2")
        bob, ada, eve = line(BOB, "k2"), line(ADA, "k1"), line("eve@acme.example", "k3")
        roster(acme, bob, ada, eve, as_of=ago(9))
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        reconciliation.leave_out(run, reconciliation.Choice(reasons=["account:created"]), OPERATOR, "not yet")
        reconciliation.execute(run)
        without = {"once": [8], "one file twice": [8, 7.9], "twice": [8, 7.4]}.get(then, [])
        for days in without:
            roster(acme, bob, as_of=ago(days))
            assert reconcile(acme).items.filter(status="left-out").count() == (0 if days == 7.4 else 2)
        if then == "no roster":
            roster(acme, bob, as_of=ago(8))
            wrong = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
            reconciliation.reject(wrong, OPERATOR, "wrong file")
            assert reconcile(acme).items.filter(status="left-out").count() == 2
        changed = {"department": "Engines"} if then == "something else" else {}
        fields = [*FIELDS, "department"] if changed else FIELDS
        roster(acme, bob, line(ADA, "k1", **changed), eve, as_of=ago(6), fields=fields)
        night = reconcile(acme)
        assert Account.objects.filter(external_id="k1").exists() is made
        assert set(night.items.filter(status="left-out").values_list("evidence__left_out_of", flat=True)) <= {
            str(run.pk)
        }

    def test_whom_the_guard_did_not_count_the_next_run_asks_about(self, acme: House) -> None:
        """When it was planned the row was of nobody; then somebody came who is what it means, and would be closed."""
        roster(acme, line(ADA, "k1", active=False), as_of=ago(1))
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        push(acme, user(ADA, "k1"), at=ago(2))
        run = reconciliation.execute(run)
        item = run.items.get()
        assert (item.status, item.reason, run.remaining) == ("refused", "item:destructive-now", 1)
        assert not Hold.objects.exists()
        again = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        assert (again.roster, again.destructive) == (run.roster, 1)
        reconciliation.execute(again)
        assert Hold.objects.exists()

    def test_a_rejected_one_is_not_planned_again_but_by_hand(self, acme: House) -> None:
        listing = roster(acme, line(ADA, "k1"), as_of=ago(3))
        reconciliation.reject(
            reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"), OPERATOR, "wrong file"
        )
        assert reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed").roster is None
        assert (
            reconciliation.simulate(acme.connection, OPERATOR, listing, reason="As agreed").roster == listing
        )

    @pytest.mark.parametrize("what", ["refused", "older", "another connection's"])
    def test_one_that_cannot_be_compared_with_is_refused(self, acme: House, what: str) -> None:
        roster(acme, line(ADA, "k1"), as_of=ago(2))
        reconcile(acme)
        where = extend(acme.tenant, "Other") if what == "another connection's" else acme
        status = Roster.Status.REFUSED if what == "refused" else Roster.Status.COMPLETE
        given = roster(where, as_of=ago(3 if what == "older" else 1), status=status)
        with pytest.raises(Invalid):
            reconciliation.simulate(acme.connection, OPERATOR, given, reason="As agreed")


class TestCancelling:
    @pytest.fixture
    def run(self, acme: House, monkeypatch: pytest.MonkeyPatch) -> ReconciliationRun:
        monkeypatch.setattr(runs, "BATCH", 2)
        roster(acme, *(line(f"p{n}@acme.example", f"k{n}") for n in range(5)))
        return reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")

    def test_a_run_stops_after_the_batch_in_hand(self, run: ReconciliationRun) -> None:
        def change_mind(done: int, total: int) -> None:
            ReconciliationRun.objects.update(cancel_requested_at=now())

        run = reconciliation.execute(run, change_mind)
        assert (run.status, run.items_done, run.items_total) == (Status.CANCELLED, 2, 5)
        assert (run.verified_at, Account.objects.count()) == (None, 2)
        told = AuditRecord.objects.get(reason="run:cancelled")
        assert told.changes[0]["counts"] == {"applied": 2, "unchanged": 0, "refused": 0}
        assert reconciliation.execute(run).status == Status.CANCELLED
        # Its roster is not used up: what is left is asked about again.
        assert reconciliation.simulate(run.connection, OPERATOR, reason="As agreed").items_total == 3

    @pytest.mark.parametrize("status", [Status.SIMULATED, Status.EXECUTING, Status.SIMULATING])
    def test_one_that_nobody_works_on_ends_at_once(self, run: ReconciliationRun, status: str) -> None:
        ReconciliationRun.objects.update(status=status)
        run = reconciliation.cancel(run, OPERATOR, "wrong file")
        assert (run.status, Account.objects.count()) == (Status.CANCELLED, 0)
        reasons = AuditRecord.objects.filter(object_id=run.pk, intent="cancel").values_list(
            "reason", flat=True
        )
        assert set(reasons) == {"run:cancel-ordered", "run:cancelled"}

    @pytest.mark.parametrize("status", [Status.DONE, Status.QUARANTINED, Status.REJECTED])
    def test_one_that_is_over_or_waits_for_a_person_stays_as_it_is(
        self, run: ReconciliationRun, status: str
    ) -> None:
        ReconciliationRun.objects.update(status=status)
        assert reconciliation.cancel(run, OPERATOR, "late").status == status
        assert not AuditRecord.objects.filter(intent="cancel").exists()

    def test_a_simulation_stops_too(self, run: ReconciliationRun, monkeypatch: pytest.MonkeyPatch) -> None:
        foresee = runs._foresee

        def change_mind(one: ReconciliationRun, *more: object) -> object:
            ReconciliationRun.objects.filter(pk=one.pk).update(cancel_requested_at=now())
            return foresee(one, *more)

        monkeypatch.setattr(runs, "_foresee", change_mind)
        assert (
            reconciliation.simulate(run.connection, OPERATOR, reason="As agreed").status == Status.CANCELLED
        )


class TestVerifying:
    @pytest.fixture
    def lost(self, acme: House) -> ReconciliationRun:
        """As if the execution had lost two items: one that takes access, and one that does not."""
        arrive(acme, ADA, "k1")
        roster(acme, line(ADA, "k1", active=False), line(BOB, "k2"))
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        run.items.all().delete()
        return reconciliation.execute(run)

    def test_what_is_found_afterwards_and_takes_nobody_s_access_is_done(
        self, lost: ReconciliationRun
    ) -> None:
        item = lost.items.get(reason="account:created")
        assert (item.status, item.evidence["found"]) == ("applied", "afterwards")
        assert (lost.items_total, lost.items_done) == (1, 1)

    def test_what_would_take_access_is_left_and_said(self, lost: ReconciliationRun) -> None:
        assert (lost.status, lost.remaining, Hold.objects.exists()) == (Status.DONE, 1, False)
        told = AuditRecord.objects.get(reason="run:not-verified")
        assert told.changes == [{"change": "run", "counts": {"account:disabled": 1}}]

    def test_what_a_person_left_out_is_not_left_to_do(self, acme: House) -> None:
        roster(acme, line(ADA, "k1"), line(BOB, "k2"))
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
        item = run.items.get(evidence__line=3)
        reconciliation.leave_out(run, reconciliation.Choice(items=[item.pk]), OPERATOR, "not yet")
        run = reconciliation.execute(run)
        assert (run.remaining, run.items_total, Account.objects.count()) == (0, 1, 1)

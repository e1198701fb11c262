"""A run settles whatever its roster says in one go: a second simulation, right afterwards, plans nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.types import Intent
from provisioning.models import Account, Connection, Finding, ReconciliationRun, Roster
from provisioning.services import submit

from ..cast import OPERATOR, House, extend, push, pushed, sign_in, user
from .listings import FIELDS, line, roster

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
NO_KEYS = tuple(name for name in FIELDS if name != "external_id")


def ago(days: float) -> datetime:
    return now() - days * DAY


def mail(name: str) -> str:
    return f"{name}@acme.example"


def row(name: str, key: str | None = None, **more: Any) -> dict[str, Any]:
    """Whoever has a key has an e-mail that is not her name's."""
    return line(mail(name), key, **{"email": mail(key or name)} | more)


def arrive(where: House, name: str, key: str | None = None, hr_number: str = "", **more: Any) -> Any:
    if hr_number:
        more[ENTERPRISE] = {"employeeNumber": hr_number}
    emails = [{"value": mail(key or name), "primary": True}]
    return push(where, user(mail(name), key, **{"emails": emails} | more), at=ago(30)).account_id


def login(where: House, name: str, key: str) -> Any:
    """Longer ago than a grace lasts."""
    return sign_in(
        where, f"s-{name}", user_name=mail(name), email=mail(key or name), external_id=key, at=ago(20)
    ).account_id


def plan(where: House, listing: Roster | None = None) -> ReconciliationRun:
    Connection.objects.filter(pk=where.connection.pk).update(run_few=100)
    where.connection.refresh_from_db()
    return reconciliation.simulate(where.connection, OPERATOR, listing, reason="As agreed")


def planned(run: ReconciliationRun) -> list[tuple[str, str]]:
    return list(run.items.filter(status="planned").order_by("id").values_list("check_name", "reason"))


def left(where: House, listing: Roster) -> list[tuple[str, str]]:
    """What a second simulation plans, at the same roster and at none, for a run has used it up."""
    return planned(plan(where, listing)) + planned(plan(where))


def people(where: House) -> set[tuple[str, str | None, bool]]:
    rows = Account.objects.filter(connection=where.connection, deleted_at=None)
    return {
        (name.partition("@")[0], key, active)
        for name, key, active in rows.values_list("user_name", "external_id", "active")
    }


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Rows of one roster of which some mean, or seem to mean, the same account."""

    id: str
    before: Callable[[House], object]
    lines: tuple[dict[str, Any], ...]
    after: set[tuple[str, str | None, bool]]
    asked: tuple[str, ...] = ()
    """Kinds of the findings that stay."""
    fields: tuple[str, ...] = tuple(FIELDS)


SHAPES = [
    Shape(
        id="a newcomer gets the name that somebody gives up by a rename",
        before=lambda w: arrive(w, "ada", "k1"),
        lines=(row("ada", "k2"), row("ada.l", "k1")),
        after={("ada", "k2", True), ("ada.l", "k1", True)},
    ),
    Shape(
        id="so does one who has no key",
        before=lambda w: arrive(w, "ada", "k1"),
        lines=(row("ada", email=mail("new")), row("ada.l", "k1")),
        after={("ada", None, True), ("ada.l", "k1", True)},
    ),
    Shape(
        id="whom a login made is known by the key that it brought",
        before=lambda w: login(w, "ada", "k1"),
        lines=(row("ada", "k2"), row("ada.l", "k1")),
        after={("ada", "k2", True), ("ada.l", "k1", True)},
    ),
    Shape(
        id="names are handed on in a chain, whatever the order of the lines",
        before=lambda w: [arrive(w, name, key) for name, key in (("ada", "k1"), ("bob", "k2"), ("cy", "k3"))],
        lines=(row("bob", "k1"), row("cy", "k2"), row("dan", "k3"), row("ada", "k4")),
        after={("bob", "k1", True), ("cy", "k2", True), ("dan", "k3", True), ("ada", "k4", True)},
    ),
    Shape(
        id="somebody in the chain is closed",
        before=lambda w: [arrive(w, name, key) for name, key in (("ada", "k1"), ("bob", "k2"), ("cy", "k3"))],
        lines=(row("bob", "k1"), row("cy", "k2", active=False), row("dan", "k3")),
        after={("bob", "k1", True), ("cy", "k2", False), ("dan", "k3", True)},
    ),
    Shape(
        id="who swap their names are asked about",
        before=lambda w: [arrive(w, name, key) for name, key in (("ada", "k1"), ("bob", "k2"))],
        lines=(row("bob", "k1"), row("ada", "k2")),
        after={("ada", "k1", True), ("bob", "k2", True)},
        asked=("account:duplicate", "account:duplicate"),
    ),
    Shape(
        id="a row without a key does not open whom the row with her key closes",
        before=lambda w: [arrive(w, name, key) for name, key in (("ada", "k1"), ("bob", "k2"))],
        lines=(row("ada"), row("bob", "k1", active=False)),
        after={("ada", "k1", False), ("bob", "k2", True)},
        asked=("account:duplicate", "account:key-contradicts"),
    ),
    Shape(
        id="nor does it say who she is, where her new name is somebody else's",
        before=lambda w: [arrive(w, name, key) for name, key in (("ada", "k1"), ("bob", "k2"))],
        lines=(row("ada", given_name="Other"), row("bob", "k1")),
        after={("ada", "k1", True), ("bob", "k2", True)},
        asked=("account:duplicate", "account:key-contradicts"),
    ),
    Shape(
        id="a name whose account has another key is asked about",
        before=lambda w: arrive(w, "ada", "k9"),
        lines=(row("ada", "k1"),),
        after={("ada", "k9", True)},
        asked=("account:key-contradicts",),
    ),
    Shape(
        id="so is whom a login made who brought another key, and she keeps access",
        before=lambda w: login(w, "ada", "k9"),
        lines=(row("ada", "k1"),),
        after={("ada", None, True)},
        asked=("account:key-contradicts",),
    ),
    Shape(
        id="of whom was deleted while she waited for her person it is asked once",
        before=lambda w: (
            arrive(w, "bob", "k2"),
            submit(
                pushed(
                    w,
                    Intent.DELETE,
                    at=ago(20),
                    account_id=push(
                        w, user(mail("ada")) | {"emails": user(mail("k2"))["emails"]}, at=ago(30)
                    ).account_id,
                )
            ),
        ),
        lines=(row("ada"), row("bob")),
        after={("bob", "k2", True)},
        # The first one asked whose account it was.
        asked=("account:state-conflict", "account:weak-match"),
        fields=NO_KEYS,
    ),
]


def test_what_was_asked_about_a_waiting_account_is_not_asked_again_of_her_whose_it_is(acme: House) -> None:
    """The same run links the account of which a roster contradicts SCIM."""
    other = extend(acme.tenant, "HR")
    push(other, user(mail("h1"), "h1") | {ENTERPRISE: {"employeeNumber": "7"}}, at=ago(40))
    arrive(acme, "ada", "k1", hr_number="7", active=False)
    Connection.objects.filter(pk=acme.connection.pk).update(trusted_hr_number=True)
    listing = roster(acme, row("ada", "k1"), as_of=ago(1))
    run = reconciliation.execute(plan(acme, listing))
    assert [(item.check_name, item.reason) for item in run.items.filter(status="applied")] == [
        ("roster-active", "account:state-conflict"),
        ("waiting", "account:linked"),
    ]
    assert (run.remaining, left(acme, listing)) == (0, [])


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.id)
def test_one_run_settles(acme: House, shape: Shape) -> None:
    shape.before(acme)
    listing = roster(acme, *shape.lines, as_of=ago(1), fields=list(shape.fields))
    run = plan(acme, listing)
    foreseen = planned(run)
    run = reconciliation.execute(run)
    done = run.items.exclude(status="reported").order_by("id").values_list("check_name", "reason")
    assert (run.remaining, list(done)) == (0, foreseen)
    assert people(acme) == shape.after
    assert tuple(sorted(Finding.objects.values_list("kind", flat=True))) == shape.asked
    assert left(acme, listing) == []


def test_what_follows_from_the_run_s_own_work_is_done_by_it(acme: House) -> None:
    """The roster brings the HR number that says whose the account is which waits."""
    Connection.objects.filter(pk=acme.connection.pk).update(trusted_hr_number=True)
    other = extend(acme.tenant, "HR")
    ada = push(other, user(mail("k1"), "h1") | {ENTERPRISE: {"employeeNumber": "7"}}, at=ago(40))
    waiting = Account.objects.get(pk=arrive(acme, "ada", "k1"))
    assert waiting.identity_id is None
    says = [*FIELDS, "hr_number"]
    listing = roster(acme, row("ada", "k1", hr_number="7"), as_of=ago(1), fields=says)
    run = reconciliation.execute(plan(acme, listing))
    assert [(item.check_name, item.reason) for item in run.items.filter(status="applied")] == [
        ("roster-changed", "account:updated"),
        ("waiting", "account:linked"),
    ]
    assert run.remaining == 0
    assert Account.objects.get(pk=waiting.pk).identity_id == ada.identity_id
    assert left(acme, listing) == []


NAMES, KEYS = ["ada", "bob", "cy", "dan"], ["k1", "k2", "k3"]
names, keys = st.sampled_from(NAMES), st.sampled_from([*KEYS, None])
accounts = st.lists(
    st.tuples(st.sampled_from([arrive, arrive, login]), names, keys, st.booleans()), min_size=1, max_size=4
)
listings = st.lists(
    st.tuples(names, keys, st.sampled_from([True, True, False])),
    min_size=1,
    max_size=4,
    unique_by=(lambda said: said[0], lambda said: said[1] or said[0]),
)


class TakenBack(Exception):
    """Ends an example, and what it wrote."""


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(before=accounts, lines=listings)
def test_any_roster_is_settled_by_one_run(
    acme: House,
    before: list[tuple[Callable[..., Any], str, str | None, bool]],
    lines: list[tuple[str, str | None, bool]],
) -> None:
    with pytest.raises(TakenBack), transaction.atomic():  # noqa: PT012
        for way, name, key, deleted in before:
            made = way(acme, name, key)
            if made and deleted:
                submit(pushed(acme, Intent.DELETE, account_id=made, at=ago(5)))
        listing = roster(acme, *(row(name, key, active=active) for name, key, active in lines), as_of=ago(1))
        run = reconciliation.execute(plan(acme, listing))
        assert (run.status, run.remaining) == ("done", 0)
        assert left(acme, listing) == []
        raise TakenBack


MAILS = ["m1", "m2", "m3"]
mails, actives = st.sampled_from(MAILS), st.sampled_from([True, True, False])


def of_keys(*names: str) -> st.SearchStrategy[list[tuple[str, str, bool]]]:
    """(key, e-mail, active) of some people."""
    return st.lists(
        st.tuples(st.sampled_from(names), mails, actives), max_size=4, unique_by=lambda said: said[0]
    )


@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(here=of_keys("k1", "k2", "k3"), there=of_keys("x1", "x2", "x3"), said=of_keys("k1", "k2", "k3", "k4"))
def test_so_is_one_that_hands_on_e_mails_where_these_link(
    acme: House,
    here: list[tuple[str, str, bool]],
    there: list[tuple[str, str, bool]],
    said: list[tuple[str, str, bool]],
) -> None:
    """What a simulation does not foresee of e-mails is done afterwards, or left where somebody would lose access by it
    whom the guard has not counted: then it is counted, and the next run does it."""
    with pytest.raises(TakenBack), transaction.atomic():  # noqa: PT012
        other = extend(acme.tenant, "Other")
        for where, people_of in ((other, there), (acme, here)):
            for key, email, active in people_of:
                document = user(
                    mail(key), key, emails=[{"value": mail(email), "primary": True}], active=active
                )
                push(where, document, at=ago(30))
        # From now on row 7 links by them.
        Connection.objects.filter(pk=acme.connection.pk).update(trusted_email=True)
        lines = [row(key, key, email=mail(email), active=active) for key, email, active in said]
        listing = roster(acme, *lines, as_of=ago(1))
        run = reconciliation.execute(plan(acme, listing))
        again = plan(acme, listing)
        number = len(planned(again))
        assert (run.status, run.remaining, again.destructive) == ("done", number, number)
        assert reconciliation.execute(again).remaining == 0
        assert left(acme, listing) == []
        raise TakenBack

"""The start page says the numbers that an administrator wants first, of the own tenant only."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.admin import dashboard
from provisioning.decision.types import HoldKind, Intent
from provisioning.models import Identity, ReconciliationItem, ReconciliationRun, Tenant
from provisioning.selectors import overview, trends
from provisioning.services import people, submit

from ..cast import OPERATOR, House, push, pushed, sign_in, user
from .scene import Scene, person


def test_the_numbers_are_those_of_the_tenant(admin: Client, ours: Scene, theirs: Scene) -> None:
    page = admin.get("/admin/")
    assert page.status_code == 200
    shown = page.context["shown"]
    # Ada, Sam and Joe and the local administrator are enabled; Hal and Sue are held.
    assert (shown.people.enabled, shown.people.held) == (4, 2)
    assert shown.people.holds == {"scim": 1, "security": 1}
    assert shown.people.unconfirmed == 1
    assert shown.people.unlinked == 1
    assert shown.findings.total == 1
    assert shown.logins.refused == 1
    assert {connection.tenant_id for connection in shown.connections} == {ours.where.tenant.pk}
    assert theirs.word not in page.content.decode()


def test_the_charts_are_those_of_the_tenant(admin: Client, ours: Scene, theirs: Scene) -> None:
    reconciliation.execute(ours.run)
    for number in range(3):
        sign_in(theirs.where, f"crowd-{number}")
    page = admin.get("/admin/")
    admitted, refused = page.context["logins_chart"].series
    assert (admitted.total, refused.total) == (0, 1)
    # Joe's own login was a month ago; nobody has confirmed his account since.
    assert [one.total for one in page.context["lag_chart"].series] == [0, 1]
    runs = page.context["runs_chart"]
    assert {one.name: one.total for one in runs.series if one.total} == {trends.TAKES: 1}
    assert page.context["runs_told"] == {"runs": 1, "waiting": 0, "failed": 0}
    text = page.content.decode()
    assert text.count('role="img"') == 2
    assert "As a table" in text
    assert '<th scope="row">Later</th>' in text


def test_the_parts_make_the_whole(acme: House) -> None:
    """`overview` counts from parts what `with_state` says of each person."""
    names = ("ada", "ben", "cid", "dot", "eve", "fay")
    came = {name: push(acme, person(acme, name, name.title(), "Example", n)) for n, name in enumerate(names)}
    submit(pushed(acme, Intent.DELETE, account_id=came["ben"].account_id))
    submit(pushed(acme, Intent.DELETE, account_id=came["cid"].account_id))
    for name, kind in (("ben", HoldKind.ADMIN), ("dot", HoldKind.ADMIN), ("dot", HoldKind.SECURITY)):
        who = Identity.objects.get(pk=came[name].identity_id)
        people.place_hold(identity=who, kind=kind, reason="Left", actor=OPERATOR)
    gone = Identity.objects.get(pk=came["cid"].identity_id)
    gone.holds.all().delete()
    Identity.objects.create(tenant=acme.tenant, local=True)
    held = Identity.objects.create(tenant=acme.tenant, local=True, break_glass=True)
    people.place_hold(identity=held, kind=HoldKind.ADMIN, reason="Lost", actor=OPERATOR)

    shown = overview.overview(tenant_id=acme.tenant.pk, at=now()).people
    states = list(Identity.objects.with_state().filter(tenant=acme.tenant))
    assert shown.enabled == sum(one.enabled for one in states) == 4
    assert shown.held == sum(one.held for one in states) == 3
    assert shown.without_account == 1
    assert shown.deleted == 2
    assert shown.total == len(states)


def test_a_day_is_a_day_in_utc(acme: House, globex: House) -> None:
    noon = now().replace(hour=12)
    for back in (0, 0, 1, trends.DAYS - 1, trends.DAYS):
        sign_in(acme, f"ada-{back}", at=noon - timedelta(days=back))
    sign_in(globex, "somebody-else", at=noon)
    days = trends.logins_by_day(tenant_id=acme.tenant.pk, at=noon)
    assert [(noon.date() - day.day).days for day in days] == list(reversed(range(trends.DAYS)))
    assert [day.admitted for day in days] == [1, *[0] * (trends.DAYS - 3), 1, 2]
    everybody = trends.logins_by_day(tenant_id=None, at=noon)
    assert everybody[-1].admitted == 3


@pytest.mark.parametrize(
    ("after", "name"),
    [
        (timedelta(minutes=59), "within the hour"),
        (timedelta(hours=2), "within a day"),
        (timedelta(days=3), "within a week"),
        (timedelta(days=20), "within 30 days"),
        (timedelta(days=31), "later"),
    ],
)
def test_the_lag_is_from_the_login_to_the_directorys_word(acme: House, after: timedelta, name: str) -> None:
    login = now() - timedelta(days=40)
    sign_in(acme, f"ada@{acme.domain}", format="unspecified", at=login, email=f"ada@{acme.domain}")

    def told() -> list[tuple[str, int, int]]:
        lags = trends.lag(tenant_id=acme.tenant.pk, at=login + after)
        return [
            (one.name, one.confirmed, one.unconfirmed) for one in lags if one.confirmed or one.unconfirmed
        ]

    assert told() == [(name, 0, 1)]
    push(acme, user(f"ada@{acme.domain}", "ada-1"), at=login + after)
    assert told() == [(name, 1, 0)]


def test_what_a_run_did_is_what_was_applied_and_not_taken_back(
    acme: House, globex: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(where: House, status: str, *items: tuple[str, str]) -> None:
        row = ReconciliationRun.objects.create(
            tenant=where.tenant,
            connection=where.connection,
            status=status,
            requested_by="schedule:",
            counts={"account:expired": 7, "account:never-signed-in": 900},
        )
        for reason, became in items:
            ReconciliationItem.objects.create(
                tenant=where.tenant,
                run=row,
                check_name="x",
                reason=reason,
                status=became,
                undone_at=now() if became == "undone" else None,
            )

    for status in ("simulated", "quarantined", "failed"):
        run(acme, status, ("account:expired", "planned"))
    run(
        acme,
        "done",
        ("account:expired", "applied"),
        ("account:expired", "unchanged"),
        ("account:expired", "undone"),
        ("account:linked", "applied"),
        ("account:never-signed-in", "reported"),
    )
    run(globex, "done", ("account:linked", "applied"))

    def today() -> trends.RunDay:
        return trends.runs_by_day(tenant_id=acme.tenant.pk, at=now())[-1]

    assert today().done == {trends.TAKES: 1, trends.BRINGS: 1}
    assert (today().runs, today().waiting, today().failed) == (4, 1, 1)
    monkeypatch.setattr(trends, "ITEMS_LOOKED_AT", 2)
    assert today().done == {trends.TAKES: 7}, "very many: what the plan foresaw"


def test_what_is_dear_is_asked_once_a_minute_for_each_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.clear()
    asked: list[str] = []

    def ask(tenant: Tenant) -> str:
        asked.append(tenant.slug)
        return tenant.slug

    one, other = Tenant(slug="one"), Tenant(slug="other")
    for _ in range(2):
        assert dashboard._kept("x", one.pk, lambda: ask(one)) == "one"
    assert asked == ["one", "one"]
    monkeypatch.setattr(dashboard, "DEAR", 0.0)
    for _ in range(2):
        assert dashboard._kept("x", one.pk, lambda: ask(one)) == "one"
        assert dashboard._kept("x", other.pk, lambda: ask(other)) == "other"
    assert asked == ["one", "one", "one", "other"]

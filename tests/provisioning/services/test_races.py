"""Races on PostgreSQL: whoever comes first, twice, late or at once, one person stays one identity."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import monotonic, sleep
from typing import Any

import pytest
from django.db import connection, connections, transaction

from provisioning.decision.types import Intent, Outcome, Verdict
from provisioning.models import Account, AuditRecord, Finding, Identity, Membership
from provisioning.services import submission, submit, submit_many
from provisioning.services.groups import submit_group

from ..cast import House, asserted, extend, pushed, user
from .test_groups import group

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Runs every act in a thread and a database connection of its own, released by one barrier."""
    barrier = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        try:
            barrier.wait(timeout=30)
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(run, act) for act in acts]]


def until_somebody_waits(seconds: float = 30) -> None:
    """Returns when another backend of this database waits for a lock."""
    deadline = monotonic() + seconds
    statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while monotonic() < deadline:
        with connection.cursor() as cursor:
            # What other backends do is looked at once in a transaction, and remembered.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(statement)
            if cursor.fetchone()[0]:
                return
        sleep(0.01)
    raise AssertionError("nobody waits")


def verdicts(outcomes: list[Outcome]) -> list[str]:
    return sorted(outcome.reason for outcome in outcomes)


def test_twenty_pushes_of_one_person_make_one_account(acme: House) -> None:
    outcomes = at_once(
        *[lambda: submit(pushed(acme, Intent.CREATE, user("ada@acme.example", "e1"))) for _ in range(20)]
    )
    assert [o.verdict for o in outcomes].count(Verdict.APPLIED) == 1
    assert Account.objects.count() == Identity.objects.count() == 1
    assert AuditRecord.objects.filter(verdict="refused").count() == 19


def test_twenty_pushes_and_first_logins_of_one_person_end_in_one_identity_and_one_account(
    acme: House,
) -> None:
    push = lambda: submit(pushed(acme, Intent.CREATE, user("ada@acme.example", "p-1")))  # noqa: E731
    login = lambda: submit(asserted(acme, "p-1", email="ada@acme.example"))  # noqa: E731
    outcomes = at_once(*[push, login] * 10)
    assert Account.objects.count() == Identity.objects.count() == 1
    assert all(o.accepted for o in outcomes[1::2]), verdicts(outcomes)
    account = Account.objects.get()
    assert account.confirmed_at is not None
    assert {o.account_id for o in outcomes if o.account_id} == {account.pk}


@pytest.mark.parametrize("round_", range(12))
def test_a_first_login_and_a_push_with_different_names_and_the_same_key_are_one_person(
    acme: House, round_: int
) -> None:
    outcomes = at_once(
        lambda: submit(asserted(acme, "key-1", email="private@acme.example")),
        lambda: submit(pushed(acme, Intent.CREATE, user("ada@acme.example", "key-1"))),
    )
    assert all(o.accepted for o in outcomes), verdicts(outcomes)
    assert Account.objects.count() == Identity.objects.count() == 1


@pytest.mark.parametrize("round_", range(12))
def test_a_first_login_and_a_push_that_share_only_an_email_never_make_two_identities(
    acme: House, round_: int
) -> None:
    at_once(
        lambda: submit(asserted(acme, "key-1", email="ada@acme.example")),
        lambda: submit(
            pushed(
                acme,
                Intent.CREATE,
                user("ada.example@acme.example", "e-9")
                | {"emails": [{"value": "ada@acme.example", "type": "work"}]},
            )
        ),
    )
    assert Identity.objects.count() == 1
    assert Account.objects.filter(identity__isnull=True).count() == 1
    assert Finding.objects.count() == 1


@pytest.mark.parametrize("room", [0, 10_000], ids=["one after the other", "at once"])
def test_batches_that_share_people_make_nobody_twice(
    acme: House, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """Whether PostgreSQL's lock table has room for their keys or not."""
    monkeypatch.setattr(submission, "_most_keys", lambda: room)
    other = extend(acme.tenant, "Other")

    def load(where: House, numbers: range) -> list[Outcome]:
        return submit_many(
            [pushed(where, Intent.CREATE, user(f"p{n}@acme.example", f"e{n}")) for n in numbers]
        )

    people = range(150)
    found = at_once(
        lambda: load(acme, people),
        lambda: load(other, people),
        lambda: load(acme, people[::-1]),
        lambda: load(other, people[::-1]),
    )
    assert all(
        {one.verdict, two.verdict} == {Verdict.APPLIED, Verdict.REFUSED}
        for first, second in ((found[0], found[2]), (found[1], found[3]))
        for one, two in zip(first, reversed(second), strict=True)
    )
    assert Account.objects.count() == 2 * len(people)
    # An equal e-mail alone links nobody, and makes nobody a second identity.
    assert Identity.objects.count() == len(people)
    assert Account.objects.filter(identity__isnull=True).count() == len(people)


def test_a_disable_beats_every_login_that_comes_after_it(acme: House) -> None:
    created = submit(pushed(acme, Intent.CREATE, user("ada@acme.example", "e1")))
    submit(asserted(acme, "p-1", external_id="e1", email="ada@acme.example"))
    disable = lambda: submit(  # noqa: E731
        pushed(acme, Intent.UPDATE, user("ada@acme.example", "e1", active=False), created.account_id)
    )
    login = lambda: submit(asserted(acme, "p-1", external_id="e1", email="ada@acme.example"))  # noqa: E731
    at_once(*[login] * 6, disable, *[login] * 6)
    assert login().reason == "login:identity-held"
    assert not Identity.objects.with_state().get().enabled


def test_members_added_at_once_are_all_in_the_group(acme: House) -> None:
    people = [submit(pushed(acme, Intent.CREATE, user(f"u{n}@acme.example", f"e{n}"))) for n in range(8)]
    made = submit_group(group(acme, Intent.CREATE, display_name="All"))
    at_once(
        *[
            lambda person=person: submit_group(
                group(acme, Intent.UPDATE, group_id=made.account_id, add=(person.account_id,))
            )
            for person in people
        ]
    )
    assert Membership.objects.filter(group_id=made.account_id).count() == 8


def test_a_login_that_waits_for_a_delete_makes_no_ghost_of_the_leaver(acme: House) -> None:
    """A DELETE names no key that a login could lock: it has read who she was, and must learn that she left."""
    key = "ada@acme.example"
    ada = submit(pushed(acme, Intent.CREATE, user(key, "e1")))

    def login() -> Outcome:
        try:
            return submit(asserted(acme, key, format="unspecified", email=key))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            submit(pushed(acme, Intent.DELETE, account_id=ada.account_id))
            waiting = pool.submit(login)
            until_somebody_waits()
        outcome = waiting.result(timeout=60)
    assert (outcome.verdict, outcome.reason) == (Verdict.REFUSED, "login:account-deleted")
    assert Identity.objects.count() == Account.objects.count() == 1

"""Races on PostgreSQL: whoever comes first, twice, late or at once, one person stays one identity."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from threading import Barrier, Event
from time import monotonic, sleep
from typing import Any

import pytest
from django.db import connection, connections, transaction

from provisioning import apply as applying
from provisioning.decision.types import Intent, Observation, Outcome, Verdict
from provisioning.models import (
    Account,
    AuditRecord,
    Connection,
    DirectoryGroup,
    Finding,
    Identity,
    Membership,
    Merge,
)
from provisioning.services import configuration, groups, merging, submission, submit, submit_many
from provisioning.services.groups import submit_group

from ..cast import OPERATOR, House, asserted, extend, push, pushed, user
from .test_groups import group

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Runs every act in a thread and a database connection of its own, released by one barrier."""
    barrier = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        barrier.wait(timeout=30)
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(closing(run), act) for act in acts]]


def closing(act: Callable[..., Any]) -> Callable[..., Any]:
    """For a thread, whose database connection ends with it."""

    def run(*arguments: Any) -> Any:
        try:
            return act(*arguments)
        finally:
            connections.close_all()

    return run


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

    outcome = while_it_is_open(
        lambda: submit(pushed(acme, Intent.DELETE, account_id=ada.account_id)),
        lambda: submit(asserted(acme, key, format="unspecified", email=key)),
    )
    assert (outcome.verdict, outcome.reason) == (Verdict.REFUSED, "login:account-deleted")
    assert Identity.objects.count() == Account.objects.count() == 1


class TestOfALeaverAndAGroup:
    """Somebody is deleted while a push speaks of her as a member: one of the two learns of the other."""

    @pytest.fixture
    def ada(self, acme: House) -> Any:
        return submit(pushed(acme, Intent.CREATE, user("ada@acme.example", "e1"))).account_id

    @pytest.fixture
    def staff(self, acme: House) -> Any:
        return submit_group(group(acme, Intent.CREATE, display_name="Staff")).account_id

    @pytest.fixture
    def leave(self, acme: House, ada: Any) -> Callable[[], Outcome]:
        return lambda: submit(pushed(acme, Intent.DELETE, account_id=ada))

    @pytest.fixture
    def join(self, acme: House, ada: Any, staff: Any) -> Callable[[], Outcome]:
        return lambda: submit_group(group(acme, Intent.UPDATE, group_id=staff, add=(ada,)))

    @pytest.mark.parametrize("way", ["into a group", "into a new group", "as all that a group has"])
    def test_a_push_takes_nobody_in_who_is_being_deleted(
        self, acme: House, ada: Any, staff: Any, leave: Callable[[], Outcome], way: str
    ) -> None:
        said = {
            "into a group": {"intent": Intent.UPDATE, "group_id": staff, "add": (ada,)},
            "into a new group": {"intent": Intent.CREATE, "display_name": "New", "add": (ada,)},
            "as all that a group has": {
                "intent": Intent.UPDATE,
                "group_id": staff,
                "add": (ada,),
                "replace_members": True,
            },
        }[way]
        assert while_it_is_open(leave, lambda: submit_group(group(acme, **said))).reason == (
            "group:member-unknown"
        )
        assert not Membership.objects.exists()

    def test_a_push_that_may_leave_somebody_out_leaves_out_who_is_being_deleted(
        self, acme: House, ada: Any, staff: Any, leave: Callable[[], Outcome]
    ) -> None:
        said = group(acme, Intent.UPDATE, group_id=staff, add=(ada,))
        assert while_it_is_open(leave, lambda: submit_group(said, skip_unknown=True)).accepted
        assert not Membership.objects.exists()
        assert Finding.objects.get().kind == "group:member-unknown"

    def test_whom_a_push_is_taking_in_leaves_the_group_with_her_account(
        self, staff: Any, leave: Callable[[], Outcome], join: Callable[[], Outcome]
    ) -> None:
        assert while_it_is_open(join, leave).accepted
        assert not Membership.objects.exists()
        assert DirectoryGroup.objects.get(pk=staff).version == 3

    def test_a_login_account_that_ends_in_the_pushed_one_is_taken_in_by_no_group(self, acme: House) -> None:
        """An administrator's act ends it, not its IdP."""
        made = submit(asserted(acme, "p-1", email="ada@acme.example"))
        there = submit(pushed(acme, Intent.CREATE, user("ada.l@acme.example", "e1")))
        assert made.account_id != there.account_id
        staff = submit_group(group(acme, Intent.CREATE, display_name="Staff")).account_id
        loser, winner = (Identity.objects.with_state().get(pk=one.identity_id) for one in (made, there))
        end = lambda: merging.merge(  # noqa: E731
            winner=winner, loser=loser, actor=OPERATOR, reason="One person"
        )
        join = lambda: submit_group(  # noqa: E731
            group(acme, Intent.UPDATE, group_id=staff, add=(made.account_id,))
        )
        assert while_it_is_open(end, join).reason == "group:member-unknown"
        assert not Membership.objects.exists()

    @pytest.mark.parametrize("parting", [False, True], ids=["while two become one", "while one becomes two"])
    def test_whom_a_push_takes_out_is_handed_over_to_no_account(self, acme: House, parting: bool) -> None:
        made = submit(asserted(acme, "p-1", email="ada@acme.example"))
        there = submit(pushed(acme, Intent.CREATE, user("ada.l@acme.example", "e1")))
        staff = submit_group(
            group(acme, Intent.CREATE, display_name="Admins", add=(made.account_id,))
        ).account_id
        loser, winner = (Identity.objects.with_state().get(pk=one.identity_id) for one in (made, there))
        act = lambda: merging.merge(  # noqa: E731
            winner=winner, loser=loser, actor=OPERATOR, reason="One person"
        )
        member = made.account_id
        if parting:
            act()
            merged = Merge.objects.get()
            act = lambda: merging.unmerge(merge=merged, actor=OPERATOR, reason="Two")  # noqa: E731
            member = there.account_id
        assert Membership.objects.get().account_id == member
        leave = lambda: submit_group(  # noqa: E731
            group(acme, Intent.UPDATE, group_id=staff, remove=(member,))
        )
        assert while_it_is_open(leave, act).accepted
        assert not Membership.objects.exists()

    def test_a_push_that_takes_a_leaver_out_waits_for_her_deletion_in_no_circle(
        self,
        acme: House,
        ada: Any,
        staff: Any,
        leave: Callable[[], Outcome],
        join: Callable[[], Outcome],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """As IdPs do when somebody leaves: out of her group, and deleted. The push has the group and not her yet."""
        join()
        begun, held, leave_group = count_begun(monkeypatch), Event(), groups._leave

        def left_when_the_deletion_waits(*arguments: Any) -> Any:
            held.set()
            until_somebody_waits()
            return leave_group(*arguments)

        monkeypatch.setattr(groups, "_leave", left_when_the_deletion_waits)
        out = group(acme, Intent.UPDATE, group_id=staff, remove=(ada,))
        assert beside(lambda: submit_group(out), held, leave).accepted
        # Nobody was a deadlock's victim, and began again.
        assert sorted(begun) == ["deletion", "push"]
        assert not Membership.objects.exists()

    def test_a_push_that_takes_a_leaver_in_once_more_waits_for_her_deletion_in_no_circle(
        self,
        leave: Callable[[], Outcome],
        join: Callable[[], Outcome],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A member already: the deletion has her, and has not come to her group."""
        join()
        begun, held, bury = count_begun(monkeypatch), Event(), applying._bury

        def buried_when_the_push_waits(*arguments: Any) -> Any:
            with connection.cursor() as cursor:
                # What travels with the next statement arrives.
                cursor.execute("SELECT 1")
            held.set()
            until_somebody_waits()
            return bury(*arguments)

        monkeypatch.setattr(applying, "_bury", buried_when_the_push_waits)
        assert beside(leave, held, join).reason == "group:member-unknown"
        assert sorted(begun) == ["deletion", "push"]
        assert not Membership.objects.exists()


def count_begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each beginning of a deletion and of a push, from now on."""
    begun: list[str] = []

    def counting(what: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            begun.append(what)
            return act(*arguments)

        return counted

    monkeypatch.setattr(submission, "apply", counting("deletion", submission.apply))
    monkeypatch.setattr(groups, "_update", counting("push", groups._update))
    return begun


def beside(first: Callable[[], Any], held: Event, second: Callable[[], Outcome]) -> Outcome:
    """What the second comes to, begun when the first has told that it holds what it has."""
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(closing(first))
        assert held.wait(30)
        outcome = second()
        other.result(timeout=60)
    return outcome


def while_it_is_open(first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    """What the second comes to that waits for the first one's transaction."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            first()
            other = pool.submit(closing(second))
            until_somebody_waits()
        return other.result(timeout=60)


class TestOfDeactivations:
    """Where the connection is strict: however many come at once, no more people are switched off than it allows."""

    @pytest.fixture
    def crowd(self, acme: House) -> list[Any]:
        strict(acme, 2)
        return [push(acme, user(f"p{n}@acme.example", f"e{n}")).account_id for n in range(12)]

    @pytest.mark.parametrize("intent", [Intent.DISABLE, Intent.DELETE])
    def test_twelve_at_once_go_no_further_than_one_after_the_other(
        self, acme: House, crowd: list[Any], intent: Intent
    ) -> None:
        outcomes = at_once(*[lambda one=one: submit(leaving(acme, one, intent)) for one in crowd])
        assert [outcome.accepted for outcome in outcomes].count(True) == 2
        assert Identity.objects.with_state().filter(enabled=True).count() == 10
        assert "scim-deactivations" in Connection.objects.get(pk=acme.connection.pk).stopped
        assert Finding.objects.get().kind == "connection:deactivation-burst"

    def test_batches_that_share_people_wait_for_each_other_in_no_circle(
        self, acme: House, crowd: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lost = count_lost(monkeypatch)
        orders = (crowd, crowd[::-1], crowd[6:] + crowd[:6], crowd[::2])
        told = at_once(
            *[lambda order=order: submit_many([leaving(acme, one) for one in order]) for order in orders]
        )
        assert verdicts(list(chain.from_iterable(told))).count("account:disabled") == 2
        assert Identity.objects.with_state().filter(enabled=True).count() == 10
        assert lost == []

    @pytest.mark.parametrize("first", [0, 1], ids=["in one order", "in the other"])
    def test_several_batches_in_one_transaction_wait_in_no_circle(
        self, acme: House, crowd: list[Any], monkeypatch: pytest.MonkeyPatch, first: int
    ) -> None:
        """As a Bulk with PATCH and DELETE has them: what it waits for it waits for at its beginning."""
        lost = count_lost(monkeypatch)

        def bulk() -> list[Outcome]:
            outcomes = submit_many([leaving(acme, crowd[first])])
            return outcomes + submit_many([leaving(acme, crowd[1 - first], Intent.DELETE)])

        single = lambda: submit(leaving(acme, crowd[1 - first]))  # noqa: E731
        at_once(lambda: submission.retrying(bulk), single, lambda: submission.retrying(bulk), single)
        assert Identity.objects.with_state().filter(enabled=True).count() == 10
        assert lost == []

    def test_the_second_waits_until_the_first_is_counted(self, acme: House, crowd: list[Any]) -> None:
        submit(leaving(acme, crowd[0]))
        outcome = while_it_is_open(
            lambda: submit(leaving(acme, crowd[1])), lambda: submit(leaving(acme, crowd[2]))
        )
        assert outcome.reason == "account:deactivation-stopped"

    @pytest.mark.parametrize("what", ["a change of somebody", "somebody new", "one more word of a leaver"])
    def test_who_switches_nobody_off_waits_for_nobody(self, acme: House, crowd: list[Any], what: str) -> None:
        submit(leaving(acme, crowd[0]))
        act = {
            "a change of somebody": lambda: submit(
                pushed(acme, Intent.UPDATE, user("p5@acme.example", "e5", title="Dr"), crowd[5])
            ),
            "somebody new": lambda: push(acme, user("new@acme.example", "new")),
            "one more word of a leaver": lambda: submit(leaving(acme, crowd[0])),
        }[what]
        assert beside_it(lambda: submit(leaving(acme, crowd[1])), act).accepted

    @pytest.mark.parametrize("where", ["another connection", "the same one, which is not strict"])
    def test_so_does_who_is_counted_elsewhere_or_nowhere(
        self, acme: House, crowd: list[Any], where: str
    ) -> None:
        other = extend(acme.tenant, "Other") if where == "another connection" else acme
        (strict if other is not acme else lax)(other)
        there = push(other, user("there@acme.example", "there")).account_id
        assert beside_it(
            lambda: submit(leaving(acme, crowd[1])), lambda: submit(leaving(other, there))
        ).accepted


def strict(where: House, number: int = 2) -> None:
    _change(where, burst_deactivations=number, strict_deactivations=True)


def lax(where: House) -> None:
    _change(where, strict_deactivations=False)


def _change(where: House, **changes: Any) -> None:
    configuration.change_connection(
        connection=where.connection, changes=changes, actor=OPERATOR, reason="As agreed"
    )


def leaving(where: House, account_id: Any, intent: Intent = Intent.DISABLE) -> Observation:
    return pushed(where, intent, account_id=account_id, active=False)


def count_lost(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The state of each race that is lost from now on."""
    lost: list[str] = []
    state = submission._state

    def counted(error: Exception) -> str:
        lost.append(state(error))
        return lost[-1]

    monkeypatch.setattr(submission, "_state", counted)
    return lost


def beside_it(first: Callable[[], Any], second: Callable[[], Outcome]) -> Outcome:
    """What the second comes to while the first one's transaction is open, for which it does not wait."""
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        first()
        return pool.submit(closing(second)).result(timeout=30)

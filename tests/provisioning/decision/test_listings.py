"""What a complete roster does to each situation: it makes, confirms, closes; it never revives what others closed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from provisioning.decision.types import (
    CreateIdentity,
    Decision,
    HoldKind,
    Intent,
    LinkAccount,
    OpenFinding,
    Origin,
    Verdict,
)

from .world import NOW, OKTA, OPEN, World, answer, kinds

APPLIED, UNCHANGED, REFUSED = Verdict.APPLIED, Verdict.UNCHANGED, Verdict.REFUSED


@pytest.fixture
def world() -> World:
    return World()


@dataclass(frozen=True, kw_only=True)
class Row:
    """A story that ends with a row, and all that is so afterwards of the person ada, in whichever account she has."""

    id: str
    story: Callable[[World], Decision]
    answer: tuple[Verdict, str]
    held: frozenset[HoldKind] = frozenset()
    active: bool | None = True
    """None: there is no account."""
    asked: tuple[str, ...] = ()


def after(*steps: Callable[[World], Decision]) -> Callable[[World], Decision]:
    """Each step an hour after the one before it."""

    def tell(world: World) -> Decision:
        for step in steps:
            decision = step(world)
            world.later(hours=1)
        return decision

    return tell


def post(world: World) -> Decision:
    return world.post("ada", "k1")


def listed(key: str | None = "k1", **said: object) -> Callable[[World], Decision]:
    return lambda world: world.listed("ada", key, **said)


def put(**said: object) -> Callable[[World], Decision]:
    return lambda world: world.put(_only(world), "ada", "k1", **said)


def missing(world: World) -> Decision:
    return world.run(Intent.ABSENT, account_id=_only(world), as_of=world.at)


def delete(world: World) -> Decision:
    return world.delete(_only(world))


def lift(world: World) -> Decision:
    identity = world.accounts[_only(world)].identity_id
    return world.act(Intent.ENABLE, target_identity_id=identity, hold=HoldKind.SCIM)


def hold(world: World) -> Decision:
    identity = world.accounts[_only(world)].identity_id
    return world.act(Intent.DISABLE, target_identity_id=identity, hold=HoldKind.ADMIN, reason="asked")


def _only(world: World):
    (account_id,) = world.accounts
    return account_id


SCIM = frozenset({HoldKind.SCIM})
OLD = NOW - timedelta(days=1)

STORIES = [
    Row(
        id="nobody known: an account and a person", story=after(listed()), answer=(APPLIED, "account:created")
    ),
    Row(
        id="nobody known, and inactive: an account whose person is held, so that no login makes another",
        story=after(listed(active=False)),
        answer=(APPLIED, "account:created"),
        held=SCIM,
        active=False,
    ),
    Row(
        id="the same row again changes nothing",
        story=after(listed(), listed()),
        answer=(UNCHANGED, "account:unchanged"),
    ),
    Row(
        id="a row says something new",
        story=after(post, listed(given_name="Ada")),
        answer=(APPLIED, "account:updated"),
    ),
    Row(
        id="a row that SCIM overtook changes nothing",
        story=after(post, listed(given_name="Ada", as_of=OLD)),
        answer=(UNCHANGED, "account:newer-than-roster"),
    ),
    Row(
        id="a row that SCIM overtook disables nobody",
        story=after(post, listed(active=False, as_of=OLD)),
        answer=(UNCHANGED, "account:newer-than-roster"),
    ),
    Row(
        id="an older roster is overtaken by a newer one",
        story=after(listed(), listed(given_name="Ada", as_of=OLD)),
        answer=(UNCHANGED, "account:newer-than-roster"),
    ),
    Row(
        id="inactive there, active here: held",
        story=after(post, listed(active=False)),
        answer=(APPLIED, "account:disabled"),
        held=SCIM,
        active=False,
    ),
    Row(
        id="whom a roster closed, a later roster opens",
        story=after(post, listed(active=False), listed()),
        answer=(APPLIED, "account:enabled"),
    ),
    Row(
        id="whom a roster made and closed, a later roster opens",
        story=after(listed(), listed(active=False), listed()),
        answer=(APPLIED, "account:enabled"),
    ),
    Row(
        id="whom SCIM closed, no roster opens",
        story=after(post, put(active=False), listed()),
        answer=(APPLIED, "account:state-conflict"),
        held=SCIM,
        active=False,
        asked=("account:state-conflict",),
    ),
    Row(
        id="it is asked once, whatever rosters come",
        story=after(post, put(active=False), listed(), listed()),
        answer=(UNCHANGED, "account:state-conflict"),
        held=SCIM,
        active=False,
        asked=("account:state-conflict",),
    ),
    Row(
        id="whom SCIM closed after a roster did, no roster opens",
        story=after(post, listed(active=False), put(active=False), listed()),
        answer=(APPLIED, "account:state-conflict"),
        held=SCIM,
        active=False,
        asked=("account:state-conflict",),
    ),
    Row(
        id="whom SCIM closed and an administrator let in, a roster leaves as she is",
        story=after(post, put(active=False), lift, listed(active=False)),
        answer=(UNCHANGED, "account:unchanged"),
        active=False,
    ),
    Row(
        id="an administrator's hold stays whatever a roster says",
        story=after(post, hold, listed(given_name="Ada")),
        answer=(APPLIED, "account:updated"),
        held=frozenset({HoldKind.ADMIN}),
    ),
    Row(
        id="a roster that does not say who is active closes and opens nobody",
        story=after(post, put(active=False), listed(active=None, given_name="Ada")),
        answer=(APPLIED, "account:updated"),
        held=SCIM,
        active=False,
    ),
    Row(
        id="missing from rosters: held",
        story=after(post, missing),
        answer=(APPLIED, "account:missing"),
        held=SCIM,
    ),
    Row(
        id="missing, and SCIM has spoken since: not held",
        story=after(post, lambda w: w.run(Intent.ABSENT, account_id=_only(w), as_of=OLD)),
        answer=(UNCHANGED, "account:newer-than-roster"),
    ),
    Row(
        id="missing, but closed by SCIM and let in by an administrator: left so",
        story=after(post, put(active=False), lift, missing),
        answer=(UNCHANGED, "account:unchanged"),
        active=False,
    ),
    Row(
        id="who was missing and is listed again comes back",
        story=after(post, missing, listed()),
        answer=(APPLIED, "account:enabled"),
    ),
    Row(
        id="also by a roster that does not say who is active",
        story=after(post, missing, listed(active=None)),
        answer=(APPLIED, "account:enabled"),
    ),
    Row(
        id="which lifts that hold and no administrator's",
        story=after(post, missing, hold, listed(active=None)),
        answer=(APPLIED, "account:enabled"),
        held=frozenset({HoldKind.ADMIN}),
    ),
    Row(
        id="nor that of an account which SCIM closed since",
        story=after(post, missing, put(active=False), listed(active=None)),
        answer=(UNCHANGED, "account:unchanged"),
        held=SCIM,
        active=False,
    ),
    Row(
        id="who was missing, and SCIM says active=true, comes back",
        story=after(post, missing, put(active=True)),
        answer=(APPLIED, "account:enabled"),
    ),
    Row(
        id="who was missing, and a PUT leaves active out, stays held: no omission revives (row 20)",
        story=after(post, missing, put(given_name="Ada")),
        answer=(APPLIED, "account:updated"),
        held=SCIM,
    ),
    Row(
        id="who was missing, and then SCIM closed her, is not opened by a roster",
        story=after(post, missing, put(active=False), listed()),
        answer=(APPLIED, "account:state-conflict"),
        held=SCIM,
        active=False,
        asked=("account:state-conflict",),
    ),
    Row(
        id="a login's account with the same name is confirmed",
        story=after(lambda w: w.login("ada", "p-1"), listed()),
        answer=(APPLIED, "account:adopted"),
    ),
    Row(
        id="a login's account with the same key is confirmed, whatever its name was",
        story=after(lambda w: w.login("a.lovelace", "k1"), listed()),
        answer=(APPLIED, "account:adopted"),
    ),
    Row(
        id="a login's account that expired comes back by being listed",
        story=after(
            lambda w: w.login("ada", "p-1"),
            lambda w: w.later(days=30),
            lambda w: w.run(Intent.ABSENT, account_id=_only(w)),
            listed(),
        ),
        answer=(APPLIED, "account:adopted"),
        asked=("account:unconfirmed",),
    ),
    Row(
        id="a login's account that is listed as inactive is confirmed and held",
        story=after(lambda w: w.login("ada", "p-1"), listed(active=False)),
        answer=(APPLIED, "account:adopted"),
        held=SCIM,
        active=False,
    ),
    Row(
        id="a login's account whose key says somebody else is not confirmed by its name",
        story=after(lambda w: w.login("ada", "p-1", key="k9"), listed()),
        answer=(REFUSED, "account:user-name-taken"),
        asked=("account:key-contradicts",),
    ),
    Row(
        id="a name that another key has is not taken over",
        story=after(post, listed("k2")),
        answer=(REFUSED, "account:user-name-taken"),
        asked=("account:key-contradicts",),
    ),
    Row(
        id="an account without a key takes the roster's",
        story=after(lambda w: w.post("ada"), listed()),
        answer=(APPLIED, "account:updated"),
    ),
    Row(
        id="a roster without keys takes none away",
        story=after(post, listed(None)),
        answer=(UNCHANGED, "account:unchanged"),
    ),
    Row(
        id="whom SCIM deleted, no roster makes anew",
        story=after(post, delete, listed()),
        answer=(APPLIED, "account:state-conflict"),
        active=None,
        asked=("account:state-conflict",),
    ),
    Row(
        id="whom SCIM deleted after the roster's moment, the next roster may leave out: nobody is asked",
        story=after(post, delete, listed(as_of=OLD)),
        answer=(UNCHANGED, "account:newer-than-roster"),
        active=None,
    ),
    Row(
        id="of whom only the name is known, a roster without keys means her who was deleted",
        story=after(post, delete, listed(None)),
        answer=(APPLIED, "account:state-conflict"),
        active=None,
        asked=("account:state-conflict",),
    ),
    Row(
        id="a deleted one's name with another key is somebody new, and a person is asked",
        story=after(post, delete, listed("k2")),
        answer=(APPLIED, "account:created"),
        asked=("account:name-recycled",),
    ),
    Row(
        id="an account that is gone is not made by an update",
        story=after(listed(intent=Intent.UPDATE)),
        answer=(REFUSED, "account:unknown"),
        active=None,
    ),
    Row(
        id="a new person who has been pushed meanwhile is no second one",
        story=after(post, listed(intent=Intent.CREATE, given_name="Ada")),
        answer=(APPLIED, "account:updated"),
    ),
]


@pytest.mark.parametrize("row", STORIES, ids=lambda row: row.id)
def test_a_row_of_a_roster(world: World, row: Row) -> None:
    decision = row.story(world)
    assert answer(decision) == row.answer
    assert tuple(world.asked()) == row.asked
    if row.active is None:
        assert world.accounts == {}
        return
    account = world.accounts[_only(world)]
    assert (account.active, world.held(account.identity_id)) == (row.active, row.held)
    assert account.resource.get("active") is row.active


def test_who_came_by_a_roster_is_owned_by_rosters_until_scim_speaks(world: World) -> None:
    made = world.listed("ada", "k1")
    account = world.accounts[made.account_id]
    assert (account.origin, account.lifecycle_owner, account.confirmed) == (
        Origin.ROSTER,
        Origin.ROSTER,
        True,
    )
    world.put(made.account_id, "ada", "k1")
    assert world.accounts[made.account_id].lifecycle_owner is Origin.SCIM


def test_two_accounts_that_answer_to_one_row_are_put_to_a_person(world: World) -> None:
    keyed, named = world.post("ada.l", "k1"), world.post("ada")
    decision = world.listed("ada", "k1")
    assert (answer(decision), kinds(decision)) == ((REFUSED, "account:user-name-taken"), {OpenFinding})
    (finding,) = world.findings
    assert (finding.kind, finding.account_id, finding.evidence) == (
        "account:duplicate",
        keyed.account_id,
        {"account": str(named.account_id)},
    )


def test_of_two_accounts_that_answer_to_one_row_the_one_with_the_key_is_closed(world: World) -> None:
    keyed, named = world.post("ada.l", "k1"), world.post("ada")
    assert answer(world.listed("ada", "k1", active=False)) == (APPLIED, "account:disabled")
    closed = world.accounts[keyed.account_id]
    assert (closed.active, closed.user_name, world.held(named.identity_id)) == (False, "ada.l", set())
    assert closed.resource["active"] is False, "a client reads what is so"
    assert world.held(keyed.identity_id) == {HoldKind.SCIM}
    assert world.asked() == ["account:duplicate"]


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("key", [None, "k2"], ids=["without a key", "with another key"])
def test_a_name_does_not_mean_whom_another_row_means_by_her_key(
    world: World, key: str | None, active: bool
) -> None:
    ada = world.post("ada", "k1")
    before = world.accounts[ada.account_id]
    row = replace(world.row("ada", key, active=active), of_another_row=ada.account_id)
    decision = world.submit(row)
    assert (answer(decision), kinds(decision)) == ((REFUSED, "account:user-name-taken"), {OpenFinding})
    assert world.asked() == ["account:key-contradicts"]
    assert (world.accounts[ada.account_id], world.held(ada.identity_id)) == (before, set())


def test_a_login_made_a_second_account_under_the_key_that_a_roster_gives(world: World) -> None:
    named, keyed = world.post("ada"), world.login("ada.l", "k1")
    assert answer(world.listed("ada", "k1")) == (REFUSED, "account:user-name-taken")
    (finding,) = world.findings
    assert (finding.kind, finding.account_id, finding.evidence) == (
        "account:duplicate",
        keyed.account_id,
        {"account": str(named.account_id)},
    )


def test_an_e_mail_alone_never_matches_and_a_weak_match_waits(world: World) -> None:
    world.post("ada", "k1", email="ada@example.org")
    decision = world.listed("a.lovelace", "k2", email="ada@example.org")
    assert answer(decision) == (APPLIED, "account:link-pending")
    assert decision.identity_id is None
    assert world.asked() == ["account:weak-match"]


def test_a_strong_match_in_another_connection_is_linked(world: World) -> None:
    first = world.post("ada", "k1", hr_number="7")
    world.policy = replace(OPEN, trusted_hr_number=True)
    decision = world.listed("ada", "okta-1", hr_number="7", connection_id=OKTA)
    assert answer(decision) == (APPLIED, "account:linked")
    assert (decision.identity_id, kinds(decision) & {CreateIdentity, LinkAccount}) == (
        first.identity_id,
        set(),
    )


def test_nobody_s_break_glass_access_is_touched(world: World) -> None:
    first = world.post("ada", "k1", email="desk@example.org")
    world.protected.add(first.identity_id)
    before = dict(world.accounts)
    assert answer(world.listed("ada", "k1", active=False)) == (UNCHANGED, "account:unchanged")
    assert answer(world.listed("ada", "k1", intent=Intent.CREATE)) == (UNCHANGED, "account:unchanged")
    beside = world.listed("desk", "k2", email="desk@example.org")
    assert answer(beside) == (APPLIED, "account:link-pending")
    assert world.accounts.items() >= before.items()
    assert (world.holds, world.asked()) == ([], ["account:protected-match"])


def test_an_account_without_a_person_changes_alone_and_closes_her_whom_it_may_be(world: World) -> None:
    login = world.login("ada", "p-1", email="ada@example.org")
    pending = world.post("ada.l", "k1", email="ada@example.org")
    assert pending.reason == "account:link-pending"
    assert answer(world.listed("ada.l", "k1", email="ada@example.org", given_name="Ada")) == (
        APPLIED,
        "account:updated",
    )
    assert answer(world.listed("ada.l", "k1", email="ada@example.org", active=False)) == (
        APPLIED,
        "account:disabled",
    )
    assert world.held(login.identity_id) == {HoldKind.SCIM}


def test_what_a_roster_does_not_say_stays(world: World) -> None:
    first = world.post("ada", "k1", hr_number="7", given_name="Ada")
    world.listed("ada", "k1", says=frozenset({"user_name", "given_name"}), given_name="", email="")
    account = world.accounts[first.account_id]
    assert account.resource.get("name") is None
    assert account.emails == ("ada@example.org",)
    shown = world.profiles[first.identity_id]
    assert (shown.given_name, shown.hr_number, shown.email) == ("", "7", "ada@example.org")


def test_a_rename_keeps_the_old_names(world: World) -> None:
    first = world.post("ada", "k1")
    world.listed("ada.l", "k1")
    account = world.accounts[first.account_id]
    assert (account.user_name, account.resource["userName"], account.emails) == (
        "ada.l",
        "ada.l",
        ("ada.l@example.org",),
    )
    assert world.aliases == {
        (first.account_id, "user_name", "ada"),
        (first.account_id, "email", "ada@example.org"),
    }


def test_a_row_that_was_found_for_one_account_is_decided_about_the_one_that_answers_now(world: World) -> None:
    first, second = world.post("ada", "k1"), world.post("bob", "k2")
    row = world.row("ada", "k1", given_name="Ada")
    decision = world.submit(replace(row, account_id=second.account_id))
    assert (decision.account_id, answer(decision)) == (first.account_id, (APPLIED, "account:updated"))


def test_a_run_over_stored_facts_is_no_row_of_a_roster(world: World) -> None:
    first = world.post("ada", "k1")
    assert world.run(Intent.UPDATE, account_id=first.account_id).reason == "account:unchanged"
    assert world.run(Intent.DISABLE, target_identity_id=first.identity_id).reason == "identity:unchanged"


@pytest.mark.parametrize("days", [0, 400])
def test_a_key_that_returns_after_the_retention_is_somebody_new(world: World, days: int) -> None:
    world.delete(world.post("ada", "k1").account_id)
    world.later(days=days)
    world.later(hours=1)
    decision = world.listed("ada", "k1")
    assert answer(decision) == ((APPLIED, "account:created") if days else (APPLIED, "account:state-conflict"))

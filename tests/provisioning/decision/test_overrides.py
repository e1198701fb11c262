"""An administrator's word on what an identity shows: it goes first, until it ends, and it is nobody's key."""

from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.decision.authority import OVERRIDABLE
from provisioning.decision.effects import show
from provisioning.decision.types import (
    PROFILE_FIELDS,
    EndOverride,
    Intent,
    Merge,
    Override,
    SetOverride,
    UpdateAccount,
    UpdateIdentity,
    Verdict,
)

from .world import NOW, OKTA, OPEN, World, answer, kinds, name

UNTIL = NOW + timedelta(days=30)


@pytest.fixture
def world() -> World:
    return World()


def override(world, identity_id, attribute, value, key="one"):
    wanted = Override(id=name(key), attribute=attribute, value=value, until=UNTIL)
    return world.act(
        Intent.OVERRIDE,
        target_identity_id=identity_id,
        connection_id=None,
        override=wanted,
        reason="The source is late",
    )


def end(world, identity_id, key="one"):
    return world.act(
        Intent.END_OVERRIDE, target_identity_id=identity_id, connection_id=None, override_id=name(key)
    )


def test_names_titles_departments_and_e_mails_are_an_administrator_s_to_override(world):
    assert set(PROFILE_FIELDS) - set(OVERRIDABLE) == {"user_name", "hr_number", "locale", "time_zone"}


def test_an_override_is_shown_whatever_the_sources_say_then_and_later(world):
    ada = world.post("ada", "key-1", given_name="Ada")
    decision = override(world, ada.identity_id, "given_name", "Adele")
    assert answer(decision) == (Verdict.APPLIED, "identity:overridden")
    assert kinds(decision) == {SetOverride, UpdateIdentity}
    assert world.profiles[ada.identity_id].given_name == "Adele"
    world.put(ada.account_id, "ada", "key-1", given_name="Adelheid")
    world.login(nameid="key-1", given_name="Adi")
    assert world.profiles[ada.identity_id].given_name == "Adele"
    assert world.accounts[ada.account_id].resource["name"]["givenName"] == "Adelheid"


def test_its_end_shows_again_what_the_sources_say_by_then(world):
    ada = world.post("ada", "key-1", given_name="Ada")
    override(world, ada.identity_id, "given_name", "Adele")
    world.put(ada.account_id, "ada", "key-1", given_name="Adelheid")
    decision = end(world, ada.identity_id)
    assert answer(decision) == (Verdict.APPLIED, "identity:override-ended")
    assert kinds(decision) == {EndOverride, UpdateIdentity}
    assert world.profiles[ada.identity_id].given_name == "Adelheid"
    assert answer(end(world, ada.identity_id)) == (Verdict.UNCHANGED, "identity:unchanged")


def test_the_newest_override_of_an_attribute_counts_and_ends_the_one_before(world):
    ada = world.post("ada", "key-1", given_name="Ada")
    override(world, ada.identity_id, "given_name", "Adele")
    decision = override(world, ada.identity_id, "given_name", "Adi", "two")
    assert kinds(decision) == {EndOverride, SetOverride, UpdateIdentity}
    assert world.profiles[ada.identity_id].given_name == "Adi"
    end(world, ada.identity_id, "two")
    assert world.profiles[ada.identity_id].given_name == "Ada"


def test_one_of_another_attribute_stays_when_one_ends(world):
    ada = world.post("ada", "key-1", given_name="Ada")
    override(world, ada.identity_id, "given_name", "Adele")
    override(world, ada.identity_id, "title", "Dr", "two")
    end(world, ada.identity_id)
    profile = world.profiles[ada.identity_id]
    assert (profile.given_name, profile.title) == ("Ada", "Dr")


def test_whom_no_account_vouches_for_any_more_shows_afterwards_what_was_shown_before(world):
    ada = world.post("ada", "key-1", given_name="Ada")
    override(world, ada.identity_id, "given_name", "Adele")
    world.delete(ada.account_id)
    assert world.profiles[ada.identity_id].given_name == "Adele"
    end(world, ada.identity_id)
    assert world.profiles[ada.identity_id].given_name == "Ada"


def test_whoever_is_held_can_be_shown_otherwise_and_stays_held(world):
    ada = world.post("ada", "key-1", given_name="Ada", active=False)
    assert override(world, ada.identity_id, "given_name", "Adele").verdict is Verdict.APPLIED
    assert world.held(ada.identity_id)


@pytest.mark.parametrize("attribute", ["user_name", "hr_number", "locale", "time_zone", "password"])
def test_what_somebody_is_recognised_by_or_chooses_is_not_overridden(world, attribute):
    ada = world.post("ada", "key-1")
    decision = override(world, ada.identity_id, attribute, "bob")
    assert answer(decision) == (Verdict.REFUSED, "identity:override-refused")
    assert decision.changes == ()


def test_an_override_of_nothing_is_refused(world):
    ada = world.post("ada", "key-1")
    assert override(world, ada.identity_id, "title", "").reason == "identity:override-refused"


@pytest.mark.parametrize("act", [override, end])
def test_nobody_overrides_whom_nobody_knows(world, act):
    more = ("title", "Dr") if act is override else ()
    assert answer(act(world, name("nobody"), *more)) == (Verdict.REFUSED, "identity:unknown")


class TestOfAnEmail:
    """Attack: shown with somebody else's e-mail, an identity waits for that person's account to be linked to it."""

    @pytest.fixture
    def world(self) -> World:
        return World(policy=replace(OPEN, trusted_email=True))

    def test_nobody_is_recognised_by_it(self, world):
        mallory = world.post("mallory", "key-1")
        override(world, mallory.identity_id, "email", "victim@example.org")
        came = world.post("victim", "okta-1", connection_id=OKTA)
        assert came.reason == "account:created"
        assert came.identity_id != mallory.identity_id
        signed_in = world.login("victim2", "p-2", email="victim@example.org", connection_id=name("third"))
        assert signed_in.identity_id != mallory.identity_id

    def test_everybody_is_recognised_by_what_the_sources_say_all_the_same(self, world):
        ada = world.post("ada", "key-1")
        override(world, ada.identity_id, "email", "ada.new@example.org")
        came = world.post("ada", "okta-1", connection_id=OKTA)
        assert (came.reason, came.identity_id) == ("account:linked", ada.identity_id)

    def test_the_source_s_next_e_mail_is_known_though_another_one_is_shown(self, world):
        ada = world.post("ada", "key-1")
        override(world, ada.identity_id, "email", "shown@example.org")
        world.put(ada.account_id, "ada", "key-1", email="next@example.org")
        facts = world.identity(ada.identity_id)
        assert (facts.profile.email, facts.known_email) == ("shown@example.org", "next@example.org")
        end(world, ada.identity_id)
        facts = world.identity(ada.identity_id)
        assert (facts.profile.email, facts.known_email) == ("next@example.org", "next@example.org")

    def test_one_that_says_what_the_source_says_hides_it_when_that_changes(self, world):
        ada = world.post("ada", "key-1")
        override(world, ada.identity_id, "email", "ada@example.org")
        world.put(ada.account_id, "ada", "key-1", email="next@example.org")
        facts = world.identity(ada.identity_id)
        assert (facts.profile.email, facts.known_email) == ("ada@example.org", "next@example.org")


def test_a_merge_leaves_it_with_its_identity_and_an_unmerge_finds_it_there(world):
    one = world.post("ada", "key-1", given_name="Ada")
    other = world.post("adal", "okta-1", given_name="Adal", connection_id=OKTA)
    override(world, one.identity_id, "title", "Dr")
    override(world, other.identity_id, "given_name", "Adele", "two")
    both = {"target_identity_id": one.identity_id, "former_identity_id": other.identity_id}
    world.act(Intent.MERGE, connection_id=None, merge=Merge(id=name("merge")), **both)
    shown = world.profiles[one.identity_id]
    assert (shown.given_name in ("Ada", "Adal"), shown.title) == (True, "Dr")
    assert override(world, other.identity_id, "title", "Prof", "three").reason == "identity:merged-away"
    returning = Merge(id=name("merge"), accounts=frozenset({other.account_id}))
    world.act(Intent.UNMERGE, connection_id=None, merge=returning, **both)
    assert world.profiles[other.identity_id].given_name == "Adele"
    assert world.profiles[other.identity_id].title == ""


def test_it_ends_also_with_whoever_was_merged_away(world):
    one = world.post("ada", "key-1", given_name="Ada")
    other = world.post("adal", "okta-1", given_name="Adal", connection_id=OKTA)
    override(world, other.identity_id, "given_name", "Adele")
    world.act(
        Intent.MERGE,
        target_identity_id=one.identity_id,
        former_identity_id=other.identity_id,
        connection_id=None,
        merge=Merge(id=name("merge")),
    )
    assert answer(end(world, other.identity_id)) == (Verdict.APPLIED, "identity:override-ended")


def test_an_override_changes_no_account_and_its_second_thought_nothing(world):
    ada = world.post("ada", "key-1", given_name="Ada")
    override(world, ada.identity_id, "given_name", "Adele")
    again = world.put(ada.account_id, "ada", "key-1", given_name="Ada")
    assert not kinds(again) & {UpdateAccount, UpdateIdentity}


def test_one_whose_end_has_come_is_not_shown_by_whatever_looks_next(world):
    ada = world.post("ada", "key-1", given_name="Ada")
    override(world, ada.identity_id, "given_name", "Adele")
    facts = world.identity(ada.identity_id)
    late = replace(facts, overrides=tuple(replace(one, over=True) for one in facts.overrides))
    (change,) = show(late, facts.accounts)
    assert change.profile.given_name == "Ada"

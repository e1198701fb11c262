"""Rows 1, 6 to 11, 13, 15 to 21, 30 and 33 of the decision table: what SCIM may do."""

from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.decision.authority import ENTERPRISE_USER, profile_of_resource
from provisioning.decision.policy import Jit
from provisioning.decision.types import (
    AddAlias,
    CreateAccount,
    CreateIdentity,
    DeleteAccount,
    EndSessions,
    HoldKind,
    Intent,
    LiftHold,
    OpenFinding,
    PlaceHold,
    Rule,
    Situation,
    UpdateAccount,
    UpdateIdentity,
    Verdict,
)

from .world import EMAIL_FORMAT, ENTRA, OKTA, OPEN, World, answer, kinds, name


@pytest.fixture
def world() -> World:
    return World()


def test_a_post_of_nobody_known_makes_a_person(world):
    decision = world.post("ada", "key-1", given_name="Ada")
    assert answer(decision) == (Verdict.APPLIED, "account:created")
    assert kinds(decision) == {CreateIdentity, CreateAccount}
    account = world.accounts[decision.account_id]
    assert (account.confirmed, account.active, account.external_id) == (True, True, "key-1")
    assert (account.resource["active"], account.resource["externalId"]) == (True, "key-1")
    assert world.profiles[decision.identity_id].given_name == "Ada"


def test_a_post_of_somebody_inactive_makes_a_person_who_may_not_sign_in(world):
    decision = world.post("ada", "key-1", active=False)
    assert world.held(decision.identity_id) == {HoldKind.SCIM}
    assert world.login("ada", "p-1").reason == "login:identity-held"
    assert world.put(decision.account_id, external_id="key-1", active=True).reason == "account:enabled"
    assert world.login("ada", "p-1").reason == "login:account-bound"


@pytest.mark.parametrize(
    ("login", "post"),
    [
        pytest.param({"nameid": "key-1", "user": "ada.l"}, {}, id="its persistent NameID is the externalId"),
        pytest.param({"nameid": "p-1", "user": "ada.l", "key": "key-1"}, {}, id="its asserted key is"),
        pytest.param({"nameid": "p-1", "user": "Ada"}, {}, id="its name is the userName"),
        pytest.param({"nameid": "ada", "format": EMAIL_FORMAT}, {}, id="its NameID is the userName"),
        pytest.param(
            {"nameid": "p-1", "user": "ada"}, {"external_id": None}, id="its name is, without a key"
        ),
    ],
)
def test_a_post_adopts_the_account_that_a_login_made_when(world, login, post):
    first = world.login(**login)
    decision = world.post("ada", **{"external_id": "key-1", "given_name": "Augusta", **post})
    assert answer(decision) == (Verdict.APPLIED, "account:adopted")
    assert (decision.account_id, decision.identity_id) == (first.account_id, first.identity_id)
    account = world.accounts[decision.account_id]
    assert account.confirmed
    assert account.external_id == post.get("external_id", "key-1")
    assert account.user_name == "ada"
    assert world.profiles[first.identity_id].given_name == "Augusta"
    assert world.login(**login).account_id == first.account_id


def test_a_look_up_and_patch_adopts_as_well_and_lifts_the_expiry(world):
    first = world.login("ada", "p-1")
    world.later(days=15)
    world.run(Intent.ABSENT, account_id=first.account_id)
    assert world.held(first.identity_id) == {HoldKind.EXPIRY}
    decision = world.put(first.account_id, "ada", "key-1")
    assert answer(decision) == (Verdict.APPLIED, "account:adopted")
    assert world.held(first.identity_id) == set()


def test_adoption_lifts_no_other_hold(world):
    first = world.login("ada", "p-1")
    world.act(Intent.DISABLE, target_identity_id=first.identity_id, hold=HoldKind.SECURITY)
    world.post("ada", "key-1", active=True)
    assert world.held(first.identity_id) == {HoldKind.SECURITY}


def test_an_adoption_that_says_inactive_disables(world):
    first = world.login("ada", "p-1")
    decision = world.put(first.account_id, "ada", "key-1", active=False)
    assert answer(decision) == (Verdict.APPLIED, "account:adopted")
    assert world.held(first.identity_id) == {HoldKind.SCIM}
    assert first.identity_id not in world.sessions


def test_an_equal_email_alone_never_adopts_and_never_makes_a_second_identity(world):
    first = world.login("ada", "p-1")
    decision = world.post("ada.l", "key-1", email="ada@example.org")
    assert answer(decision) == (Verdict.APPLIED, "account:link-pending")
    assert decision.account_id != first.account_id
    assert kinds(decision) == {CreateAccount, OpenFinding}
    (finding,) = world.findings
    assert (finding.kind, finding.candidates) == ("account:weak-match", (first.identity_id,))
    assert finding.evidence["candidates"][0]["vetoes"] == ["another-account-of-this-connection"]


def test_a_key_and_a_name_of_two_accounts_collide(world):
    world.login("ada", "p-1", key="key-1")
    world.login("bob", "p-2", key="key-2")
    decision = world.post("bob", "key-1")
    assert answer(decision) == (Verdict.REFUSED, "account:user-name-taken")


def test_a_recycled_name_with_another_asserted_key_is_not_adopted(world):
    world.login("ada", "p-1", key="key-1")
    decision = world.post("ada", "key-2")
    assert answer(decision) == (Verdict.REFUSED, "account:user-name-taken")
    assert world.asked() == ["account:key-contradicts"]


@pytest.mark.parametrize(
    "steps", [[None, "key-2"], ["key-2"]], ids=["after a PATCH without a key", "at once"]
)
def test_a_look_up_by_name_and_a_patch_with_another_key_do_not_adopt(world, steps):
    """Pre-hijack: the account of whoever named himself after a new hire never becomes hers."""
    first = world.login("ada", "p-1", key="key-1")
    *before, contradicting = [world.put(first.account_id, "ada", step) for step in steps]
    assert all(decision.verdict is Verdict.APPLIED for decision in before)
    assert answer(contradicting) == (Verdict.REFUSED, "account:user-name-taken")
    assert world.asked() == ["account:key-contradicts"]
    assert world.accounts[first.account_id].external_id is None


def test_a_deactivation_with_another_key_is_obeyed(world):
    first = world.login("ada", "p-1", key="key-1")
    world.put(first.account_id, "ada", "key-2", active=False)
    assert world.held(first.identity_id) == {HoldKind.SCIM}
    world.put(first.account_id, "ada", "key-2", active=True)
    assert answer(world.login("ada", "p-1", key="key-1")) == (Verdict.REFUSED, "login:name-id-recycled")


@pytest.mark.parametrize(
    ("user", "key", "reason"),
    [
        pytest.param("ADA", "key-2", "account:user-name-taken", id="userName, whatever its case"),
        pytest.param("other", "key-1", "account:external-id-taken", id="externalId"),
        pytest.param("ada", "key-1", "account:external-id-taken", id="both: the POST is repeated"),
        pytest.param("ada", None, "account:user-name-taken", id="userName, and no key is never the same"),
    ],
)
def test_a_post_of_what_a_live_account_has_is_refused(world, user, key, reason):
    first = world.post("ada", "key-1")
    decision = world.post(user, key)
    assert answer(decision) == (Verdict.REFUSED, reason)
    assert decision.changes == ()
    assert decision.detail["account"] == str(first.account_id)


def test_a_name_that_an_inactive_account_holds_is_refused_with_a_finding(world):
    first = world.post("ada", "key-1", active=False)
    decision = world.post("ada", "key-2")
    assert answer(decision) == (Verdict.REFUSED, "account:user-name-taken")
    assert kinds(decision) == {OpenFinding}
    assert world.findings[0].kind == "account:name-held-by-inactive"
    assert world.findings[0].account_id == first.account_id


@pytest.mark.parametrize(
    ("user", "key", "reason"),
    [("bob", "key-1", "account:user-name-taken"), ("ada", "key-2", "account:external-id-taken")],
)
def test_an_update_to_what_another_account_has_is_refused(world, user, key, reason):
    first = world.post("ada", "key-1")
    world.post("bob", "key-2")
    decision = world.put(first.account_id, user, key)
    assert answer(decision) == (Verdict.REFUSED, reason)
    assert decision.changes == ()


def test_the_same_userName_in_two_connections_is_no_collision(world):
    world.post("ada", "key-1", email="")
    assert world.post("ada", "key-1", email="", connection_id=OKTA).reason == "account:created"


def test_one_strong_candidate_is_linked(world):
    first = world.post("ada", "key-1", hr_number="7")
    world.policy = replace(OPEN, trusted_hr_number=True)
    decision = world.post("ada.l", "okta-1", hr_number="7", email="", connection_id=OKTA)
    assert answer(decision) == (Verdict.APPLIED, "account:linked")
    assert decision.identity_id == first.identity_id
    (creation,) = (c for c in decision.changes if isinstance(c, CreateAccount))
    assert creation.rule is Rule.HR_NUMBER


def test_an_hr_number_that_only_a_login_named_links_nobody(world):
    """Pre-hijack: whoever asserts her number at one connection must not be given her account at another."""
    stranger = world.login("mallory", "p-1", hr_number="7")
    world.policy = replace(OPEN, trusted_hr_number=True)
    decision = world.post("ada", "okta-1", hr_number="7", connection_id=OKTA)
    assert answer(decision) == (Verdict.APPLIED, "account:link-pending")
    world.put(stranger.account_id, "mallory", "key-1")
    again = world.post("ada.l", "okta-2", hr_number="7", email="ada.l@example.org", connection_id=OKTA)
    assert answer(again) == (Verdict.APPLIED, "account:link-pending")


@pytest.mark.parametrize(
    ("policy", "prepare", "linked"),
    [
        pytest.param({"trusted_email": True}, None, True, id="owned and trusted"),
        pytest.param({}, None, False, id="not trusted for e-mail"),
        pytest.param(
            {"trusted_email": True, "domains": frozenset({"other.example"})}, None, False, id="not owned"
        ),
        pytest.param({"trusted_email": True}, "login", False, id="another authenticator"),
        pytest.param({"trusted_email": True}, "email", False, id="changed in the last seven days"),
        pytest.param({"trusted_email": True}, "long ago", True, id="changed longer ago"),
        pytest.param({"trusted_email": True}, "local", False, id="a local password"),
    ],
)
def test_an_email_links_across_connections_only_when(world, policy, prepare, linked):
    first = world.post("ada", "key-1")
    world.policy = replace(OPEN, **policy)
    if prepare == "login":
        world.login("ada", "p-1")
    if prepare in ("email", "long ago"):
        days = 6 if prepare == "email" else 8
        world.email_changed[first.identity_id] = world.at - timedelta(days=days)
    if prepare == "local":
        world.local.add(first.identity_id)
    decision = world.post("ada", "okta-1", connection_id=OKTA)
    assert decision.situation is (Situation.UNLINKED if linked else Situation.WEAK)
    assert decision.identity_id == (first.identity_id if linked else None)


def test_an_email_is_of_an_owned_domain_whose_letters_are_beyond_ascii(world):
    first = world.post("ada", "key-1", email="ada@b\u00fccher.example")
    world.policy = replace(OPEN, trusted_email=True, domains=frozenset({"xn--bcher-kva.example"}))
    decision = world.post("ada", "okta-1", email="Ada@B\u00fccher.example", connection_id=OKTA)
    assert (decision.situation, decision.identity_id) == (Situation.UNLINKED, first.identity_id)


def test_several_candidates_are_disputed_and_all_of_them_named(world):
    ada = world.post("ada", "key-1", hr_number="7")
    bob = world.person("bob", email="shared@example.org")
    world.policy = replace(OPEN, trusted_hr_number=True)
    decision = world.post("x", "o-1", hr_number="7", email="shared@example.org", connection_id=OKTA)
    assert (decision.situation, decision.reason) == (Situation.DISPUTED, "account:link-pending")
    (finding,) = world.findings
    assert (finding.kind, finding.candidates) == ("account:disputed", (ada.identity_id, bob))
    assert [(c["score"], c["evidence"]) for c in finding.evidence["candidates"]] == [
        (70, ["same-hr-number"]),
        (55, ["same-owned-email"]),
    ]


def test_look_alike_names_are_put_to_a_person(world):
    world.post("strasse", "key-1", hr_number="7")
    world.policy = replace(OPEN, trusted_hr_number=True)
    decision = world.post("straße", "okta-1", hr_number="7", email="", connection_id=OKTA)
    assert decision.situation is Situation.WEAK
    assert world.asked() == ["account:look-alike"]


LOOKS = [
    pytest.param("strasse", "straße", id="a sharp s is two"),
    pytest.param("straße", "strasse", id="two letters are a sharp s"),
    pytest.param("ada", "\uff41da", id="a wide letter"),
    pytest.param("fiona", "\ufb01ona", id="a ligature"),
    pytest.param("jos\u00e9", "jose\u0301", id="an accent that is a letter of its own"),
]


@pytest.mark.parametrize(("hers", "his"), LOOKS)
@pytest.mark.parametrize("connection", [OKTA, ENTRA], ids=["another connection", "the same one"])
def test_a_name_that_looks_like_somebody_s_is_asked_about_when_it_comes(world, hers, his, connection):
    ada = world.post(hers, "key-1", email="a@example.org")
    decision = world.post(his, "key-2", email="b@example.org", connection_id=connection)
    assert (decision.situation, decision.identity_id) == (Situation.WEAK, None)
    (finding,) = world.findings
    assert (finding.kind, finding.candidates) == ("account:look-alike", (ada.identity_id,))
    assert "look-alike-name" in finding.evidence["candidates"][0]["vetoes"]
    assert "look-alike" in finding.evidence["candidates"][0]["evidence"]


@pytest.mark.parametrize(
    "other", ["ada2", "ADA", "\u0430da"], ids=["another", "case", "a letter of Cyrillic"]
)
def test_a_name_that_looks_like_nobody_s_is_a_person_s(world, other):
    """NFKC and case folding are what is compared; a confusable letter of another script is another letter."""
    world.post("ada", "key-1", email="a@example.org")
    world.post(other, "key-2", email="b@example.org", connection_id=OKTA)
    assert world.findings == []
    assert len(world.profiles) == 2


def test_whose_name_it_is_already_is_linked_whomever_it_looks_like(world):
    world.policy = replace(OPEN, trusted_hr_number=True)
    world.post("strasse", "key-1", email="")
    hers = world.post("straße", "key-2", email="", hr_number="7", connection_id=OKTA)
    world.act(Intent.CREATE, account_id=hers.account_id, connection_id=OKTA)
    world.findings.clear()
    identity_id = world.accounts[hers.account_id].identity_id
    decision = world.post("straße", "third-1", email="", hr_number="7", connection_id=name("third"))
    assert (decision.reason, decision.identity_id) == ("account:linked", identity_id)
    assert world.findings == []


def test_a_waiting_look_alike_that_is_given_up_holds_nobody(world):
    """Attack: the name of somebody who is about to be missed is imitated, and its account is closed."""
    world.post("ada", "key-1", email="a@example.org")
    pending = world.post("\uff41da", "key-2", email="b@example.org")
    world.put(pending.account_id, external_id="key-2", email="b@example.org", active=False)
    world.delete(pending.account_id)
    assert world.holds == []
    assert world.asked() == ["account:look-alike"]


class TestRenames:
    def test_a_new_name_that_looks_like_somebody_s_is_asked_about(self, world):
        ada = world.post("ada", "key-1", email="a@example.org", given_name="Ada")
        bob = world.post("bob", "key-2", email="b@example.org")
        decision = world.put(bob.account_id, "\uff41da", "key-2", email="b@example.org")
        assert answer(decision) == (Verdict.APPLIED, "account:updated")
        (finding,) = world.findings
        one, other = sorted((ada.identity_id, bob.identity_id))
        assert (finding.kind, finding.severity) == ("identity:duplicate", "medium")
        assert (finding.identity_id, finding.candidates, finding.account_id) == (one, (other,), None)
        assert finding.mark == f"{one}:{other}"
        assert "look-alike" in finding.evidence["evidence"]

    @pytest.mark.parametrize(
        "names",
        [
            pytest.param(["straße", "strasse"], id="one's own name in other letters"),
            pytest.param(["straße", "STRASSE"], id="and in capitals"),
            pytest.param(["carla"], id="a name like nobody's"),
            pytest.param(["bob"], id="no other name at all"),
        ],
    )
    def test_nobody_is_asked_about(self, world, names):
        world.post("ada", "key-1", email="a@example.org")
        bob = world.post("bob", "key-2", email="b@example.org")
        for new in names:
            world.put(bob.account_id, new, "key-2", email="b@example.org")
        assert world.findings == []

    def test_who_was_told_apart_is_not_asked_about_again(self, world):
        ada = world.post("ada", "key-1", email="a@example.org")
        bob = world.post("bob", "key-2", email="b@example.org")
        world.distinct.add(frozenset((ada.identity_id, bob.identity_id)))
        world.put(bob.account_id, "\uff41da", "key-2", email="b@example.org")
        assert world.findings == []

    def test_one_of_an_account_that_waits_asks_whose_it_is(self, world):
        ada = world.post("ada", "key-1", email="a@example.org")
        world.post("bob", "key-2", email="b@example.org")
        pending = world.post("bobby", "okta-1", email="b@example.org", connection_id=OKTA)
        world.findings.clear()
        world.put(pending.account_id, "\uff41da", "okta-1", email="b@example.org", connection_id=OKTA)
        (finding,) = world.findings
        assert (finding.kind, finding.account_id) == ("account:look-alike", pending.account_id)
        assert finding.candidates == (ada.identity_id,)

    def test_one_like_a_protected_identity_s_is_grave(self, world):
        robot = world.post("robot", "key-1", email="r@example.org")
        world.protected.add(robot.identity_id)
        bob = world.post("bob", "key-2", email="b@example.org")
        world.put(bob.account_id, "ro\uff42ot", "key-2", email="b@example.org")
        (finding,) = world.findings
        assert (finding.kind, finding.severity) == ("account:protected-match", "high")
        assert finding.candidates == (robot.identity_id,)


def test_a_match_against_a_protected_identity_lives_unlinked(world):
    root = world.person("root", email="root@example.org", hr_number="1")
    world.protected.add(root)
    world.policy = replace(OPEN, trusted_hr_number=True, trusted_email=True)
    decision = world.post("root", "key-1", hr_number="1")
    assert answer(decision) == (Verdict.APPLIED, "account:link-pending")
    assert (world.findings[0].kind, world.findings[0].severity) == ("account:protected-match", "high")
    assert world.act(Intent.UPDATE, account_id=decision.account_id, target_identity_id=root).reason == (
        "identity:protected"
    )


@pytest.mark.parametrize("write", ["update", "disable", "delete"])
def test_no_write_reaches_a_protected_identity_behind_its_account(world, write):
    first = world.post("bot", "key-1", given_name="Bot")
    world.protected.add(first.identity_id)
    world.sessions.add(first.identity_id)
    if write == "update":
        decision = world.put(first.account_id, "bot", "key-1", given_name="Other")
    elif write == "disable":
        decision = world.put(first.account_id, "bot", "key-1", active=False)
    else:
        decision = world.delete(first.account_id)
    assert decision.verdict is Verdict.APPLIED
    assert kinds(decision) <= {UpdateAccount, DeleteAccount, OpenFinding}
    assert world.profiles[first.identity_id].given_name == "Bot"
    assert world.held(first.identity_id) == set()
    assert world.findings[-1].severity == "high"


def test_an_update_shows_what_scim_says_now(world):
    first = world.post("ada", "key-1", given_name="Ada")
    decision = world.put(first.account_id, "ada", "key-1", given_name="Augusta")
    assert answer(decision) == (Verdict.APPLIED, "account:updated")
    assert kinds(decision) == {UpdateAccount, UpdateIdentity}
    assert world.profiles[first.identity_id].given_name == "Augusta"


def test_a_stale_writer_reads_again(world):
    first = world.post("ada", "key-1")
    world.put(first.account_id, "ada", "key-1", given_name="Augusta")
    for decision in (
        world.put(first.account_id, "ada", "key-1", given_name="Ada", expected_version=1),
        world.delete(first.account_id, expected_version=1),
    ):
        assert answer(decision) == (Verdict.STALE, "account:stale")
        assert decision.changes == ()
    assert world.put(first.account_id, "ada", "key-1", given_name="Ada", expected_version=2).verdict


@pytest.mark.parametrize("intent", [Intent.UPDATE, Intent.ENABLE, Intent.DISABLE, Intent.DELETE])
def test_a_write_to_an_unknown_account_is_refused(world, intent):
    decision = world.submit(world.pushed(intent, "ada", account_id=name("nobody")))
    assert answer(decision) == (Verdict.REFUSED, "account:unknown")
    assert decision.changes == ()


def test_active_false_holds_the_person_and_ends_the_sessions(world):
    first = world.post("ada", "key-1")
    world.login("ada", "p-1")
    decision = world.put(first.account_id, "ada", "key-1", active=False)
    assert answer(decision) == (Verdict.APPLIED, "account:disabled")
    assert kinds(decision) == {UpdateAccount, PlaceHold, EndSessions}
    assert world.holds == [(first.identity_id, HoldKind.SCIM, first.account_id)]
    assert world.accounts[first.account_id].resource["active"] is False


def test_active_true_lifts_this_account_s_hold_only(world):
    world.policy = replace(OPEN, trusted_hr_number=True)
    first = world.post("ada", "key-1", hr_number="7")
    other = world.post("ada", "okta-1", hr_number="7", connection_id=OKTA)
    assert other.identity_id == first.identity_id
    world.put(first.account_id, "ada", "key-1", hr_number="7", active=False)
    world.put(other.account_id, "ada", "okta-1", hr_number="7", active=False, connection_id=OKTA)
    world.act(Intent.DISABLE, target_identity_id=first.identity_id, hold=HoldKind.ADMIN)
    decision = world.put(first.account_id, "ada", "key-1", hr_number="7", active=True)
    assert decision.reason == "account:enabled"
    assert LiftHold in kinds(decision)
    assert sorted(world.holds, key=str) == sorted(
        [(first.identity_id, HoldKind.SCIM, other.account_id), (first.identity_id, HoldKind.ADMIN, None)],
        key=str,
    )


def test_a_write_that_says_nothing_of_active_never_revives(world):
    first = world.post("ada", "key-1")
    world.put(first.account_id, "ada", "key-1", active=False)
    world.put(first.account_id, "ada", "key-1", given_name="Ada")
    account = world.accounts[first.account_id]
    assert account.active is False
    assert world.held(first.identity_id) == {HoldKind.SCIM}


def test_a_whole_document_without_the_key_removes_it(world):
    """The face carries the key over where a PUT only leaves it out; a PATCH may remove it."""
    first = world.post("ada", "key-1")
    world.put(first.account_id, "ada", None)
    account = world.accounts[first.account_id]
    assert account.external_id is None
    assert "externalId" not in account.resource


def test_an_administrator_s_lift_is_not_undone_by_a_repeated_disable(world):
    first = world.post("ada", "key-1")
    world.put(first.account_id, "ada", "key-1", active=False)
    world.act(Intent.ENABLE, target_identity_id=first.identity_id, hold=HoldKind.SCIM)
    assert answer(world.put(first.account_id, "ada", "key-1", active=False)) == (
        Verdict.UNCHANGED,
        "account:unchanged",
    )
    assert world.login("ada", "p-1").reason == "login:account-bound"


@pytest.mark.parametrize("active", [None, True])
def test_a_post_with_the_same_key_wakes_an_inactive_account(world, active):
    first = world.post("ada", "key-1")
    world.put(first.account_id, "ada", "key-1", active=False)
    decision = world.post("ada.king", "key-1", active=active)
    assert answer(decision) == (Verdict.APPLIED, "account:reactivated")
    assert decision.account_id == first.account_id
    assert world.holds == []
    assert world.accounts[first.account_id].user_name == "ada.king"


def test_a_post_with_the_same_key_that_says_inactive_wakes_nobody(world):
    world.post("ada", "key-1", active=False)
    assert world.post("ada", "key-1", active=False).reason == "account:external-id-taken"


@pytest.mark.parametrize("key", [None, "key-2"])
def test_a_userName_known_only_from_a_tombstone_is_a_new_person(world, key):
    first = world.post("ada", "key-1")
    world.delete(first.account_id)
    decision = world.post("ada", key)
    assert (decision.situation, decision.reason) == (Situation.RECYCLED, "account:created")
    assert decision.identity_id != first.identity_id
    (finding,) = world.findings
    assert (finding.kind, finding.identity_id) == ("account:name-recycled", first.identity_id)
    assert world.held(first.identity_id) == {HoldKind.SCIM}


def test_a_delete_leaves_a_tombstone_and_a_hold_whatever_else_lives(world):
    world.policy = replace(OPEN, trusted_hr_number=True)
    first = world.post("ada", "key-1", hr_number="7", given_name="Ada")
    world.later(days=1)
    world.post("ada", "okta-1", hr_number="7", given_name="Augusta", connection_id=OKTA)
    decision = world.delete(first.account_id)
    assert answer(decision) == (Verdict.APPLIED, "account:deleted")
    assert kinds(decision) == {DeleteAccount, PlaceHold, EndSessions, UpdateIdentity}
    assert world.held(first.identity_id) == {HoldKind.SCIM}
    assert world.profiles[first.identity_id].given_name == "Augusta"


def test_a_post_after_a_delete_with_the_same_key_is_the_same_person(world):
    first = world.post("ada", "key-1")
    world.delete(first.account_id)
    world.later(days=89)
    decision = world.post("ada", "key-1")
    assert (decision.situation, decision.reason) == (Situation.DELETED, "account:returned")
    assert decision.identity_id == first.identity_id
    assert decision.account_id != first.account_id
    assert world.holds == []
    (creation,) = (c for c in decision.changes if isinstance(c, CreateAccount))
    assert creation.rule is Rule.EXTERNAL_ID


def test_a_returned_person_stays_held_by_whatever_else_holds(world):
    first = world.post("ada", "key-1")
    world.act(Intent.DISABLE, target_identity_id=first.identity_id, hold=HoldKind.SECURITY)
    world.delete(first.account_id)
    world.post("ada", "key-1")
    assert world.held(first.identity_id) == {HoldKind.SECURITY}


def test_a_return_lifts_no_hold_of_another_leaver_with_the_same_name(world):
    world.policy = replace(OPEN, trusted_hr_number=True)
    first = world.post("ada", "key-1", email="one@example.org")
    world.delete(first.account_id)
    second = world.post("ada", "key-2", email="two@example.org", hr_number="8")
    world.post("two", "okta-2", email="two@example.org", hr_number="8", connection_id=OKTA)
    world.delete(second.account_id)
    assert world.post("ada", "key-1", email="one@example.org").identity_id == first.identity_id
    assert world.held(first.identity_id) == set()
    assert world.held(second.identity_id) == {HoldKind.SCIM}


def test_a_key_that_returns_releases_whom_its_delete_only_suspected(world):
    suspect = world.login("ada", "p-1")
    pending = world.post("ada.l", "key-1", email="ada@example.org")
    world.delete(pending.account_id)
    assert world.held(suspect.identity_id) == {HoldKind.SCIM}
    assert world.post("ada.l", "key-1", email="ada@example.org").reason == "account:link-pending"
    assert world.held(suspect.identity_id) == set()


def test_a_post_that_would_wake_an_account_under_another_s_name_is_refused(world):
    world.post("ada", "key-1", active=False)
    bob = world.post("bob", "key-2")
    decision = world.post("bob", "key-1")
    assert answer(decision) == (Verdict.REFUSED, "account:user-name-taken")
    assert decision.detail["account"] == str(bob.account_id)


def test_a_post_after_retention_is_a_new_person(world):
    first = world.post("ada", "key-1")
    world.delete(first.account_id)
    world.later(days=91)
    decision = world.post("ada", "key-1")
    assert (decision.situation, decision.reason) == (Situation.RECYCLED, "account:created")
    assert decision.identity_id != first.identity_id


def test_a_rename_keeps_the_old_names_for_look_up(world):
    first = world.post("ada", "key-1")
    decision = world.put(first.account_id, "ada.king", "key-1", email="ada.king@example.org")
    assert decision.account_id == first.account_id
    assert {c.kind: c.value for c in decision.changes if isinstance(c, AddAlias)} == {
        "user_name": "ada",
        "email": "ada@example.org",
    }
    assert world.asked() == []


def test_an_email_that_moves_to_another_domain_is_a_finding(world):
    first = world.post("ada", "key-1")
    world.put(first.account_id, "ada", "key-1", email="ada@other.example")
    assert world.asked() == ["account:email-domain-changed"]


@pytest.mark.parametrize("bound", [False, True])
def test_a_changed_key_is_kept_as_an_alias_and_asked_about_where_a_subject_is_bound(world, bound):
    first = world.post("ada", "key-1")
    if bound:
        world.login("ada", "p-1")
    decision = world.put(first.account_id, "ada", "key-2")
    assert AddAlias in kinds(decision)
    assert world.accounts[first.account_id].external_id == "key-2"
    assert world.asked() == (["account:external-id-changed"] if bound else [])


@pytest.mark.parametrize("last", ["disable", "delete"])
def test_disabling_an_unlinked_account_holds_its_candidates_of_the_same_connection(world, last):
    first = world.login("ada", "p-1")
    pending = world.post("ada.l", "key-1", email="ada@example.org")
    if last == "disable":
        world.put(pending.account_id, "ada.l", "key-1", email="ada@example.org", active=False)
    else:
        world.delete(pending.account_id)
    assert world.holds == [(first.identity_id, HoldKind.SCIM, pending.account_id)]
    assert first.identity_id not in world.sessions


def test_enabling_it_again_lifts_that_hold(world):
    world.login("ada", "p-1")
    pending = world.post("ada.l", "key-1", email="ada@example.org")
    world.put(pending.account_id, "ada.l", "key-1", email="ada@example.org", active=False)
    world.put(pending.account_id, "ada.l", "key-1", email="ada@example.org", active=True)
    assert world.holds == []


def test_disabling_an_unlinked_account_asks_about_candidates_of_other_connections(world):
    first = world.post("ada", "key-1")
    pending = world.post("ada", "okta-1", connection_id=OKTA)
    world.put(pending.account_id, "ada", "okta-1", active=False, connection_id=OKTA)
    assert world.holds == []
    finding = world.findings[-1]
    assert (finding.kind, finding.severity) == ("account:disabled-unlinked", "high")
    assert finding.candidates == (first.identity_id,)


def test_an_update_of_a_waiting_account_touches_nobody(world):
    world.post("ada", "key-1")
    pending = world.post("ada", "okta-1", connection_id=OKTA)
    decision = world.put(pending.account_id, "ada", "okta-1", given_name="Ada", connection_id=OKTA)
    assert decision.situation is Situation.WAITING
    assert kinds(decision) == {UpdateAccount}


def test_the_connection_of_lower_precedence_number_is_shown_and_each_account_keeps_its_own(world):
    world.policy = replace(OPEN, trusted_hr_number=True, precedence=100)
    first = world.post("ada", "key-1", hr_number="7", given_name="Ada")
    world.policy = replace(world.policy, precedence=10)
    other = world.post("ada", "okta-1", hr_number="7", given_name="Augusta", connection_id=OKTA)
    assert world.profiles[first.identity_id].given_name == "Augusta"
    assert world.accounts[first.account_id].resource["name"] == {"givenName": "Ada"}
    assert world.accounts[other.account_id].resource["name"] == {"givenName": "Augusta"}


def test_a_key_that_scim_gives_to_another_account_than_its_login_is_a_duplicate(world):
    first = world.post("ada", "key-1")
    world.login("ada.l", "key-2", email="al@example.org")
    world.put(first.account_id, "ada", "key-2")
    assert world.asked() == ["account:duplicate"]


def test_jit_off_does_not_keep_scim_from_creating(world):
    world.policy = replace(OPEN, jit=Jit.OFF)
    assert world.post("ada", "key-1").reason == "account:created"


def test_a_profile_is_read_from_the_primary_email_then_work_then_the_first():
    emails = [{"value": "a@x.org", "type": "home"}, {"value": "b@x.org", "type": "work"}]
    assert profile_of_resource({"emails": emails}).email == "b@x.org"
    assert (
        profile_of_resource({"emails": [*emails, {"value": "c@x.org", "primary": True}]}).email == "c@x.org"
    )
    assert profile_of_resource({"emails": emails[:1]}).email == "a@x.org"
    resource = {"userName": "ada", "name": {"familyName": "King"}, ENTERPRISE_USER: {"employeeNumber": "7"}}
    profile = profile_of_resource(resource)
    assert (profile.user_name, profile.family_name, profile.hr_number) == ("ada", "King", "7")

"""Rows 2 to 5, 8, 12, 14, 22 and 23 of the decision table: what a verified assertion may do."""

from dataclasses import replace

import pytest

from provisioning.decision.policy import Jit
from provisioning.decision.types import (
    AccountFacts,
    CloseFinding,
    CreateAccount,
    CreateIdentity,
    HoldKind,
    Intent,
    OpenFinding,
    Origin,
    PlaceHold,
    RecordLogin,
    Rule,
    Situation,
    UpdateAccount,
    UpdateIdentity,
    Verdict,
)

from .world import EMAIL_FORMAT, OKTA, OPEN, TRANSIENT_FORMAT, World, answer, kinds, name


def refused_without_a_trace(decision, reason):
    assert answer(decision) == (Verdict.REFUSED, reason)
    assert decision.changes == ()


def mismatch_of(decision):
    """(attribute, what was expected, what came)."""
    return decision.detail["attribute"], decision.detail["expected"], decision.found


@pytest.fixture
def world() -> World:
    return World()


def only_account(world: World) -> AccountFacts:
    (account,) = world.accounts.values()
    return account


def test_a_first_login_of_nobody_known_makes_an_unconfirmed_account(world):
    decision = world.login("ada", "p-1", given_name="Ada")
    assert answer(decision) == (Verdict.APPLIED, "login:account-created")
    account = only_account(world)
    assert (account.origin, account.confirmed, account.active) == (Origin.JIT, False, True)
    assert (account.external_id, account.asserted_key) == (None, "p-1")
    assert account.resource == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "ada",
        "active": True,
        "name": {"givenName": "Ada"},
        "emails": [{"value": "ada@example.org", "type": "work", "primary": True}],
    }
    assert world.profiles[decision.identity_id].given_name == "Ada"
    assert world.identity(decision.identity_id).enabled


def test_the_configured_key_is_remembered_before_the_name_id(world):
    world.login("ada", "p-1", key="object-1")
    assert only_account(world).asserted_key == "object-1"


@pytest.mark.parametrize("jit", [Jit.OFF, Jit.EXISTING])
def test_a_login_of_nobody_known_is_refused_without_a_row_where_jit_may_not_create(world, jit):
    world.policy = replace(OPEN, jit=jit)
    refused_without_a_trace(world.login("ada", "p-1"), "login:no-account")


@pytest.mark.parametrize(
    ("email", "fault"),
    [("", "missing"), ("not-an-address", "malformed"), ("two@at@example.org", "malformed")],
)
def test_a_first_login_without_a_valid_required_attribute_is_refused(world, email, fault):
    decision = world.login("ada", "p-1", email=email)
    refused_without_a_trace(decision, "login:profile-incomplete")
    assert decision.detail == {"email": fault}


def test_a_first_login_without_a_user_name_is_refused(world):
    observation = world.asserted("", "t-1", format=TRANSIENT_FORMAT, key="object-1")
    decision = world.submit(observation)
    refused_without_a_trace(decision, "login:profile-incomplete")
    assert decision.detail == {"user_name": "missing"}


@pytest.mark.parametrize("domains", [frozenset(), frozenset({"other.example"}), frozenset({"org"})])
def test_a_first_login_outside_the_granted_domains_is_refused(world, domains):
    world.policy = replace(OPEN, domains=domains)
    decision = world.login("ada", "p-1")
    refused_without_a_trace(decision, "login:domain-not-allowed")
    expected = ", ".join(domains) or "a domain that is granted to the connection; none is"
    assert mismatch_of(decision) == ("email", expected, ("ada@example.org",))


NONE = "a domain that is granted to the connection; none is"


@pytest.mark.parametrize(
    ("granted", "email", "required", "expected"),
    [
        pytest.param({"example.org"}, "", (), "example.org", id="no e-mail, and none is required"),
        pytest.param(set(), "", (), NONE, id="no e-mail and no domain granted"),
        pytest.param({"example.org"}, "ada@evil.example", (), "example.org", id="an e-mail from elsewhere"),
    ],
)
def test_a_first_login_makes_no_account_without_an_email_in_a_granted_domain(
    world, granted, email, required, expected
):
    world.policy = replace(OPEN, domains=frozenset(granted), required_attributes=required)
    decision = world.login("ada", "p-1", email=email)
    refused_without_a_trace(decision, "login:domain-not-allowed")
    assert mismatch_of(decision) == ("email", expected, (email,) if email else ())


@pytest.mark.parametrize("jit", [Jit.EXISTING, Jit.CREATE])
@pytest.mark.parametrize(
    ("granted", "email", "reason"),
    [
        pytest.param(
            {"example.org"}, "ada@example.org", "login:account-linked", id="an e-mail in a granted domain"
        ),
        pytest.param({"example.org"}, "ada@evil.example", "login:domain-not-allowed", id="from elsewhere"),
        pytest.param({"example.org"}, "", "login:domain-not-allowed", id="no e-mail, and domains to keep to"),
        pytest.param(set(), "ada@example.org", "login:domain-not-allowed", id="an e-mail, and no domain"),
        pytest.param(set(), "", "login:account-linked", id="neither"),
    ],
)
def test_a_first_login_links_nobody_by_an_email_outside_the_granted_domains(
    world, jit, granted, email, reason
):
    world.post("ada", "other-1", hr_number="7", connection_id=OKTA)
    world.policy = replace(
        OPEN, jit=jit, trusted_hr_number=True, domains=frozenset(granted), required_attributes=()
    )
    assert world.login("ada", "p-1", email=email, hr_number="7").reason == reason


@pytest.mark.parametrize("email", ["", "ada@evil.example"])
def test_no_domain_keeps_out_whom_scim_delivered(world, email):
    world.policy = replace(OPEN, domains=frozenset(), required_attributes=())
    world.post("ada", "object-1")
    decision = world.login("ada", "p-1", key="object-1", email=email)
    assert answer(decision) == (Verdict.APPLIED, "login:account-bound")


LIMITED = replace(
    OPEN,
    jit_groups=frozenset({"Staff", "Board"}),
    jit_attributes={
        "department": frozenset({"Sales", "Support"}),
        "eduPersonAffiliation": frozenset({"employee"}),
    },
)
WELCOME = {
    "groups": ("Everybody", "Staff"),
    "department": "Sales",
    "attributes": {"eduPersonAffiliation": ("member", "employee")},
}


def limited_login(world, **said):
    said = WELCOME | said
    department = said.pop("department")
    observation = world.asserted("ada", "p-1", **said)
    return world.submit(replace(observation, profile=replace(observation.profile, department=department)))


def test_a_first_login_that_keeps_every_limit_makes_an_account(world):
    world.policy = LIMITED
    assert limited_login(world).reason == "login:account-created"


@pytest.mark.parametrize(
    ("said", "reason", "mismatch"),
    [
        pytest.param(
            {"groups": ()}, "group", ("groups", "Board, Staff", ()), id="a first login that brings no group"
        ),
        pytest.param(
            {"groups": ("staff", "Staff ")},
            "group",
            ("groups", "Board, Staff", ("staff", "Staff ")),
            id="a first login that brings none of the groups to the letter",
        ),
        pytest.param(
            {"department": "sales"},
            "attribute",
            ("department", "Sales, Support", ("sales",)),
            id="a first login from another department",
        ),
        pytest.param(
            {"department": ""},
            "attribute",
            ("department", "Sales, Support", ()),
            id="a first login that names no department",
        ),
        pytest.param(
            {"attributes": {"eduPersonAffiliation": ("student", "member")}},
            "attribute",
            ("eduPersonAffiliation", "employee", ("student", "member")),
            id="a first login with other values of an assertion attribute",
        ),
        pytest.param(
            {"attributes": {}},
            "attribute",
            ("eduPersonAffiliation", "employee", ()),
            id="a first login without an assertion attribute",
        ),
    ],
)
def test_limits_refuse(world, said, reason, mismatch):
    world.policy = LIMITED
    decision = limited_login(world, **said)
    refused_without_a_trace(decision, f"login:{reason}-not-allowed")
    assert mismatch_of(decision) == mismatch
    assert decision.detail["found"] == ("another value" if decision.found else "nothing")


def test_limits_concern_nobody_whom_scim_delivered(world):
    world.post("ada", "key-1")
    world.policy = LIMITED
    assert limited_login(world, groups=(), attributes={}).reason == "login:account-bound"


def test_limits_concern_nobody_who_has_signed_in_before(world):
    world.login("ada", "p-1")
    world.policy = LIMITED
    assert limited_login(world, groups=(), attributes={}).reason == "login:admitted"


def test_limits_concern_a_first_login_that_would_link(world):
    world.post("ada", "key-1", hr_number="7")
    world.policy = replace(LIMITED, jit=Jit.EXISTING, trusted_hr_number=True)
    decision = limited_login(world, hr_number="7", groups=(), connection_id=OKTA)
    refused_without_a_trace(decision, "login:group-not-allowed")
    linked = limited_login(world, hr_number="7", connection_id=OKTA)
    assert linked.reason == "login:account-linked"


@pytest.mark.parametrize("jit", [Jit.OFF, Jit.EXISTING])
def test_limits_open_nothing_that_the_mode_keeps_shut(world, jit):
    world.policy = replace(LIMITED, jit=jit)
    refused_without_a_trace(limited_login(world), "login:no-account")


def test_a_transient_name_id_alone_recognises_nobody(world):
    observation = world.asserted("", "t-1", format=TRANSIENT_FORMAT)
    refused_without_a_trace(world.submit(observation), "login:subject-transient")


def test_a_transient_name_id_is_no_obstacle_beside_a_configured_attribute(world):
    first = world.login("ada", "t-1", format=TRANSIENT_FORMAT, key="object-1")
    again = world.login("ada", "t-2", format=TRANSIENT_FORMAT, key="object-1")
    assert first.account_id == again.account_id
    assert only_account(world).subject is None


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"nameid": "key-1"}, id="by a persistent NameID that is the externalId"),
        pytest.param({"nameid": "p-1", "key": "key-1"}, id="by the configured externalId"),
        pytest.param({"nameid": "p-1", "user": "ADA"}, id="by the configured userName, whatever its case"),
        pytest.param({"nameid": "Ada", "format": EMAIL_FORMAT}, id="by a NameID that is a name"),
    ],
)
@pytest.mark.parametrize("jit", list(Jit))
def test_a_first_login_binds_the_account_that_scim_delivered(world, said, jit):
    pushed = world.post("ada", "key-1")
    world.policy = replace(OPEN, jit=jit)
    decision = world.login(**said)
    assert answer(decision) == (Verdict.APPLIED, "login:account-bound")
    assert decision.account_id == pushed.account_id
    assert decision.identity_id == pushed.identity_id
    assert kinds(decision) <= {UpdateAccount, RecordLogin}
    account = only_account(world)
    assert account.confirmed
    assert account.external_id == "key-1"


def test_a_name_does_not_take_over_an_account_that_is_bound(world):
    world.post("ada", "key-1")
    world.login("ada", "p-1")
    decision = world.login("ada", "p-2")
    assert answer(decision) == (Verdict.REFUSED, "login:name-id-changed")
    assert world.asked() == ["login:name-id-changed"]


def test_a_name_of_another_format_does_not_open_an_account_that_is_bound(world):
    world.post("ada", "key-1")
    world.login("ada", "p-1")
    assert world.login(nameid="ada", format=EMAIL_FORMAT).reason == "login:name-id-changed"


def test_a_changed_persistent_name_id_under_the_same_key_is_refused(world):
    world.post("ada", "key-1")
    world.login("ada", "p-1", key="key-1")
    decision = world.login("ada", "p-2", key="key-1")
    assert answer(decision) == (Verdict.REFUSED, "login:name-id-changed")
    assert decision.found == ("NameID p-2 where p-1 was known",)
    assert kinds(decision) == {OpenFinding}


def test_a_recycled_name_id_is_refused(world):
    world.post("ada", "key-1")
    world.login("ada", "p-1", key="key-1")
    decision = world.login("bob", "p-1", key="key-2")
    assert answer(decision) == (Verdict.REFUSED, "login:name-id-recycled")
    assert decision.found == ("externalId key-2 where key-1 was known",)
    assert world.asked() == ["login:name-id-recycled"]


def test_a_recycled_name_with_another_key_is_refused(world):
    world.post("ada", "key-1")
    decision = world.login(nameid="ada", format=EMAIL_FORMAT, key="key-2")
    assert answer(decision) == (Verdict.REFUSED, "login:name-id-recycled")


def test_two_keys_of_two_accounts_in_one_assertion_are_disputed(world):
    world.post("ada", "key-1")
    world.post("bob", "key-2")
    decision = world.login("bob", "key-1")
    assert (decision.situation, *answer(decision)) == (Situation.DISPUTED, Verdict.REFUSED, "login:disputed")
    assert kinds(decision) == {OpenFinding}


def test_two_names_of_two_accounts_in_one_assertion_are_disputed(world):
    world.post("ada")
    world.post("ada@example.org", email="other@example.org")
    decision = world.login("ada", "ada@example.org", format=EMAIL_FORMAT)
    assert answer(decision) == (Verdict.REFUSED, "login:disputed")


def test_a_persistent_name_id_that_is_nobodys_key_and_somebodys_name_is_disputed(world):
    """Where no attribute carries the userName, the NameID would be the new account's, and it is taken."""
    holder = world.post("p-1", "key-1").account_id
    decision = world.submit(replace(world.asserted(nameid="P-1"), login_names=()))
    assert (decision.situation, *answer(decision)) == (Situation.DISPUTED, Verdict.REFUSED, "login:disputed")
    assert decision.account_id == holder
    assert kinds(decision) == {OpenFinding}


def test_a_name_follows_a_rename_by_scim_and_no_longer_opens_the_old_one(world):
    pushed = world.post("ada", "key-1")
    world.login(nameid="ada", format=EMAIL_FORMAT)
    world.put(pushed.account_id, "ada.king", "key-1", email="ada@example.org")
    assert world.login(nameid="ada.king", format=EMAIL_FORMAT).account_id == pushed.account_id
    world.policy = replace(OPEN, jit=Jit.OFF)
    refused_without_a_trace(world.login(nameid="ada", format=EMAIL_FORMAT), "login:no-account")


def test_a_linked_login_is_admitted_and_says_nothing_new_the_second_time(world):
    world.post("ada", "key-1", given_name="Ada")
    world.login("ada", "p-1")
    decision = world.login("ada", "p-1")
    assert answer(decision) == (Verdict.APPLIED, "login:admitted")
    assert kinds(decision) == {RecordLogin}


def test_an_assertion_fills_blanks_of_what_scim_said_and_no_more(world):
    pushed = world.post("ada", "key-1", email="")
    decision = world.login("ada", "p-1", given_name="Ada")
    assert UpdateIdentity in kinds(decision)
    profile = world.profiles[pushed.identity_id]
    assert (profile.given_name, profile.email) == ("Ada", "ada@example.org")
    world.put(pushed.account_id, "ada", "key-1", email="countess@example.org", given_name="Augusta")
    world.login("ada", "p-1", given_name="Ada")
    profile = world.profiles[pushed.identity_id]
    assert (profile.given_name, profile.email) == ("Augusta", "countess@example.org")


def test_an_assertion_refreshes_an_account_that_scim_has_not_confirmed(world):
    first = world.login("ada", "p-1", given_name="Ada")
    world.login("ada", "p-1", given_name="Augusta", email="augusta@example.org")
    assert world.profiles[first.identity_id].given_name == "Augusta"
    account = only_account(world)
    assert account.resource["name"] == {"givenName": "Augusta"}
    assert account.emails == ("augusta@example.org",)
    assert world.asked() == []


def test_an_unconfirmed_account_keeps_its_email_inside_the_granted_domains(world):
    first = world.login("ada", "p-1")
    world.login("ada", "p-1", email="ada@victim.example")
    assert world.profiles[first.identity_id].email == "ada@example.org"
    assert only_account(world).emails == ("ada@example.org",)
    assert world.asked() == ["account:email-domain-changed"]


def test_a_login_fills_in_no_email_outside_the_granted_domains(world):
    pushed = world.post("ada", "key-1", email="")
    world.login("ada", "p-1", key="key-1", email="boss@victim.example")
    assert world.profiles[pushed.identity_id].email == ""
    world.login("ada", "p-1", key="key-1", email="ada@example.org")
    assert world.profiles[pushed.identity_id].email == "ada@example.org"


STAFF = replace(OPEN, asserted_groups=frozenset({"Staff", "Admins"}))


@pytest.mark.parametrize("known_by_scim", [True, False])
def test_of_the_groups_that_a_login_brings_only_those_on_the_allow_list_are_kept(world, known_by_scim):
    world.policy = STAFF
    if known_by_scim:
        world.post("ada", "key-1")
    world.login("ada", "p-1", groups=("Staff", "staff", "Works council", "Admins "))
    assert only_account(world).assertion["groups"] == ["Staff"]


@pytest.mark.parametrize("brought", [(), ("Works council",)])
def test_a_login_that_brings_no_group_of_the_list_takes_the_others_away(world, brought):
    world.policy = STAFF
    world.login("ada", "p-1", groups=("Staff", "Admins"))
    decision = world.login("ada", "p-1", groups=brought)
    assert kinds(decision) == {UpdateAccount, RecordLogin}
    assert "groups" not in only_account(world).assertion


def test_the_same_groups_in_another_order_are_nothing_new(world):
    world.policy = STAFF
    world.login("ada", "p-1", groups=("Staff", "Admins"))
    assert kinds(world.login("ada", "p-1", groups=("Admins", "Staff"))) == {RecordLogin}


def test_scim_leaves_what_the_last_login_brought(world):
    world.policy = STAFF
    first = world.login("ada", "p-1", groups=("Staff",))
    world.put(first.account_id, "ada", "key-1")
    assert only_account(world).assertion["groups"] == ["Staff"]


APPROVED_ONLY = replace(OPEN, jit_approval=True)


def test_a_first_login_that_needs_an_approval_makes_an_account_and_lets_nobody_in(world):
    world.policy = APPROVED_ONLY
    decision = world.login("ada", "p-1", given_name="Ada")
    assert answer(decision) == (Verdict.PENDING, "login:approval-pending")
    assert kinds(decision) == {CreateIdentity, CreateAccount, PlaceHold, OpenFinding}
    assert world.held(decision.identity_id) == {HoldKind.APPROVAL}
    (request,) = world.findings
    assert (request.kind, request.identity_id) == ("account:approval-requested", decision.identity_id)
    refused_without_a_trace(world.login("ada", "p-1"), "login:approval-pending")
    assert only_account(world).last_login_at is None


def decided(world, decision, *, approved):
    intent, hold = (Intent.ENABLE, HoldKind.APPROVAL) if approved else (Intent.DISABLE, HoldKind.ADMIN)
    return world.act(
        intent,
        target_identity_id=decision.identity_id,
        hold=hold,
        finding_id=name("request"),
        reason="asked her manager",
    )


def test_who_was_approved_of_comes_in_by_the_next_login(world):
    world.policy = APPROVED_ONLY
    first = world.login("ada", "p-1")
    act = decided(world, first, approved=True)
    assert answer(act) == (Verdict.APPLIED, "identity:released")
    assert CloseFinding(finding_id=name("request"), approved=True) in act.changes
    again = world.login("ada", "p-1")
    assert answer(again) == (Verdict.APPLIED, "login:account-bound")
    assert again.identity_id == first.identity_id


def test_who_was_rejected_stays_out_and_no_longer_reads_that_she_waits(world):
    world.policy = APPROVED_ONLY
    first = world.login("ada", "p-1")
    act = decided(world, first, approved=False)
    assert answer(act) == (Verdict.APPLIED, "identity:held")
    assert CloseFinding(finding_id=name("request"), approved=False) in act.changes
    assert world.held(first.identity_id) == {HoldKind.ADMIN}
    refused_without_a_trace(world.login("ada", "p-1"), "login:identity-held")
    assert len(world.accounts) == 1


@pytest.mark.parametrize("other", [HoldKind.SCIM, HoldKind.EXPIRY, HoldKind.ADMIN, HoldKind.SECURITY])
def test_an_approval_lifts_nothing_but_its_own_hold(world, other):
    world.policy = APPROVED_ONLY
    first = world.login("ada", "p-1")
    world.holds.append((first.identity_id, other, None))
    refused_without_a_trace(world.login("ada", "p-1"), "login:identity-held")
    decided(world, first, approved=True)
    assert world.held(first.identity_id) == {other}
    refused_without_a_trace(world.login("ada", "p-1"), "login:identity-held")


@pytest.mark.parametrize("active", [None, True])
def test_scim_adopts_an_account_that_waits_and_does_not_approve_of_it(world, active):
    world.policy = APPROVED_ONLY
    first = world.login("ada", "p-1", key="key-1")
    adopted = world.post("ada", "key-1", active=active)
    assert adopted.account_id == first.account_id
    world.put(first.account_id, "ada", "key-1", active=False)
    world.put(first.account_id, "ada", "key-1", active=True)
    assert world.held(first.identity_id) == {HoldKind.APPROVAL}
    refused_without_a_trace(world.login("ada", "p-1", key="key-1"), "login:approval-pending")


def test_nobody_whom_scim_delivered_needs_an_approval(world):
    world.policy = APPROVED_ONLY
    world.post("ada", "key-1")
    assert world.login("ada", "p-1").reason == "login:account-bound"


def test_a_first_login_that_links_needs_no_approval(world):
    world.post("ada", "key-1", hr_number="7")
    world.policy = replace(APPROVED_ONLY, trusted_hr_number=True)
    decision = world.login("ada.l", "p-1", hr_number="7", connection_id=OKTA)
    assert decision.reason == "login:account-linked"


def test_an_approval_says_so_where_nothing_is_held_any_more(world):
    world.policy = APPROVED_ONLY
    first = world.login("ada", "p-1")
    world.act(Intent.ENABLE, target_identity_id=first.identity_id, hold=HoldKind.APPROVAL)
    late = decided(world, first, approved=True)
    assert late.changes == (CloseFinding(finding_id=name("request"), approved=True),)


def test_an_approval_hold_that_an_administrator_placed_says_the_same(world):
    pushed = world.post("ada", "key-1")
    world.act(Intent.DISABLE, target_identity_id=pushed.identity_id, hold=HoldKind.APPROVAL, reason="asked")
    refused_without_a_trace(world.login("ada", "p-1"), "login:approval-pending")


@pytest.mark.parametrize("kind", [HoldKind.ADMIN, HoldKind.SECURITY])
def test_a_held_person_is_refused_before_any_row_is_written(world, kind):
    pushed = world.post("ada", "key-1")
    world.act(Intent.DISABLE, target_identity_id=pushed.identity_id, hold=kind, reason="asked")
    refused_without_a_trace(world.login("ada", "p-1"), "login:identity-held")


def test_a_disabled_person_is_refused_whatever_key_the_assertion_carries(world):
    pushed = world.post("ada", "key-1")
    world.put(pushed.account_id, external_id="key-1", active=False)
    refused_without_a_trace(world.login("ada", "p-1"), "login:identity-held")
    refused_without_a_trace(world.login("", "key-1"), "login:identity-held")


@pytest.mark.parametrize("nameid", ["p-1", "p-2"])
def test_a_deleted_person_is_refused_and_no_ghost_is_made(world, nameid):
    pushed = world.post("ada", "key-1")
    world.login("ada", "p-1")
    world.delete(pushed.account_id)
    refused_without_a_trace(world.login("ada", nameid), "login:account-deleted")


def test_a_login_whose_only_candidate_is_held_leaves_no_row(world):
    pushed = world.post("ada", "key-1")
    world.put(pushed.account_id, external_id="key-1", active=False)
    decision = world.login("other", "p-1", email="ada@example.org", connection_id=OKTA)
    refused_without_a_trace(decision, "login:identity-held")


def test_a_login_with_one_strong_candidate_links_a_new_account(world):
    pushed = world.post("ada", "key-1", hr_number="7")
    world.policy = replace(OPEN, jit=Jit.EXISTING, trusted_hr_number=True)
    decision = world.login("ada.l", "p-1", hr_number="7", connection_id=OKTA)
    assert answer(decision) == (Verdict.APPLIED, "login:account-linked")
    assert decision.identity_id == pushed.identity_id
    assert CreateIdentity not in kinds(decision)
    (creation,) = (c for c in decision.changes if isinstance(c, CreateAccount))
    assert creation.rule is Rule.HR_NUMBER


def test_a_login_that_only_shares_an_email_waits_for_its_link(world):
    world.post("ada", "key-1")
    decision = world.login("ada.l", "p-9", email="ada@example.org")
    assert answer(decision) == (Verdict.PENDING, "login:link-pending")
    assert decision.identity_id is None
    assert kinds(decision) == {CreateAccount, OpenFinding}
    refused_without_a_trace(world.login("ada.l", "p-9", email="ada@example.org"), "login:link-pending")


def test_a_login_with_several_candidates_waits_too(world):
    world.post("ada", email="desk@example.org")
    world.post("bob", email="bob@example.org")
    world.person("third", email="desk@example.org")
    decision = world.login("new", "p-9", email="desk@example.org", connection_id=OKTA)
    assert (decision.situation, *answer(decision)) == (
        Situation.DISPUTED,
        Verdict.PENDING,
        "login:link-pending",
    )
    (finding,) = world.findings
    assert len(finding.candidates) == 2


def test_no_login_speaks_for_a_protected_identity(world):
    root = world.person("root", email="root@example.org")
    world.protected.add(root)
    decision = world.login("root2", "p-1", email="root@example.org")
    assert answer(decision) == (Verdict.REFUSED, "login:protected")
    assert kinds(decision) == {OpenFinding}
    assert world.findings[0].severity == "high"

"""What reconciliation is to find, word by word: the finding or reaction of each, and the tests that prove it."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from provisioning.decision.reasons import FindingKind, Reason, Report
from provisioning.reconciliation.checks import CHECKS
from provisioning.reconciliation.doubts import OF_CONNECTION, OF_TENANT

from .test_situations_table import ACTS, DOUBTS, LISTINGS, LOGINS, PUSHES, RUNS

K = FindingKind
FINDINGS = "provisioning.services.test_findings"
CASES = "provisioning.services.test_cases"
ROSTERS = "provisioning.reconciliation.test_rosters"
PAGES = "provisioning.admin.test_findings"


@dataclass(frozen=True, kw_only=True)
class Word:
    """`answers` are kinds of findings, reasons, reports or names of checks."""

    id: str
    answers: tuple[str, ...]
    proofs: tuple[str, ...]


WORDS = [
    Word(
        id="duplicates, scored, with the evidence",
        answers=(K.DUPLICATE_IDENTITIES, K.DUPLICATE),
        proofs=(
            f"{DOUBTS}::a_duplicate",
            f"{DOUBTS}::test_a_finding_follows_its_case",
            f"{PAGES}::test_candidates_stand_side_by_side_with_the_score_and_what_agrees",
            f"{PUSHES}::test_a_key_that_scim_gives_to_another_account_than_its_login_is_a_duplicate",
        ),
    ),
    Word(
        id="unconfirmed accounts of logins and their grace",
        answers=(K.UNCONFIRMED, Reason.ACCOUNT_EXPIRED, "unconfirmed"),
        proofs=(
            f"{ACTS}::test_an_unconfirmed_account_is_held_after_its_grace_and_never_deleted",
            f"{ACTS}::test_the_grace_of_who_was_there_before_begins_with_the_source",
            f"{RUNS}::TestChecks::test_without_a_lifecycle_source_idleness_counts",
        ),
    ),
    Word(
        id="orphans: no live source vouches",
        answers=(K.ORPHAN_IDENTITY, K.ORPHAN_ACCOUNT),
        proofs=(
            f"{DOUBTS}::an_orphan_of_a_disabled_connection",
            f"{DOUBTS}::an_orphan_of_whom_nothing_was_heard",
            f"{DOUBTS}::an_orphan_without_account",
            f"{DOUBTS}::an_account_of_nobody",
            f"{DOUBTS}::TestOrphans::test_a_roster_vouches",
            f"{DOUBTS}::TestOrphans::test_another_connection_vouches",
        ),
    ),
    Word(
        id="missing twice",
        answers=(Reason.ACCOUNT_MISSING, Report.MISSING_ONCE, "roster-gone", "roster-gone-once"),
        proofs=(
            f"{ACTS}::test_an_account_missing_from_rosters_is_held_and_returns_by_its_key",
            f"{ROSTERS}::test_a_difference",
            f"{ROSTERS}::test_who_was_missing_and_is_listed_again_comes_back",
        ),
    ),
    Word(
        id="disputed",
        answers=(K.DISPUTED, K.LOGIN_DISPUTED),
        proofs=(
            f"{PUSHES}::test_several_candidates_are_disputed_and_all_of_them_named",
            f"{LOGINS}::test_a_login_with_several_candidates_waits_too",
            f"{LOGINS}::test_two_keys_of_two_accounts_in_one_assertion_are_disputed",
        ),
    ),
    Word(
        id="weak matches",
        answers=(K.WEAK_MATCH, K.LOOK_ALIKE),
        proofs=(
            f"{PUSHES}::test_an_email_links_across_connections_only_when",
            f"{PUSHES}::test_look_alike_names_are_put_to_a_person",
            f"{LISTINGS}::test_an_e_mail_alone_never_matches_and_a_weak_match_waits",
        ),
    ),
    Word(
        id="collisions",
        answers=(
            K.NAME_HELD_BY_INACTIVE,
            K.KEY_CONTRADICTS,
            K.PROTECTED_MATCH,
            Reason.ACCOUNT_USER_NAME_TAKEN,
            Reason.ACCOUNT_EXTERNAL_ID_TAKEN,
            Reason.ACCOUNT_VALUE_TAKEN,
        ),
        proofs=(
            f"{PUSHES}::test_a_post_of_what_a_live_account_has_is_refused",
            f"{PUSHES}::test_a_name_that_an_inactive_account_holds_is_refused_with_a_finding",
            f"{PUSHES}::test_a_match_against_a_protected_identity_lives_unlinked",
            f"{CASES}::test_another_case_is_asked_about_whatever_was_said_of_the_first_one",
        ),
    ),
    Word(
        id="recycled and changed NameIDs",
        answers=(K.NAME_ID_RECYCLED, K.NAME_ID_CHANGED, K.NAME_RECYCLED, K.EXTERNAL_ID_CHANGED),
        proofs=(
            f"{LOGINS}::test_a_recycled_name_id_is_refused",
            f"{LOGINS}::test_a_changed_persistent_name_id_under_the_same_key_is_refused",
            f"{PUSHES}::test_a_userName_known_only_from_a_tombstone_is_a_new_person",
            f"{PUSHES}::test_a_changed_key_is_kept_as_an_alias_and_asked_about_where_a_subject_is_bound",
            f"{PAGES}::TestBindAnew::test_the_next_login_binds_its_own",
        ),
    ),
    Word(
        id="attribute conflicts with both values and their sources",
        answers=(K.ATTRIBUTE_CONFLICT, K.EMAIL_DOMAIN_CHANGED),
        proofs=(
            f"{DOUBTS}::test_what_two_sources_say_is_compared",
            f"{DOUBTS}::test_what_a_login_says_is_compared_with_what_scim_said_of_the_same_account",
            f"{PAGES}::test_scim_and_a_login_of_one_account_stand_side_by_side_with_what_each_says",
            f"{PAGES}::test_a_value_of_several_sources_is_told_once_with_all_of_them",
        ),
    ),
    Word(
        id="state conflicts, the stricter wins",
        answers=(K.STATES_DIFFER, K.STATE_CONFLICT),
        proofs=(
            f"{DOUBTS}::test_whom_one_source_calls_inactive_stays_out_whatever_the_other_says",
            f"{PUSHES}::test_active_true_lifts_this_account_s_hold_only",
            f"{PAGES}::TestStatesThatDiffer::test_whom_one_source_keeps_out_is_held_and_let_in_by_no_button",
        ),
    ),
    Word(
        id="group and entitlement drift",
        answers=(K.GROUPS_DIFFER, K.HELD_KEEPS_GROUPS, K.ENTITLEMENT_UNREACHABLE),
        proofs=(
            f"{DOUBTS}::test_groups_that_scim_pushed_as_well_do_not_drift",
            f"{DOUBTS}::a_held_member",
            f"{DOUBTS}::an_entitlement_without_group",
            f"{DOUBTS}::an_entitlement_of_an_empty_group",
        ),
    ),
    Word(
        id="dormant accounts, by a threshold of each connection",
        answers=(K.DORMANT,),
        proofs=(
            f"{DOUBTS}::a_dormant_account",
            f"{DOUBTS}::test_a_connection_says_who_is_dormant_and_when_it_is_stale",
        ),
    ),
    Word(
        id="never-used accounts",
        answers=(Report.NEVER_SIGNED_IN, "never-came"),
        proofs=(f"{RUNS}::TestChecks::test_a_person_who_never_came_is_reported_only",),
    ),
    Word(
        id="ownerless credentials",
        answers=(K.OWNERLESS,),
        proofs=(
            f"{DOUBTS}::an_ownerless_token",
            f"{DOUBTS}::an_ownerless_client",
            f"{DOUBTS}::a_token_that_a_command_issued",
            f"{DOUBTS}::test_what_has_lost_its_owner_is_asked_about_with_a_date_and_goes_on_meanwhile",
        ),
    ),
    Word(
        id="ghost members",
        answers=("ghost-memberships", K.MEMBER_UNKNOWN),
        proofs=(
            f"{RUNS}::TestChecks::test_a_membership_of_a_deleted_account_is_removed",
            "provisioning.services.test_groups::test_an_unknown_member_refuses_the_whole_request",
            "provisioning.services.test_groups::test_a_connection_may_choose_to_skip_unknown_members",
        ),
    ),
    Word(
        id="stale connections: no push for so many days",
        answers=(K.CONNECTION_STALE, K.LISTING_OVERDUE),
        proofs=(
            f"{DOUBTS}::a_stale_connection",
            f"{DOUBTS}::a_connection_that_never_pushed",
            f"{DOUBTS}::test_a_connection_says_who_is_dormant_and_when_it_is_stale",
        ),
    ),
    Word(
        id="unmapped privileged attributes",
        answers=(K.PRIVILEGED_UNMAPPED,),
        proofs=(f"{DOUBTS}::a_privileged_role", f"{DOUBTS}::a_privileged_group"),
    ),
    Word(
        id="keys that say nothing",
        answers=(K.PLACEHOLDER_KEYS,),
        proofs=(f"{DOUBTS}::a_placeholder_for_a_key", f"{DOUBTS}::a_placeholder_for_an_hr_number"),
    ),
    Word(
        id="remembered decisions are not asked again",
        answers=(K.KEPT_APART, K.LEFT_OUT),
        proofs=(
            f"{DOUBTS}::test_a_case_is_asked_once_and_of_its_own_tenant",
            f"{DOUBTS}::test_no_case_is_silenced_by_what_was_said_of_another",
            f"{DOUBTS}::test_what_is_less_than_what_was_dismissed_stays_answered",
            f"{CASES}::test_the_same_case_stays_answered",
            f"{FINDINGS}::TestMemory::test_who_is_not_the_same_person_is_told_apart_for_good",
        ),
    ),
    Word(
        id="findings have severity, age, owner and due date",
        answers=(),
        proofs=(
            f"{FINDINGS}::TestDue::test_the_severity_says_when_a_finding_is_due",
            f"{FINDINGS}::TestOwner::test_an_administrator_sees_to_a_finding",
            "provisioning.admin.test_acts::test_a_finding_gets_an_owner_and_a_day_and_is_found_by_them",
            f"{PAGES}::test_a_finding_says_how_long_it_has_waited_and_is_found_by_it",
        ),
    ),
    Word(
        id="open and overdue counts are metrics",
        answers=(),
        proofs=("identity_hub.test_probes::test_waiting_findings_are_numbers_without_a_tenant",),
    ),
]


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.id)
def test_what_is_to_be_found_is_found_by(word: Word) -> None:
    known = {*map(str, (*FindingKind, *Reason, *Report)), *CHECKS}
    assert {str(answer) for answer in word.answers} <= known
    for proof in word.proofs:
        module, *path = proof.split("::")
        found = import_module(f"tests.{module}")
        for name in path:
            assert hasattr(found, name), f"{proof} is gone"
            found = getattr(found, name)
        assert callable(found)


def test_whatever_is_asked_by_night_has_its_word() -> None:
    asked = {row.kind for row in (*OF_TENANT, *OF_CONNECTION)}
    assert asked <= {answer for word in WORDS for answer in word.answers}


@pytest.mark.parametrize("kind", list(FindingKind), ids=str)
def test_every_kind_of_finding_is_named_by_a_test(kind: FindingKind) -> None:
    """By its code, or by its name in a table of cases; this file counts for none."""
    folder = Path(__file__).parents[2]
    said = (str(kind), f"FindingKind.{kind.name}", f"K.{kind.name}")
    texts = (path.read_text() for path in folder.rglob("test_*.py") if path != Path(__file__))
    assert any(one in text for text in texts for one in said)

"""The table of situations, row by row: which tests prove each, and that the page explains it with an example."""

import re
from importlib import import_module

import pytest

from identity_hub.settings import BASE_DIR
from provisioning.decision.reasons import Act, FindingKind, Flaw, Reason, Report

PAGE = BASE_DIR / "docs" / "reconciliation.md"

PUSHES = "provisioning.decision.test_pushes"
LOGINS = "provisioning.decision.test_logins"
LISTINGS = "provisioning.decision.test_listings"
ACTS = "provisioning.decision.test_runs_and_acts"
MERGES = "provisioning.decision.test_merges"
LINKS = "provisioning.decision.test_links"
DOUBTS = "provisioning.reconciliation.test_doubts"
RUNS = "provisioning.reconciliation.test_runs"
QUARANTINE = "provisioning.reconciliation.test_quarantine"

ROWS: dict[str, list[str]] = {
    "1": [f"{PUSHES}::test_a_post_of_nobody_known_makes_a_person"],
    "2": [
        f"{LOGINS}::test_a_first_login_of_nobody_known_makes_an_unconfirmed_account",
        f"{LOGINS}::test_a_first_login_that_needs_an_approval_makes_an_account_and_lets_nobody_in",
    ],
    "3": [
        f"{LOGINS}::test_a_login_of_nobody_known_is_refused_without_a_row_where_jit_may_not_create",
        f"{LOGINS}::test_limits_open_nothing_that_the_mode_keeps_shut",
    ],
    "4": [
        f"{LOGINS}::test_a_first_login_without_a_valid_required_attribute_is_refused",
        f"{LOGINS}::test_a_first_login_without_a_user_name_is_refused",
    ],
    "5": [
        f"{LOGINS}::test_a_first_login_binds_the_account_that_scim_delivered",
        f"{LOGINS}::test_a_name_does_not_take_over_an_account_that_is_bound",
        f"{LOGINS}::test_two_keys_of_two_accounts_in_one_assertion_are_disputed",
        f"{LOGINS}::test_two_names_of_two_accounts_in_one_assertion_are_disputed",
    ],
    "6": [
        f"{PUSHES}::test_a_post_adopts_the_account_that_a_login_made_when",
        f"{PUSHES}::test_a_look_up_and_patch_adopts_as_well_and_lifts_the_expiry",
        f"{PUSHES}::test_an_equal_email_alone_never_adopts_and_never_makes_a_second_identity",
        f"{PUSHES}::test_a_look_up_by_name_and_a_patch_with_another_key_do_not_adopt",
    ],
    "7": [
        f"{PUSHES}::test_one_strong_candidate_is_linked",
        f"{LOGINS}::test_a_login_with_one_strong_candidate_links_a_new_account",
        f"{LISTINGS}::test_a_strong_match_in_another_connection_is_linked",
        f"{ACTS}::test_a_late_match_links_a_waiting_account_and_its_hold_with_it",
    ],
    "8": [
        f"{PUSHES}::test_an_email_links_across_connections_only_when",
        f"{PUSHES}::test_look_alike_names_are_put_to_a_person",
        f"{PUSHES}::test_a_name_that_looks_like_somebody_s_is_asked_about_when_it_comes",
        f"{LOGINS}::test_a_login_that_only_shares_an_email_waits_for_its_link",
        f"{LISTINGS}::test_an_e_mail_alone_never_matches_and_a_weak_match_waits",
        f"{DOUBTS}::an_account_of_nobody",
    ],
    "9": [
        f"{PUSHES}::test_several_candidates_are_disputed_and_all_of_them_named",
        f"{LOGINS}::test_a_login_with_several_candidates_waits_too",
    ],
    "10": [
        f"{PUSHES}::test_a_post_of_what_a_live_account_has_is_refused",
        f"{PUSHES}::test_an_update_to_what_another_account_has_is_refused",
        f"{PUSHES}::test_a_name_that_an_inactive_account_holds_is_refused_with_a_finding",
    ],
    "11": [f"{PUSHES}::test_an_update_shows_what_scim_says_now"],
    "12": [
        f"{LOGINS}::test_a_linked_login_is_admitted_and_says_nothing_new_the_second_time",
        f"{LOGINS}::test_an_assertion_fills_blanks_of_what_scim_said_and_no_more",
        f"{DOUBTS}::a_dormant_account",
    ],
    "13": [f"{PUSHES}::test_active_false_holds_the_person_and_ends_the_sessions"],
    "13b": [
        f"{PUSHES}::test_disabling_an_unlinked_account_holds_its_candidates_of_the_same_connection",
        f"{PUSHES}::test_disabling_an_unlinked_account_asks_about_candidates_of_other_connections",
    ],
    "14": [
        f"{LOGINS}::test_a_held_person_is_refused_before_any_row_is_written",
        f"{LOGINS}::test_a_disabled_person_is_refused_whatever_key_the_assertion_carries",
        f"{LOGINS}::test_a_deleted_person_is_refused_and_no_ghost_is_made",
    ],
    "15": [
        f"{PUSHES}::test_active_true_lifts_this_account_s_hold_only",
        f"{DOUBTS}::a_state_conflict",
    ],
    "16": [f"{PUSHES}::test_a_post_with_the_same_key_wakes_an_inactive_account"],
    "17": [f"{PUSHES}::test_a_userName_known_only_from_a_tombstone_is_a_new_person"],
    "18": [f"{PUSHES}::test_a_delete_leaves_a_tombstone_and_a_hold_whatever_else_lives"],
    "19": [f"{PUSHES}::test_a_post_after_a_delete_with_the_same_key_is_the_same_person"],
    "20": [
        f"{PUSHES}::test_a_write_that_says_nothing_of_active_never_revives",
        "scim.test_users::test_a_put_that_leaves_out_active_and_the_key_keeps_both",
    ],
    "21": [
        f"{PUSHES}::test_a_rename_keeps_the_old_names_for_look_up",
        f"{PUSHES}::test_an_email_that_moves_to_another_domain_is_a_finding",
    ],
    "21b": [
        f"{PUSHES}::test_a_changed_key_is_kept_as_an_alias_and_asked_about_where_a_subject_is_bound",
        f"{PUSHES}::test_an_update_to_what_another_account_has_is_refused",
    ],
    "22": [
        f"{LOGINS}::test_a_changed_persistent_name_id_under_the_same_key_is_refused",
        f"{LOGINS}::test_a_recycled_name_id_is_refused",
        f"{LOGINS}::test_a_recycled_name_with_another_key_is_refused",
    ],
    "22b": [f"{LOGINS}::test_a_name_follows_a_rename_by_scim_and_no_longer_opens_the_old_one"],
    "23": [
        f"{LOGINS}::test_a_transient_name_id_alone_recognises_nobody",
        f"{LOGINS}::test_a_transient_name_id_is_no_obstacle_beside_a_configured_attribute",
    ],
    "24": [
        f"{ACTS}::test_an_unconfirmed_account_is_held_after_its_grace_and_never_deleted",
        f"{ACTS}::test_a_recent_login_keeps_an_account_that_nothing_could_confirm",
    ],
    "25": [f"{RUNS}::TestChecks::test_a_person_who_never_came_is_reported_only"],
    "26": [f"{ACTS}::test_an_account_missing_from_rosters_is_held_and_returns_by_its_key"],
    "27": ["provisioning.roster.test_proof::test_a_listing_counts_only_with_its_proof"],
    "28": [
        "provisioning.decision.test_guard::test_destruction_waits_for_a_person",
        f"{RUNS}::TestQuarantine::test_too_much_destruction_waits_for_a_person",
    ],
    "29": ["scim.test_stops::TestDeactivations::test_a_burst_is_obeyed_and_asked_about"],
    "30": [
        f"{PUSHES}::test_a_match_against_a_protected_identity_lives_unlinked",
        f"{PUSHES}::test_no_write_reaches_a_protected_identity_behind_its_account",
        f"{LOGINS}::test_no_login_speaks_for_a_protected_identity",
        f"{LISTINGS}::test_nobody_s_break_glass_access_is_touched",
    ],
    "31": [
        "provisioning.services.test_asserted_groups::test_it_gives_nothing_when",
        f"{DOUBTS}::a_drifting_group",
        f"{DOUBTS}::test_groups_that_scim_pushed_as_well_do_not_drift",
    ],
    "32": [
        "scim.test_groups::test_an_unknown_member_refuses_the_whole_patch",
        "provisioning.services.test_groups::test_a_connection_may_choose_to_skip_unknown_members",
    ],
    "33": [
        f"{PUSHES}::test_the_connection_of_lower_precedence_number_is_shown_and_each_account_keeps_its_own",
        f"{DOUBTS}::an_attribute_conflict",
        f"{DOUBTS}::test_what_two_sources_say_is_compared",
    ],
    "34": [
        f"{DOUBTS}::an_ownerless_token",
        f"{DOUBTS}::a_token_that_a_command_issued",
        f"{DOUBTS}::an_ownerless_client",
        f"{DOUBTS}::a_service_identity_whose_owner_left",
        f"{DOUBTS}::a_service_identity_of_nobody",
        f"{DOUBTS}::test_what_has_lost_its_owner_is_asked_about_with_a_date_and_goes_on_meanwhile",
    ],
    "35": [
        "saml_sp.test_metadata::test_nobody_signs_in_while_it_is_frozen_and_sessions_stay",
        "saml_sp.test_metadata::test_confirming_takes_the_new_keys",
    ],
    "36": [
        f"{PUSHES}::test_a_key_that_scim_gives_to_another_account_than_its_login_is_a_duplicate",
        f"{MERGES}::test_the_accounts_of_both_are_one_person_s_and_the_loser_is_found_no_more",
        f"{LINKS}::test_the_subject_of_a_duplicate_moves_onto_the_account_that_scim_delivered",
        f"{DOUBTS}::a_duplicate",
    ],
}

EVERY_ROW = [
    *map(str, range(1, 37)),
    "13b",
    "21b",
    "22b",
]


def explained() -> dict[str, tuple[str, str, str]]:
    """Row -> (what happens, for example, what the hub does), as the page says it."""
    section = PAGE.read_text().split("## The situations, with an example each")[1].split("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if re.match(r"\| \d", line)]
    return {cells[0].strip(): tuple(cells[1:]) for cells in rows}  # type: ignore[misc]


def test_no_row_is_without_its_tests_and_none_is_made_up() -> None:
    assert set(ROWS) == set(EVERY_ROW)
    assert all(ROWS.values())


@pytest.mark.parametrize("row", EVERY_ROW)
def test_a_row_is_proved_by(row: str) -> None:
    for proof in ROWS[row]:
        module, *path = proof.split("::")
        found = import_module(f"tests.{module}")
        for name in path:
            assert hasattr(found, name), f"row {row}: {proof} is gone"
            found = getattr(found, name)
        assert callable(found)


def test_a_case_of_the_doubts_is_one_that_its_test_is_given() -> None:
    """A scenario proves a row only where a test takes it."""
    doubts = import_module(f"tests.{DOUBTS}")
    given = {case.__name__ for case, _ in doubts.CASES}
    named = {proof.split("::")[1] for proofs in ROWS.values() for proof in proofs if DOUBTS in proof}
    assert {name for name in named if not name.startswith("test_")} <= given


def test_the_page_explains_every_row_with_an_example() -> None:
    told = explained()
    assert list(told) == sorted(EVERY_ROW, key=lambda row: (int(row.rstrip("b")), row))
    for row, cells in told.items():
        assert len(cells) == 3, row
        assert all(len(cell.split()) >= 3 for cell in cells[1:]), row


def test_the_page_names_codes_that_there_are() -> None:
    codes = {code.value for kind in (Reason, FindingKind, Act, Report, Flaw) for code in kind}
    for row, (_, _, reaction) in explained().items():
        named = set(re.findall(r"`([a-z-]+:[a-z-]+)`", reaction))
        assert named, row
        assert named <= codes, row

"""The readiness list: what is judged from which facts, and what may be accepted in writing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from provisioning.decision.readiness import (
    ACCEPTABLE,
    OPERATOR_ACCEPTABLE,
    Acceptance,
    Facts,
    Item,
    State,
    TestFacts,
    judge_readiness,
    unmet,
)

AT = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
TEST = TestFacts(
    at=AT, mapping="m1", passed=True, verdicts={"email": "ok", "given_name": "missing"}, key="name-id"
)
READY = Facts(
    at=AT,
    has_saml=True,
    certificate_ends=AT + timedelta(days=100),
    domains=frozenset({"corp.example"}),
    required_attributes=("email",),
    mapping="m1",
    test=TEST,
    takes_pushes=True,
    pushed_at=AT,
    idp_takes_sign_out=True,
    signed_out_at=AT,
    deactivated=True,
    accepted={},
)


def test_a_connection_of_which_everything_was_shown_is_ready() -> None:
    assert {one.state for one in judge_readiness(READY)} == {State.MET}


@pytest.mark.parametrize(
    ("changes", "open_items", "says"),
    [
        pytest.param(
            {"certificate_ends": None}, {Item.CERTIFICATE}, "no signing certificate", id="no certificate"
        ),
        pytest.param(
            {"certificate_ends": AT}, {Item.CERTIFICATE}, "ended on 2026-05-04", id="a certificate that ended"
        ),
        pytest.param(
            {"certificate_ends": None, "certificate_begins": AT + timedelta(days=1)},
            {Item.CERTIFICATE},
            "good before 2026-05-05 09:00",
            id="a certificate that has yet to begin",
        ),
        pytest.param(
            {"metadata_ends": AT}, {Item.CERTIFICATE}, "was good until 2026-05-04", id="metadata that is over"
        ),
        pytest.param({"domains": frozenset()}, {Item.DOMAINS}, "Verify a domain", id="no domain"),
        pytest.param({"test": None}, {Item.MAPPING, Item.KEY}, "No test login", id="never tested"),
        pytest.param(
            {"test": replace(TEST, passed=False)},
            {Item.MAPPING},
            "failed one of the checks",
            id="a failed test",
        ),
        pytest.param(
            {"mapping": "m2"},
            {Item.MAPPING, Item.KEY},
            "test it again",
            id="a mapping changed after its test",
        ),
        pytest.param(
            {"required_attributes": ("email", "given_name")},
            {Item.MAPPING},
            "given name (missing)",
            id="a required attribute that the test login lacked",
        ),
        pytest.param(
            {"test": replace(TEST, key="")}, {Item.KEY}, "persistent NameID", id="nothing that stays"
        ),
        pytest.param({"takes_pushes": False}, {Item.LIFECYCLE}, "issue a SCIM token", id="no SCIM"),
        pytest.param({"pushed_at": None}, {Item.LIFECYCLE}, "pushed nobody yet", id="SCIM that never pushed"),
        pytest.param({"signed_out_at": None}, {Item.SIGN_OUT}, "Test sign-out", id="sign-out never tried"),
        pytest.param(
            {"signed_out_at": None, "idp_takes_sign_out": False},
            {Item.SIGN_OUT},
            "no SingleLogoutService",
            id="an IdP without sign-out",
        ),
        pytest.param(
            {"deactivated": False}, {Item.DEACTIVATION}, "Disable one", id="nobody was ever disabled"
        ),
    ],
)
def test_what_is_not_shown_is_open_and_says_what_to_do(
    changes: dict[str, object], open_items: set[Item], says: str
) -> None:
    judged = judge_readiness(replace(READY, **changes))
    assert {one.item for one in unmet(judged)} == open_items
    assert all(says in one.sentence for one in unmet(judged))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"takes_pushes": False}, id="no SCIM"),
        pytest.param({"pushed_at": None}, id="SCIM that never pushed"),
    ],
)
def test_a_nightly_listing_is_a_path_for_leavers_too(changes: dict[str, object]) -> None:
    judged = judge_readiness(replace(READY, listed_at=AT, **changes))
    assert unmet(judged) == []
    assert "listed every night; the last whole listing ended on 2026-05-04" in str(judged)


def test_a_connection_that_only_pushes_needs_nothing_of_a_sign_in() -> None:
    judged = judge_readiness(
        replace(READY, has_saml=False, test=None, certificate_ends=None, domains=frozenset())
    )
    assert {one.item for one in judged if one.state is State.NOT_NEEDED} == {
        Item.CERTIFICATE,
        Item.DOMAINS,
        Item.MAPPING,
        Item.KEY,
        Item.SIGN_OUT,
    }
    assert unmet(judged) == []


def test_an_acceptance_stands_in_for_what_is_open_and_yields_to_what_is_shown() -> None:
    accepted = {
        item: Acceptance(by="administrator 7", reason="It is a trial.", at=AT)
        for item in (Item.SIGN_OUT, Item.LIFECYCLE)
    }
    judged = judge_readiness(replace(READY, signed_out_at=None, accepted=accepted))
    states = {one.item: one for one in judged}
    assert states[Item.SIGN_OUT].state is State.ACCEPTED
    assert "It is a trial." in states[Item.SIGN_OUT].sentence
    assert states[Item.LIFECYCLE].state is State.MET
    assert unmet(judged) == []


def test_nobody_may_do_without_a_certificate() -> None:
    assert Item.CERTIFICATE not in OPERATOR_ACCEPTABLE
    assert ACCEPTABLE < OPERATOR_ACCEPTABLE

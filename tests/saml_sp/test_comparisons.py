"""Every refusal that compares two things tells an administrator both; tests/attacks look at each message's."""

import re

import pytest

from identity_hub.settings import BASE_DIR
from saml_sp.errors import MESSAGES
from tests.attacks.catalogue import LOGOUTS, attacks

from .comparisons import ALONE, COMPARING, OF_A_PERSON

CODES = sorted(code for code in MESSAGES if code.startswith("saml:"))


def test_every_code_compares_or_is_said_to_compare_nothing() -> None:
    assert sorted([*COMPARING, *OF_A_PERSON, *ALONE]) == CODES


def test_the_document_lists_every_code() -> None:
    rows = re.findall(r"^\| (`saml:.+?) \|", (BASE_DIR / "docs" / "saml.md").read_text(), re.M)
    assert sorted(code for row in rows for code in re.findall(r"`(saml:[a-z-]+)`", row)) == CODES


ELSEWHERE = {"saml:authentication-old", "saml:authentication-weak", "saml:request-expired"}
"""Looked at by test_requests.py and test_protocol.py: they take a connection or a clock of their own."""


@pytest.mark.parametrize("code", sorted((COMPARING | OF_A_PERSON) - ELSEWHERE))
def test_a_message_is_posted_that_is_refused_as(code: str) -> None:
    """So that what it tells is looked at."""
    assert code in {attack.reason for attack in (*attacks(), *LOGOUTS)}

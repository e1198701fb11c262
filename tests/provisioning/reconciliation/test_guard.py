"""The brake of a run (row 28)."""

import pytest

from provisioning.reconciliation.guard import judge


@pytest.mark.parametrize(
    ("destructive", "population", "waits"),
    [
        pytest.param(0, 0, False, id="nothing to do is never stopped"),
        pytest.param(5, 0, False, id="five are always few"),
        pytest.param(5, 5, False, id="five of five are few too"),
        pytest.param(6, 6, True, id="six of six are not"),
        pytest.param(6, 29, True, id="six of twenty-nine are more than a fifth"),
        pytest.param(6, 30, False, id="six of thirty are a fifth"),
        pytest.param(20, 100, False, id="a fifth goes through"),
        pytest.param(21, 100, True, id="more than a fifth waits"),
        pytest.param(500, 1_000_000, False, id="five hundred of a million go through"),
        pytest.param(501, 1_000_000, True, id="five hundred and one wait, whatever the population"),
    ],
)
def test_destruction_waits_for_a_person(destructive: int, population: int, waits: bool) -> None:
    assert (judge(destructive=destructive, population=population) is not None) is waits

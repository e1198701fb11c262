"""The brake of a run (row 28): a connection's numbers, and those of its tenant."""

import pytest

from provisioning.decision.guard import Limits, judge, judge_together

USUAL = Limits()


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
    assert (judge(USUAL, destructive=destructive, population=population) is not None) is waits


@pytest.mark.parametrize(
    ("limits", "destructive", "population", "waits"),
    [
        pytest.param(Limits(few=0, share=0), 1, 1000, True, id="nothing at all without a person"),
        pytest.param(Limits(few=0, share=0), 0, 1000, False, id="nothing is never stopped"),
        pytest.param(Limits(few=5, share=100), 500, 500, False, id="everybody, up to the most"),
        pytest.param(Limits(few=5, share=100), 501, 501, True, id="and no further"),
        pytest.param(Limits(few=2, share=50, most=3), 4, 100, True, id="a low most counts before the share"),
        pytest.param(Limits(few=10, share=1), 10, 20, False, id="few are few whatever the share"),
    ],
)
def test_a_connection_has_numbers_of_its_own(
    limits: Limits, destructive: int, population: int, waits: bool
) -> None:
    assert (judge(limits, destructive=destructive, population=population) is not None) is waits


@pytest.mark.parametrize(
    ("limits", "destructive", "population", "sentence"),
    [
        (
            USUAL,
            6,
            6,
            "6 of 6 people would lose access: more than 5, and more than 20 %, in one run.",
        ),
        (USUAL, 501, 9000, "501 of 9000 people would lose access: more than 500 in one run."),
        (
            Limits(few=2, share=7),
            3,
            6,
            "3 of 6 people would lose access: more than 2, and more than 7 %, in one run.",
        ),
    ],
)
def test_the_sentence_names_the_numbers(
    limits: Limits, destructive: int, population: int, sentence: str
) -> None:
    assert judge(limits, destructive=destructive, population=population) == sentence


@pytest.mark.parametrize(
    ("destructive", "before", "sentence"),
    [
        pytest.param(3, 3, "6 of 20", id="three and three are more than five, and than a fifth of twenty"),
        pytest.param(3, 2, None, id="three and two are few"),
        pytest.param(0, 100, None, id="a run that destroys nothing goes on whatever the others did"),
        pytest.param(1, 500, "more than 500 within 24 hours", id="no day sees more than the most"),
    ],
)
def test_all_runs_of_a_day_are_judged_together(destructive: int, before: int, sentence: str | None) -> None:
    said = judge_together(USUAL, destructive=destructive, before=before, population=20)
    assert (sentence is None and said is None) or (sentence is not None and sentence in (said or ""))

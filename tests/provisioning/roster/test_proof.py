"""When a listing counts, and what is said when it does not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provisioning.roster.proof import Last, Read, judge

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
LAST = Last(as_of=AT - timedelta(days=1), rows=100)


def read(**facts: Any) -> Read:
    return Read(**{"as_of": AT, "rows": 100} | facts)


def test_whoever_mends_the_lines_is_told_of_the_duplicates_as_well() -> None:
    refusal = judge(read(faults=2, duplicates=2), LAST)
    assert refusal is not None
    assert refusal.flaw == "roster:incomplete"
    assert "2 lines cannot be used, and some people stand in it more than once" in refusal.sentence


@pytest.mark.parametrize(
    ("listing", "last", "code"),
    [
        pytest.param(read(), None, None, id="the first one"),
        pytest.param(read(), LAST, None, id="as many as before"),
        pytest.param(read(promised=(100,)), LAST, None, id="as many as promised"),
        pytest.param(read(promised=(90,)), LAST, None, id="more than promised"),
        pytest.param(read(promised=(101,)), LAST, "roster:truncated", id="fewer than promised"),
        pytest.param(read(promised=(90, 101)), LAST, "roster:truncated", id="fewer than one of two promises"),
        pytest.param(read(cut=True, faults=1), LAST, "roster:truncated", id="its last line is cut"),
        pytest.param(read(ended=False), LAST, "roster:truncated", id="its last line has no end"),
        pytest.param(
            read(ended=False, promised=(100,)), LAST, None, id="that, and a number says it is whole"
        ),
        pytest.param(
            read(ended=False, promised=(90,)), LAST, "roster:truncated", id="that, and a number says another"
        ),
        pytest.param(read(faults=1), LAST, "roster:incomplete", id="a line that cannot be used"),
        pytest.param(read(rows=0), None, "roster:empty", id="nobody"),
        pytest.param(read(duplicates=2), LAST, "roster:duplicate-rows", id="a key twice"),
        pytest.param(read(as_of=LAST.as_of), LAST, "roster:older", id="as old as the last one"),
        pytest.param(
            read(as_of=LAST.as_of - timedelta(seconds=1)), LAST, "roster:older", id="older than the last one"
        ),
        pytest.param(read(rows=80), LAST, None, id="a fifth fewer"),
        pytest.param(read(rows=79), LAST, "roster:shrunk", id="more than a fifth fewer"),
        pytest.param(read(rows=79, shrinking_accepted=True), LAST, None, id="that, accepted"),
        pytest.param(read(rows=5), Last(as_of=LAST.as_of, rows=10), None, id="five of ten fewer"),
        pytest.param(read(rows=4), Last(as_of=LAST.as_of, rows=10), "roster:shrunk", id="six of ten fewer"),
        pytest.param(
            read(rows=0, shrinking_accepted=True), LAST, "roster:empty", id="nobody is never accepted"
        ),
        pytest.param(
            read(rows=79, as_of=LAST.as_of, shrinking_accepted=True),
            LAST,
            "roster:older",
            id="accepted and old",
        ),
    ],
)
def test_a_listing_counts_only_with_its_proof(listing: Read, last: Last | None, code: str | None) -> None:
    refusal = judge(listing, last)
    assert (refusal and refusal.flaw) == code
    assert refusal is None or refusal.sentence.endswith(".")

"""What every test gets. Knows no app's rules; each app's fixtures stand beside its tests."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
import time_machine
from django.core.cache import cache
from django.db import connection
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from identity_hub.core import allowance
from identity_hub.core.clock import now
from provisioning import request_log

# For an hour to spare: `make test ARGS="--hypothesis-profile=thorough tests/scim/test_fuzz.py"`.
settings.register_profile("thorough", max_examples=5_000)


class _JourneysTogether(LoadScopeScheduling):
    """Any test to any worker, but all journeys to one: each worker of theirs would start hubs and IdPs of its own."""

    def _split_scope(self, nodeid: str) -> str:
        folder = "tests/journeys/"
        return folder if nodeid.startswith(folder) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """In place of --dist loadgroup, which groups nothing under pytest 9.2 (pytest-xdist issue 1386)."""
    return _JourneysTogether(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    """For `make fuzz`; tests/attacks/test_fuzz.py says what they mean."""
    parser.addoption("--fuzz-rounds", type=int, default=500)
    parser.addoption("--fuzz-seed", default="1")
    parser.addoption("--fuzz-only", default="", help="style:round, of a failure")
    # For `make laws`.
    parser.addoption("--law-stories", type=int, default=40)
    parser.addoption("--law-steps", type=int, default=50)
    parser.addoption("--law-dice", default="1")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Tests that commit are cleaned up by TRUNCATE, so the test database, and only it, drops that one guard.

    Rows of the audit stay unchangeable in tests too; `test_audit.py` puts the guard back and proves it.
    """
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for table in ("provisioning_auditrecord", "provisioning_auditvalue"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only_table")


@pytest.fixture(autouse=True)
def _fresh_process_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither the cache nor the log context of one test reaches the next, nor what waits to be logged."""
    cache.clear()
    # Wrong tokens of one test would shut out those of the next.
    allowance.forget()
    # No thread: it would write beside the test's transaction. `request_log.flush` writes what waits.
    monkeypatch.setattr(request_log.READS, "threaded", False)
    request_log.READS.start_anew()
    structlog.contextvars.clear_contextvars()
    yield
    # What waits at the end of the process would go to the database that the tests' own is named after.
    request_log.READS.start_anew()


@pytest.fixture
def minute() -> Iterator[time_machine.Traveller]:
    """A minute that does not end by itself, for whoever counts what is allowed in one."""
    with time_machine.travel(now().replace(second=10), tick=False) as clock:
        yield clock

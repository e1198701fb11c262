"""What every test gets. Knows no app's rules; each app's fixtures stand beside its tests."""

import pytest
import structlog
from django.core.cache import cache


@pytest.fixture(autouse=True)
def _fresh_process_state() -> None:
    """Neither the cache nor the log context of one test reaches the next."""
    cache.clear()
    structlog.contextvars.clear_contextvars()

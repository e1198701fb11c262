"""How long a request may keep the database busy with what no index serves. Knows no query."""

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from django.db import OperationalError, transaction
from scim2_models.exceptions import TooManyException

from provisioning import sql

SCAN_SECONDS = 5
_CANCELED = "57014"

T = TypeVar("T")


class Patience:
    """One request's: it begins with the first statement that may take long, and all of them share it."""

    def __init__(self) -> None:
        self._until: float | None = None

    def limited(self, ask: Callable[[], T]) -> T:
        """What `ask` reads; 400 tooMany where that takes too long."""
        try:
            with transaction.atomic():
                self.pace()
                found = ask()
                # Nothing was written; a longer transaction around this one gets its own limit back.
                transaction.set_rollback(True)
                return found
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != _CANCELED:
                raise
            raise _over() from error

    def pace(self) -> None:
        """Leaves the next statement what is left; 400 tooMany where nothing is."""
        moment = monotonic()
        if self._until is None:
            self._until = moment + SCAN_SECONDS
        left = round((self._until - moment) * 1000)
        # For PostgreSQL no milliseconds are no limit.
        if left < 1:
            raise _over()
        sql.rows("SELECT set_config('statement_timeout', %s, true)", (f"{left}ms",))


def _over() -> TooManyException:
    return TooManyException(
        detail=f"The request took longer than {SCAN_SECONDS} s; filter by an attribute that eq or sw can look up."
    )

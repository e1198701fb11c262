"""When a finding is due. Knows its severity and when it was opened, and neither its kind nor who sees to it."""

from datetime import timedelta

from .types import Severity

DUE_AFTER = {
    Severity.HIGH: timedelta(days=3),
    Severity.MEDIUM: timedelta(days=14),
    Severity.LOW: timedelta(days=60),
}

"""When a finding is due, and when it is asked again. Knows neither its kind nor who sees to it."""

from datetime import timedelta

from .types import Severity

DUE_AFTER = {
    Severity.HIGH: timedelta(days=3),
    Severity.MEDIUM: timedelta(days=14),
    Severity.LOW: timedelta(days=60),
}
SETTLED = timedelta(days=90)
"""After so long what a person has dealt with and is still there is asked again; what was rejected never is."""

"""What time it is, and when a day ends. The only place that asks; everybody else is told."""

from datetime import UTC, date, datetime, time


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def end_of(day: date) -> datetime:
    """The last moment of a day, in UTC."""
    return datetime.combine(day, time.max, UTC)

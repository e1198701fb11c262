"""How a log line looks: JSON for machines, plain columns for a person. Knows no event."""

import re
from typing import Any

import structlog

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


# PostgreSQL quotes the offending row, or the statement with its values: somebody's name, somebody's address. Celery
# tells of a failed task by the error's repr, in which a line's end is a backslash and an n.
_QUOTES = re.compile(r"(?:\n|\\n)\s*(?:DETAIL|CONTEXT|LINE \d+):.*(?:\n\s*\^)?")
_INPUT = re.compile(r"(invalid input (?:syntax|value) for [^:\n]+): .*")


def _without_values(logger: Any, method: str, event: Any) -> Any:
    for name in ("event", "exception"):
        if isinstance(text := event.get(name), str):
            event[name] = _INPUT.sub(r"\1", _QUOTES.sub("", text))
    return event


def configure(*, as_json: bool, level: str) -> dict[str, Any]:
    """Sets structlog up and returns Django's LOGGING dictionary, so that both kinds of line look alike."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    # A traceback without the local variables: they hold tokens and people's attributes.
    renderer: Any = (
        structlog.processors.JSONRenderer(sort_keys=True)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    renderers = [structlog.processors.format_exc_info, _without_values, renderer]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
            },
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Replaces Django's own handlers (an e-mail to nobody, a second line for each request).
            "django": {"handlers": [], "level": level, "propagate": True},
            # 4xx are ordinary answers here and the access log has them; 5xx come with their traceback.
            "django.request": {"level": "ERROR"},
            # pysaml2 logs whole messages, with people's attributes in them, at its lower levels.
            "saml2": {"level": "CRITICAL"},
            "django_scim": {"level": "ERROR"},
            "health_check": {"level": "CRITICAL"},
            "xmlschema": {"level": "WARNING"},
            # Scanners; the access log has the 400.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
        },
    }

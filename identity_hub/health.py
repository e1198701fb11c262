"""Whether this process lives and whether it can serve. Knows what it stands on, not what that holds."""

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from health_check.checks import Database
from health_check.exceptions import HealthCheckException
from redis import Redis
from redis.exceptions import RedisError

_migrated = False


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the process answers; asks nobody else, so that a database outage restarts nothing."""
    return JsonResponse({"status": "alive"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when requests can be served, else 503. Without Redis it is degraded: jobs wait, the rest works."""
    checks = {"database": _database(), "migrations": "unknown", "redis": _redis()}
    if checks["database"] == "ok":
        checks["migrations"] = _migrations()
    ready = checks["database"] == checks["migrations"] == "ok"
    status = (
        "unavailable" if not ready else "ready" if checks["redis"] in ("ok", "not configured") else "degraded"
    )
    return JsonResponse({"status": status, "checks": checks}, status=200 if ready else 503)


def _database() -> str:
    try:
        Database().run()
    except HealthCheckException:
        return "away"
    return "ok"


def _migrations() -> str:
    """Asked until the answer is yes: what is migrated stays so under a running process."""
    global _migrated  # noqa: PLW0603 - one fact per process
    if not _migrated:
        try:
            executor = MigrationExecutor(connection)
            _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        except DatabaseError:
            return "unknown"
    return "ok" if _migrated else "pending"


def _redis() -> str:
    if not settings.REDIS_URL:
        return "not configured"
    client = Redis.from_url(settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5)
    try:
        client.ping()
    except RedisError:
        return "away"
    finally:
        client.close()
    return "ok"

"""PostgreSQL and Redis around a command: `python -m identity_hub.local.services exec -- pytest`.

What DATABASE_URL or REDIS_URL name already is used as it is.
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from identity_hub.local import places
from identity_hub.local.postgres import Postgres
from identity_hub.local.redis import Redis
from identity_hub.settings import HUB_PRODUCTION, HUB_VAR, env


@contextmanager
def running(folder: Path, *, ephemeral: bool, database: str = "identity_hub") -> Iterator[dict[str, str]]:
    """Starts what the environment does not name, gives the names of both, and ends it afterwards."""
    if HUB_PRODUCTION:
        raise places.LocalServiceError(
            "Production uses a PostgreSQL and a Redis of its own, named by their URLs."
        )
    named = {name: env[name] for name in ("DATABASE_URL", "REDIS_URL") if env.get(name)}
    with ExitStack() as stack:
        if "DATABASE_URL" not in named:
            postgres = Postgres(folder / "postgres", ephemeral=ephemeral)
            stack.callback(postgres.stop)
            postgres.start()
            named["DATABASE_URL"] = postgres.url(database)
        if "REDIS_URL" not in named:
            redis = Redis(folder / "redis", ephemeral=ephemeral)
            stack.callback(redis.stop)
            redis.start()
            named["REDIS_URL"] = redis.url()
        yield named


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m identity_hub.local.services", description=__doc__)
    parser.add_argument("action", choices=["exec"], help="run a command with both services")
    parser.add_argument(
        "--durable", action="store_true", help="write to disk as a real server does (for benchmarks)"
    )
    parser.add_argument("--name", default="test", help="folder under var/ (default: %(default)s)")
    parser.add_argument("command", nargs="+", help="after --")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    folder = HUB_VAR / arguments.name
    try:
        with running(folder, ephemeral=not arguments.durable) as named:
            child = subprocess.Popen(arguments.command, env={**env, **named})  # noqa: S603 - the caller's own command
            try:
                return child.wait()
            except KeyboardInterrupt:
                # The terminal has sent the command the same signal; a supervisor has not.
                child.terminate()
                return child.wait()
    except places.LocalServiceError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())

"""The hub as production serves it, on the tests' database: one gunicorn, whose Redis is nowhere."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

from django.db import connection

from identity_hub.demo.stack import answers
from identity_hub.local.places import wait_until
from identity_hub.settings import BASE_DIR


@contextmanager
def gunicorn(log: Path, *, database_port: int | None = None) -> Iterator[int]:
    """The port where the hub is ready. `database_port`, of 127.0.0.1, stands between it and the database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "python:identity_hub.web", "identity_hub.wsgi"],
            cwd=BASE_DIR,
            env={
                **os.environ,
                "HUB_ENV": "test",
                "DATABASE_URL": _database(database_port),
                "REDIS_URL": "redis://127.0.0.1:1/0",
                "WEB_BIND": f"127.0.0.1:{port}",
                "WEB_WORKERS": "1",
                "WEB_THREADS": "2",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        assert wait_until(lambda: answers(f"http://127.0.0.1:{port}"), seconds=30), log.read_text()
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _database(port: int | None) -> str:
    known = connection.settings_dict
    user = f"{quote(known['USER'])}:{quote(known['PASSWORD'], safe='')}"
    # A folder with a socket, or a name: of the former a URL would lose the capital letters.
    place = {"host": known["HOST"] or "127.0.0.1", "port": known["PORT"] or "5432"}
    if port is not None:
        place = {"host": "127.0.0.1", "port": str(port)}
    return f"postgres://{user}@/{known['NAME']}?{urlencode(place)}"

"""The hub as production serves it, on the tests' database: one gunicorn, whose Redis is nowhere."""

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote, urlencode
from urllib.request import urlopen

from django.db import connection

from identity_hub.demo.stack import answers
from identity_hub.local.places import wait_until
from identity_hub.settings import BASE_DIR


@contextmanager
def gunicorn(
    log: Path, *, port: int = 0, database_port: int | None = None, tls: Path | None = None, **environment: str
) -> Iterator[int]:
    """The port where the hub is ready; 0 chooses a free one.

    `database_port`, of 127.0.0.1, stands between it and the database. With `tls`, a PEM file of a key and its
    certificate, it speaks HTTPS.
    """
    port = port or free_port()
    program = [sys.executable, "-m", "gunicorn", "-c", "python:identity_hub.web", "identity_hub.wsgi"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*program, *(["--certfile", str(tls), "--keyfile", str(tls)] if tls else [])],
            cwd=BASE_DIR,
            env={
                **os.environ,
                "HUB_ENV": "test",
                "DATABASE_URL": _database(database_port),
                "REDIS_URL": "redis://127.0.0.1:1/0",
                "WEB_BIND": f"127.0.0.1:{port}",
                "WEB_WORKERS": "1",
                # A browser opens connections in advance: with TLS each keeps a thread until it is used or closed.
                "WEB_THREADS": "16" if tls else "2",
                **environment,
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        ready = wait_until(lambda: _ready(port, tls), seconds=90)
        assert ready, log.read_text()
        yield port
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ready(port: int, tls: Path | None) -> bool:
    if tls is None:
        return answers(f"http://127.0.0.1:{port}")
    trusted = ssl.create_default_context(cafile=tls)
    try:
        with urlopen(f"https://127.0.0.1:{port}/readyz", context=trusted, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _database(port: int | None) -> str:
    known = connection.settings_dict
    user = f"{quote(known['USER'])}:{quote(known['PASSWORD'], safe='')}"
    # A folder with a socket, or a name: of the former a URL would lose the capital letters.
    place = {"host": known["HOST"] or "127.0.0.1", "port": known["PORT"] or "5432"}
    if port is not None:
        place = {"host": "127.0.0.1", "port": str(port)}
    return f"postgres://{user}@/{known['NAME']}?{urlencode(place)}"

"""A running hub, found or started, for the story and the journeys. Knows how to end it; plays nothing."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from identity_hub.demo import files
from identity_hub.local import places
from identity_hub.settings import BASE_DIR, HUB_PUBLIC_URL, HUB_VAR, env

_STARTS_WITHIN_SECONDS = 120


class CommandFailed(Exception):
    """A management command ended with an error; the text is what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A running hub with its demo, and the environment in which its commands find it."""

    hub: files.Hub
    directory: files.Directory
    environment: dict[str, str]

    def manage(self, *arguments: str) -> Any:
        """The JSON that one management command prints. Raises CommandFailed."""
        done = subprocess.run(  # noqa: S603 - our own commands
            [sys.executable, "manage.py", *arguments, "--json"],
            cwd=BASE_DIR,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CommandFailed(f"manage.py {' '.join(arguments)}: {done.stderr.strip()[-500:]}")
        return json.loads(done.stdout)


def answers(url: str) -> bool:
    """Whether a hub is ready at `url`."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "localhost", address.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def present() -> Stack | None:
    """The hub that `make run` started from this checkout, if it runs and has its demo."""
    folder = HUB_VAR / "demo"
    facts = files.hub(folder)
    if facts is None or facts.url != HUB_PUBLIC_URL or not answers(facts.url):
        return None
    return Stack(hub=facts, directory=files.Directory(folder / "people.json"), environment=dict(env))


@contextmanager
def started(folder: Path, **environment: str) -> Iterator[Stack]:
    """A hub of its own on free ports, with its data under `folder`; ended afterwards.

    Raises LocalServiceError with the last lines of its output when it does not start.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = _free_pair()
    own = {
        **{name: value for name, value in env.items() if name not in ("HUB_PUBLIC_URL", "HUB_PRODUCTION")},
        "HUB_ENV": "development",
        "DJANGO_SETTINGS_MODULE": "identity_hub.settings",
        "HUB_VAR": str(folder),
        "PORT": str(port),
        "DEMO": "1",
        "WEB_WORKERS": "1",
        **environment,
    }
    log = folder / "run.log"
    log.unlink(missing_ok=True)
    process = places.spawn(
        [sys.executable, "-m", "identity_hub.local.run"],
        stop_signal=signal.SIGTERM,
        log=log,
        cwd=BASE_DIR,
        env=own,
    )
    try:
        url = f"http://localhost:{port}"

        def ready() -> bool:
            if process.poll() is not None:
                raise places.LocalServiceError(f"The hub did not start:\n{_tail(log)}")
            # Its last word: by then the demo IdP listens too.
            return "is ready" in log.read_text(errors="replace") and answers(url)

        if not places.wait_until(ready, seconds=_STARTS_WITHIN_SECONDS):
            raise places.LocalServiceError(f"The hub does not answer:\n{_tail(log)}")
        facts = files.hub(folder / "demo")
        assert facts is not None
        yield Stack(hub=facts, directory=files.Directory(folder / "demo" / "people.json"), environment=own)
    finally:
        places.stop(process, signal.SIGTERM, seconds=60)


def _free_pair() -> int:
    """A port that is free together with its successor, where the demo IdP goes."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])

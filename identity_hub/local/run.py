"""The whole hub on this machine, for `make run`: what starts in which order, and that all of it ends."""

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from identity_hub.local import places, services
from identity_hub.settings import BASE_DIR, HUB_DEMO, HUB_DEMO_IDP_PORT, HUB_PORT, HUB_VAR, env

_READY_WITHIN_SECONDS = 90


class Stopped(Exception):
    """Somebody asked us to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One long-running child and the signal that ends it gently."""

    name: str
    arguments: list[str]
    stop_signal: signal.Signals = signal.SIGTERM


class Hub:
    """Starts the programs, watches them, and ends them in reverse."""

    def __init__(self, environment: dict[str, str], stopping: threading.Event) -> None:
        self.environment = environment
        self.stopping = stopping
        self.running: list[tuple[Program, subprocess.Popen[bytes]]] = []

    def prepare(self) -> dict[str, Any]:
        """Brings tables, files and people up to date; what was said about the administrator."""
        if self.stopping.is_set():
            raise Stopped
        done = subprocess.run(
            [sys.executable, "-m", "identity_hub.local.prepare"],
            cwd=BASE_DIR,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if self.stopping.is_set():
            raise Stopped
        if done.returncode != 0:
            raise places.LocalServiceError(f"The hub could not be prepared:\n{done.stdout}{done.stderr}")
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def start(self, program: Program) -> None:
        log = HUB_VAR / "log" / f"{program.name}.log"
        log.parent.mkdir(mode=0o700, exist_ok=True)
        log.unlink(missing_ok=True)
        process = places.spawn(
            [sys.executable, *program.arguments],
            stop_signal=program.stop_signal,
            log=log,
            cwd=BASE_DIR,
            env=self.environment,
        )
        self.running.append((program, process))

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        def over() -> bool:
            self.check()
            return self.stopping.is_set() or condition()

        if not places.wait_until(over, seconds=_READY_WITHIN_SECONDS):
            raise places.LocalServiceError(f"{what} does not answer; see {HUB_VAR / 'log'}.")
        if self.stopping.is_set():
            raise Stopped

    def check(self) -> None:
        """One program that ends by itself ends the hub: half of it would look like all of it."""
        for program, process in self.running:
            if process.poll() is not None and not self.stopping.is_set():
                log = HUB_VAR / "log" / f"{program.name}.log"
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
                raise places.LocalServiceError(
                    f"{program.name} ended with code {process.returncode}:\n{tail}"
                )

    def stop(self) -> None:
        for program, process in reversed(self.running):
            if process.poll() is None:
                process.send_signal(program.stop_signal)
        for program, process in reversed(self.running):
            places.stop(process, program.stop_signal, seconds=15)


def _free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise places.LocalServiceError(
                f"Port {port} is in use; choose another: make run PORT=..."
            ) from error


def _ready() -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", HUB_PORT, timeout=5)
    try:
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _administrator(made: dict[str, Any]) -> str:
    """The administrator's row of the table; a generated password is printed here, and is stored nowhere."""
    name = env.get("HUB_ADMIN_USER") or "admin"
    if env.get("HUB_ADMIN_PASSWORD"):
        return f"{name}, password from HUB_ADMIN_PASSWORD"
    if not made["created"]:
        return f"{name}, password as printed at the first start"
    # At once: should anything fail after this, nobody would ever learn it.
    print(f"\nThe first administrator is {name}, password {made['password']} (shown this once).", flush=True)
    return f"{name}, password as above"


def _table(rows: list[tuple[str, str]]) -> str:
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"  {label.ljust(width)}  {value}" for label, value in rows)


def _programs() -> list[Program]:
    beat = ["beat", "--loglevel", "INFO", "--pidfile", "", "--max-interval", "30"]
    programs = [
        Program(
            name="web", arguments=["-m", "gunicorn", "-c", "python:identity_hub.web", "identity_hub.wsgi"]
        ),
        Program(
            name="worker",
            arguments=[
                "-m",
                "celery",
                "-A",
                "identity_hub",
                "worker",
                "--loglevel",
                "INFO",
                "--concurrency",
                "2",
            ],
        ),
        Program(name="beat", arguments=["-m", "celery", "-A", "identity_hub", *beat]),
    ]
    if HUB_DEMO:
        port = str(HUB_DEMO_IDP_PORT)
        programs.append(Program(name="idp", arguments=["-m", "identity_hub.demo.idp", "--port", port]))
    return programs


def _run(stopping: threading.Event) -> None:
    started = time.monotonic()
    public_url = env.get("HUB_PUBLIC_URL") or f"http://localhost:{HUB_PORT}"
    with ExitStack() as stack:
        lock = places.Lock(
            HUB_VAR / "run.lock",
            seconds=15,
            held=f"The hub already runs from {HUB_VAR}. End it first, or set HUB_VAR to another folder.",
        )
        stack.callback(lock.release)
        for port in (HUB_PORT, *([HUB_DEMO_IDP_PORT] if HUB_DEMO else [])):
            _free(port)
        named = stack.enter_context(services.running(HUB_VAR, ephemeral=False))
        metrics = HUB_VAR / "metrics"
        environment = {
            **env,
            **named,
            "HUB_PUBLIC_URL": public_url,
            "PORT": str(HUB_PORT),
            "HUB_VAR": str(HUB_VAR),
            "PROMETHEUS_MULTIPROC_DIR": str(metrics),
            "PYTHONUNBUFFERED": "1",
        }
        metrics.mkdir(mode=0o700, exist_ok=True)
        hub = Hub(environment, stopping)
        stack.callback(hub.stop)
        _remember(stack, {**named, "HUB_PUBLIC_URL": public_url})
        administrator = _administrator(hub.prepare())
        for program in _programs():
            hub.start(program)
        hub.wait_for(_ready, "The hub")
        if HUB_DEMO:
            hub.wait_for(lambda: _listens(HUB_DEMO_IDP_PORT), "The demo IdP")
        rows = [
            ("Sign in", f"{public_url}/login/"),
            ("My account", f"{public_url}/me/"),
            ("Admin", f"{public_url}/admin/   {administrator}"),
            ("SCIM", f"{public_url}/scim/v2/"),
            ("API", f"{public_url}/api/schema/"),
            *([("Demo IdP", f"http://localhost:{HUB_DEMO_IDP_PORT}/")] if HUB_DEMO else []),
            ("Logs", f"{HUB_VAR / 'log'}"),
        ]
        seconds = time.monotonic() - started
        print(f"\nIdentity Hub is ready ({seconds:.0f} s). Ctrl-C ends it.\n\n{_table(rows)}\n", flush=True)
        while not stopping.wait(0.5):
            hub.check()


def _remember(stack: ExitStack, facts: dict[str, str]) -> None:
    """For commands in a second terminal: settings read the addresses from here while the hub runs."""
    path = HUB_VAR / "services.json"
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(facts))
    draft.replace(path)
    stack.callback(path.unlink, missing_ok=True)


def main() -> int:
    stopping = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, lambda *_: stopping.set())
    try:
        Path(HUB_VAR).mkdir(parents=True, exist_ok=True)
        with suppress(Stopped):
            _run(stopping)
    except places.LocalServiceError as error:
        print(error, file=sys.stderr)
        return 1
    print("Identity Hub has ended; its data stays.")
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    raise SystemExit(main())

"""`make run` from outside: it starts everything, keeps what it has, and leaves nothing behind."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from identity_hub.local import run as runner
from identity_hub.local.places import LocalServiceError, wait_until
from identity_hub.settings import BASE_DIR

pytestmark = pytest.mark.slow


@pytest.fixture
def var() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="hub-run-", dir="/var/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Run:
    """One `make run` without the make."""

    def __init__(self, var: Path, port: int) -> None:
        self.var, self.port = var, port
        self.output = var / "output"
        named = {"DATABASE_URL", "REDIS_URL", "HUB_ENV", "HUB_PUBLIC_URL", "HUB_ADMIN_PASSWORD"}
        inherited = {name: value for name, value in os.environ.items() if name not in named}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "identity_hub.local.run"],
                cwd=BASE_DIR,
                env={**inherited, "HUB_VAR": str(var), "PORT": str(port), "DEMO": "0"},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(lambda: "is ready" in self.text() or self.process.poll() is not None, seconds=120)
        assert "is ready" in self.text(), self.text()
        self.children = psutil.Process(self.process.pid).children(recursive=True)

    def text(self) -> str:
        return self.output.read_text()

    def ended(self) -> int:
        code = self.process.wait(60)
        left = psutil.wait_procs(self.children, timeout=20)[1]
        assert left == []
        return code


def test_one_program_that_ends_by_itself_ends_the_hub_and_is_named(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "HUB_VAR", var)
    hub = runner.Hub(dict(os.environ), threading.Event())
    lasting = "import signal; signal.pause()"
    hub.start(runner.Program(name="beat", arguments=["-c", lasting]))
    hub.start(runner.Program(name="worker", arguments=["-c", "print('no broker'); raise SystemExit(3)"]))
    hub.running[1][1].wait(20)
    with pytest.raises(LocalServiceError, match="worker ended with code 3:\nno broker"):
        hub.check()
    hub.stop()
    assert [process.poll() for _, process in hub.running] == [-signal.SIGTERM, 3]


@pytest.mark.parametrize(("words", "port"), [([], ""), (["PORT=9000"], "9000")], ids=["nobody", "the caller"])
def test_make_passes_on_a_port_only_where_it_is_named(words: list[str], port: str) -> None:
    """`make demo` finds the running hub wherever that is; a port that make chose would hide it."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("PORT", "MAKEFLAGS")}
    done = subprocess.run(
        ["make", "--silent", "--eval", "said: ; @echo $$PORT", *words, "said"],  # noqa: S607 - the make that runs the tests
        cwd=BASE_DIR,
        env=inherited,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == port


def test_it_starts_keeps_its_data_and_leaves_no_process_behind(var: Path) -> None:
    port = _free_port()
    run = Run(var, port)
    try:
        shown = re.search(r"administrator is admin, password \S{12,} \(shown this once\)", run.text())
        assert shown is not None
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        link.request("GET", "/readyz")
        assert link.getresponse().status == 200
        link.close()
        # Killed without a word, as by a system that ran out of memory: the kernel ends what it started.
        run.process.kill()
        run.ended()

        run = Run(var, port)
        assert "password as printed at the first start" in run.text()
        run.process.send_signal(signal.SIGINT)
        assert run.ended() == 0
        assert not (var / "services.json").exists()
    finally:
        run.process.kill()
        run.process.wait()

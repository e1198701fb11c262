"""Where a local service may live, and as whom: folder, socket, user, lock. Knows no service."""

import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The longest path a Unix socket may have on Linux (sun_path holds 108 bytes, the last one zero).
SOCKET_PATH_MAX = 107

# PostgreSQL refuses to run as root and wants a user that exists; this one does on every Linux.
NOBODY = 65534

_PR_SET_PDEATHSIG = 1


class LocalServiceError(Exception):
    """A local service cannot start; the text says why and what to do."""


def private_folder(owner: Path) -> Path:
    """A short-named folder outside of the checkout, for what cannot live inside: 0711 for root, else 0700."""
    digest = hashlib.sha256(os.fsencode(owner)).hexdigest()[:12]
    folder = Path("/var/tmp") / f"identity-hub-{os.geteuid()}-{digest}"  # noqa: S108 - checked below
    mode = 0o711 if os.geteuid() == 0 else 0o700
    folder.mkdir(mode=mode, exist_ok=True)
    # /var/tmp belongs to everybody: somebody else may have put a folder or a link of this name there first.
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise LocalServiceError(f"{folder} belongs to somebody else; remove it or set HUB_VAR.")
    folder.chmod(mode)
    return folder


def as_nobody() -> dict[str, Any]:
    """Arguments for `subprocess` that drop root's rights; none when there are none to drop."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def can_enter(folder: Path) -> bool:
    """Whether the user that `as_nobody` names can reach `folder`."""
    done = subprocess.run(  # noqa: S603 - the shell, for its `cd` happens after the change of user
        ["/bin/sh", "-c", 'cd "$1"', "sh", folder],
        **as_nobody(),
        cwd="/",
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0


def can_run(program: Path) -> bool:
    """Whether the user that `as_nobody` names can reach and start `program`."""
    try:
        done = subprocess.run(  # noqa: S603 - a program of our own environment
            [program, "--version"],
            **as_nobody(),
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def socket_folder(wanted: Path, socket_name: str) -> Path:
    """`wanted`, or a folder with a shorter name where the socket's path would be too long there."""
    fits = len(os.fsencode(wanted / socket_name)) <= SOCKET_PATH_MAX
    folder = wanted if fits else private_folder(wanted) / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Polls `condition` until it holds (True) or the time is over (False)."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Lock:
    """One holder of a folder at a time, kept by the kernel: it outlives a crash of nobody.

    The service inherits the descriptor, so an orphan that still runs still holds it; and whoever gets the
    lock knows that a pid file left in the folder is stale.
    """

    def __init__(self, path: Path, *, seconds: float, held: str) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not wait_until(self._try, seconds=seconds):
            os.close(self.descriptor)
            raise LocalServiceError(held)

    def _try(self) -> bool:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        os.close(self.descriptor)


def die_with_parent(signum: signal.Signals) -> Callable[[], None]:
    """For `preexec_fn`: the kernel sends `signum` to the child when its parent is gone, for any reason."""
    libc = ctypes.CDLL(None)
    prctl = getattr(libc, "prctl", None)  # Linux only; elsewhere the parent's own clean-up must do.

    def arrange() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)

    return arrange


def spawn(
    command: list[str | Path],
    *,
    stop_signal: signal.Signals,
    log: Path | None = None,
    lock: Lock | None = None,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """A child in its own session (a Ctrl-C at the terminal is ours to pass on) that does not outlive us."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if log else None
    try:
        return subprocess.Popen(  # noqa: S603 - programs of our own environment
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=[lock.descriptor] if lock else [],
            preexec_fn=die_with_parent(stop_signal),  # noqa: PLW1509 - the parent has one thread
            **options,
        )
    finally:
        if output is not None:
            os.close(output)


def stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals, *, seconds: float = 15) -> None:
    """Asks the child to end, and ends its whole session when it does not."""
    if process.poll() is None:
        process.send_signal(stop_signal)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

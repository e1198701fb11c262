"""The secrets of a development installation, made once and kept under var/. Knows no production secret."""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from identity_hub.core import clock, key_pairs


def secret(path: Path) -> str:
    """The random text kept in `path`; made at the first call."""
    return _keep(path, secrets.token_urlsafe(48).encode()).decode()


def saml_key(key: Path, certificate: Path) -> None:
    """An RSA key and a self-signed certificate (PEM) with which a development hub signs its SAML messages."""
    if key.exists() and certificate.exists():
        return
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # Two processes may come here together: the certificate is made for the key that won.
    kept = serialization.load_pem_private_key(_keep(key, pem), password=None)
    assert isinstance(kept, rsa.RSAPrivateKey)
    _keep(certificate, key_pairs.certificate_for(kept, "Identity Hub (development)", clock.now()))


def _keep(path: Path, content: bytes) -> bytes:
    """What `path` holds, after writing `content` there if it held nothing; whole or not at all, mode 0600."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        draft.touch(mode=0o600)
        draft.write_bytes(content)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # Another process was first: its content is the one that counts.
        finally:
            draft.unlink()
    return path.read_bytes()

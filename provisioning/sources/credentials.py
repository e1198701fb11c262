"""What lets the hub list people: a bearer token, or what obtains one. Knows no table; shows itself to nobody."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from provisioning.decision.reasons import Flaw
from provisioning.roster import Unreadable

from .wire import Wire, code_of, host_of, json_of

EARLIER = timedelta(minutes=1)
"""A token is renewed so long before its end."""
ASSERTION_LIFE = timedelta(minutes=10)


class Bearer:
    def __init__(self, token: str) -> None:
        self._token = token

    def headers(self, wire: Wire) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def forget(self) -> bool:
        return False


class _Obtained:
    """A token of a token endpoint, kept until shortly before its end."""

    def __init__(self, token_address: str) -> None:
        self._token_address = token_address
        self._token = ""
        self._until: datetime | None = None

    def form(self, at: datetime) -> Mapping[str, str]:
        raise NotImplementedError

    def headers(self, wire: Wire) -> Mapping[str, str]:
        at = wire.clock()
        if not self._token or self._until is None or at >= self._until:
            self._token, life = self._obtain(wire, at)
            self._until = at + life - EARLIER
        return {"Authorization": f"Bearer {self._token}"}

    def forget(self) -> bool:
        known, self._token = bool(self._token), ""
        return known

    def _obtain(self, wire: Wire, at: datetime) -> tuple[str, timedelta]:
        reply = wire.post(self._token_address, self.form(at))
        said = json_of(reply) or {}
        token, seconds = said.get("access_token"), said.get("expires_in")
        if (
            reply.status != 200
            or not isinstance(token, str)
            or not token.isascii()
            or not token.isprintable()
        ):
            # The endpoint's own sentence may repeat what was sent; its code says enough.
            code = code_of(reply) or f"status {reply.status}"
            raise Unreadable(f"{host_of(self._token_address)} gives no token ({code}).", Flaw.DENIED)
        return token, timedelta(seconds=seconds if isinstance(seconds, int) and 0 < seconds < 10**6 else 300)


class ClientCredentials(_Obtained):
    """RFC 6749 4.4, with the secret in the form: Entra ID takes no other, and every server may."""

    def __init__(self, *, token_address: str, client_id: str, secret: str, scope: str = "") -> None:
        super().__init__(token_address)
        self._form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        if scope:
            self._form["scope"] = scope

    def form(self, at: datetime) -> Mapping[str, str]:
        return self._form


class ServiceAccount(_Obtained):
    """RFC 7523: a key of Google's speaks for an administrator, whose domain allows it (domain-wide delegation)."""

    def __init__(self, *, token_address: str, account: str, key: str, subject: str, scope: str) -> None:
        super().__init__(token_address)
        self._account = account
        self._key = key
        self._subject = subject
        self._scope = scope

    def form(self, at: datetime) -> Mapping[str, str]:
        claims = {
            "iss": self._account,
            "sub": self._subject,
            "scope": self._scope,
            "aud": self._token_address,
            "iat": int(at.timestamp()),
            "exp": int((at + ASSERTION_LIFE).timestamp()),
        }
        try:
            key = RSAKey.import_key(self._key)
            signed = jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, key, algorithms=["RS256"])
        except (JoseError, ValueError):
            raise Unreadable("The service account's key cannot be used.", Flaw.DENIED) from None
        return {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": signed,
        }


def key_file(text: str) -> dict[str, Any] | None:
    """Google's JSON file of a service account's key; None for anything else."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or not all(
        isinstance(found.get(name), str) and found[name] for name in ("client_email", "private_key")
    ):
        return None
    return found

"""Service account tokens: JSON web tokens signed with the sandbox's own key.

Own code: three base64 parts and one ECDSA signature, for which cryptography is here already.
"""

from __future__ import annotations

import base64
import binascii
import time
import uuid
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

Obj = dict[str, Any]
ISSUER = "https://kubernetes.default.svc.cluster.local"
SIGNED = ec.ECDSA(hashes.SHA256())
MOST_KNOWN = 4096


class TokenSigner:
    """Makes and reads tokens.

    Args:
        key_file: ``pki/sa.key`` of the sandbox.
    """

    def __init__(self, key_file: Path) -> None:
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        self._known: dict[str, Obj] = {}

    def sign(self, claims: Obj) -> str:
        body = ".".join(_encode(orjson.dumps(p)) for p in ({"alg": "ES256", "typ": "JWT"}, claims))
        r, s = decode_dss_signature(self._key.sign(body.encode(), SIGNED))
        return f"{body}.{_encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def issue(self, namespace: str, account: Obj, audiences: list[str], seconds: int, bound: Obj | None) -> str:
        """A token of a service account.

        Args:
            namespace: the account's.
            account: the ServiceAccount object.
            audiences: whom it is for; the API server when empty.
            seconds: how long it is valid.
            bound: the ``{"pod": {"name", "uid"}}`` without which it is not valid.
        """
        now = int(time.time())
        meta = account["metadata"]
        facts = {"namespace": namespace, "serviceaccount": {"name": meta["name"], "uid": meta["uid"]}, **(bound or {})}
        return self.sign(
            {
                "aud": audiences or [ISSUER],
                "exp": now + seconds,
                "iat": now,
                "iss": ISSUER,
                "jti": str(uuid.uuid4()),
                "kubernetes.io": facts,
                "nbf": now,
                "sub": f"system:serviceaccount:{namespace}:{meta['name']}",
            }
        )

    def read(self, token: str) -> Obj | None:
        """The claims of a token that this key signed and whose time has come and is not over; None otherwise."""
        claims = self._known.get(token)
        if claims is None:
            claims = self._verified(token)
            if claims is None:
                return None
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[token] = claims
        return claims if claims["nbf"] <= time.time() + 1 and time.time() < claims["exp"] else None

    def _verified(self, token: str) -> Obj | None:
        body, _, signature = token.rpartition(".")
        try:
            raw = _decode(signature)
            if len(raw) != 64:
                return None
            pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
            self._key.public_key().verify(pair, body.encode(), SIGNED)
            claims = orjson.loads(_decode(body.partition(".")[2]))
        except (InvalidSignature, ValueError, binascii.Error):
            return None
        return claims if isinstance(claims, dict) and claims.get("iss") == ISSUER else None


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

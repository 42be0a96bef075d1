"""What authenticators answer (Web Authentication Level 3, §7): read strictly, and verified by what we expect.

Whatever is wrong with an answer, it is the same refusal (WAN-02). Nothing in an answer sets a rule: of what a browser
sends back only what is signed counts, and what is expected of it is ours (WAN-05).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar
from urllib.parse import urlsplit

import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    parse_attestation_object,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import AttestationFormat, CredentialDeviceType
from webauthn.registration.verify_registration_response import VerifiedRegistration

from idp.platform import strict_json
from idp.platform.errors import Refusal
from idp.platform.settings import settings
from idp.platform.strict_json import Json

ALGORITHMS: Final = (
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
)
"""The kinds of keys that a passkey may have, the best first."""

LONGEST = 16_000
"""Characters that an answer may have; the longest key that is taken needs a fifth of that."""

LONGEST_ID = 1_023
"""Bytes that the id of a passkey may have (§4, credential id)."""

RSA_BITS = (2_048, 4_096)
"""The least and the most bits of an RSA key."""

TRANSPORTS: Final = frozenset({"ble", "hybrid", "internal", "nfc", "smart-card", "usb"})

Said = TypeVar("Said")

log = structlog.get_logger()


class NotAccepted(Refusal):
    """A passkey, or an answer of one, that is not taken; what is wrong with it is told to nobody.

    `is_unknown`: no such passkey is known here, so whoever keeps it may forget it.
    """

    code = "passkey_not_accepted"
    status = 400
    title = "The passkey was not accepted"
    remedy = "Nothing was changed. Try it again, or use another passkey or another way."
    keeps = True

    def __init__(self, *, is_unknown: bool = False) -> None:
        super().__init__()
        self.is_unknown = is_unknown


@dataclass(frozen=True)
class Answer:
    """What a browser sent: the `credential_id` (base64url) and the `challenge` that it claims, and the rest unverified.

    `user_handle`: whose it is, as the authenticator says; `None` if it does not say.
    """

    credential_id: str
    challenge: bytes
    user_handle: bytes | None
    transports: tuple[str, ...]
    document: dict[str, Json]


def relying_party() -> str:
    """The relying party id: the host of the issuer, and no domain above it."""
    return urlsplit(settings().issuer).hostname or ""


def encoded(value: bytes) -> str:
    """`value` as base64url without padding."""
    return bytes_to_base64url(value)


def decoded(text: Json) -> bytes:
    """The bytes that `text` spells in base64url without padding, in the one way there is. Raises `NotAccepted`."""
    if not isinstance(text, str) or not text.isascii():
        raise NotAccepted
    try:
        value = base64url_to_bytes(text)
    except ValueError:
        raise NotAccepted from None
    if encoded(value) != text:
        raise NotAccepted
    return value


def read(sent: str, kind: Literal["create", "get"]) -> Answer:
    """`sent` (JSON of a `PublicKeyCredential`, §5.1) as far as it can be read before anything is known about it.

    `kind`: what the page asked the browser for. Raises `NotAccepted`.
    """
    whole = _object(sent if len(sent) <= LONGEST else "")
    response = whole.get("response")
    if not isinstance(response, dict) or whole.get("id") != whole.get("rawId"):
        raise NotAccepted
    credential_id, handle = decoded(whole.get("rawId")), response.get("userHandle")
    if not 0 < len(credential_id) <= LONGEST_ID:
        raise NotAccepted
    return Answer(
        credential_id=encoded(credential_id),
        challenge=_challenge(decoded(response.get("clientDataJSON")), f"webauthn.{kind}"),
        user_handle=None if handle is None else decoded(handle),
        transports=_transports(response.get("transports")),
        document={
            "id": whole.get("id"),
            "rawId": whole.get("rawId"),
            "type": whole.get("type"),
            "response": {name: response.get(name) for name in _MEMBERS[kind]},
        },
    )


def new_passkey(answer: Answer) -> VerifiedRegistration:
    """The passkey that `answer` offers (§7.1): its owner verified, its key one of ours, and vouched for by nobody.

    We ask for no attestation and have no roots to believe one by, so whatever comes with certificates is not taken.
    Raises `NotAccepted`.
    """

    def check() -> VerifiedRegistration:
        new = verify_registration_response(
            credential=answer.document,
            expected_challenge=answer.challenge,
            expected_rp_id=relying_party(),
            expected_origin=settings().issuer,
            require_user_presence=True,
            require_user_verification=True,
            supported_pub_key_algs=list(ALGORITHMS),
        )
        _require_own_statement(new.attestation_object)
        _require_sound_key(new.credential_public_key)
        if encoded(new.credential_id) != answer.credential_id:
            raise ValueError("the id is that of another credential")
        return new

    return _checked(check)


def assertion(answer: Answer, public_key: bytes) -> VerifiedAuthentication:
    """What the passkey with that (COSE) key says in `answer` (§7.2): that its owner was there, and verified.

    Its counter is the caller's to compare. Raises `NotAccepted`.
    """
    return _checked(
        lambda: verify_authentication_response(
            credential=answer.document,
            expected_challenge=answer.challenge,
            expected_rp_id=relying_party(),
            expected_origin=settings().issuer,
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    )


def is_synced(said: VerifiedRegistration | VerifiedAuthentication) -> bool:
    """Whether the passkey may leave its device (BE, §6.1.3)."""
    return said.credential_device_type is CredentialDeviceType.MULTI_DEVICE


_MEMBERS: Final = {
    "create": ("clientDataJSON", "attestationObject"),
    "get": ("clientDataJSON", "authenticatorData", "signature"),
}


def _checked(check: Callable[[], Said]) -> Said:
    """What `check` finds; whichever way it fails, on whatever a stranger made up, is the same answer (WAN-04)."""
    try:
        return check()
    except Exception as error:
        log.info("a passkey was not accepted", because=f"{type(error).__name__}: {error}"[:200])
        raise NotAccepted from error


def _object(text: str | bytes) -> dict[str, Json]:
    try:
        value = strict_json.loads(text)
    except strict_json.NotJson:
        raise NotAccepted from None
    if not isinstance(value, dict):
        raise NotAccepted
    return value


def _challenge(client_data: bytes, kind: str) -> bytes:
    """The challenge in what the browser says about the ceremony (§5.8.1), which was on a page of ours, on its own.

    The library looks at `type` and `origin` again; that we were in no frame it does not.
    """
    said = _object(client_data)
    if said.get("type") != kind or said.get("origin") != settings().issuer:
        raise NotAccepted
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise NotAccepted
    return decoded(said.get("challenge"))


def _transports(sent: Json) -> tuple[str, ...]:
    told = {one for one in sent if isinstance(one, str)} if isinstance(sent, list) else set[str]()
    return tuple(sorted(told & TRANSPORTS))


def _require_own_statement(attestation_object: bytes) -> None:
    """No statement, or one that the passkey signed itself (§6.5.4)."""
    read_again = parse_attestation_object(attestation_object)
    if read_again.fmt not in (AttestationFormat.NONE, AttestationFormat.PACKED) or read_again.att_stmt.x5c is not None:
        raise ValueError("the attestation is vouched for by somebody")


def _require_sound_key(public_key: bytes) -> None:
    """A key that assertions can be verified with, at a cost that is known."""
    key = decoded_public_key_to_cryptography(decode_credential_public_key(public_key))
    if isinstance(key, RSAPublicKey) and not RSA_BITS[0] <= key.key_size <= RSA_BITS[1]:
        raise ValueError("the key has another length")
    if isinstance(key, EllipticCurvePublicKey) and not isinstance(key.curve, SECP256R1):
        raise ValueError("the key is on another curve")

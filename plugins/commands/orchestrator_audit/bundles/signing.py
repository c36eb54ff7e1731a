"""Signatures of bundles: Ed25519 in a DSSE envelope (github.com/secure-systems-lab/dsse); needs the extra ``sign``."""

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from orchestrator.documents import read_text
from orchestrator.errors import OrchestrateError, OutputError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

OWN_KEY: Final = "signing.key"
"""The name of the data folder's own key, in it; the public one has ``.pub`` after that."""

PAYLOAD_TYPE: Final = "application/vnd.multi-llm-orchestrator.bundle+json"


class SigningUnavailableError(OrchestrateError):
    """The package that signs is not installed."""

    exit_code = 2

    def __init__(self) -> None:
        super().__init__("signatures need the package cryptography: pip install 'multi-llm-orchestrator[sign]'")


class BadSignatureError(OrchestrateError):
    """An envelope does not prove what it should."""

    exit_code = 6


def make_key(path: Path) -> tuple[Path, str]:
    """Write a new private key to a file only its owner can read, and its public key beside it (``.pub``), as PEM.

    Returns:
        The public key's file, and its id.

    Raises:
        OutputError: one of the files exists, or cannot be written.
    """
    ed25519, serialization = _library()
    private = ed25519.Ed25519PrivateKey.generate()
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    beside = path.with_name(f"{path.name}.pub")
    for target, content, mode in ((path, secret, 0o600), (beside, public, 0o644)):
        try:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        except OSError as error:
            raise OutputError(f"{target}: {error.strerror}; choose another name for the key") from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    return beside, key_id(private.public_key())


def small_file(key: Path) -> Path:
    """The file of a key, once it is sure that it has an end.

    Raises:
        SpecError: it is no small file of text, or cannot be read.
    """
    read_text(key)
    return key


def read_private(path: Path) -> "Ed25519PrivateKey":
    """The private key in a PEM file.

    Raises:
        UsageError: it cannot be read, or is no Ed25519 key without a password.
    """
    ed25519, serialization = _library()
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name the file of a private key") from error
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: no private key in PEM without a password: {error}") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise UsageError(f"{path}: it is no Ed25519 key; make one with: orchestrate audit keygen FILE")
    found: Ed25519PrivateKey = key
    return found


def read_public(path: Path) -> "Ed25519PublicKey":
    """The public key in a PEM file; see ``read_private``."""
    ed25519, serialization = _library()
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name the file of a public key") from error
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: no public key in PEM: {error}") from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise UsageError(f"{path}: it is no Ed25519 key; ask for the .pub of: orchestrate audit keygen FILE")
    found: Ed25519PublicKey = key
    return found


def own_public(folder: Path) -> "Ed25519PublicKey | None":
    """The public key of a data folder, with which its bundles are signed; None where it has none.

    Raises:
        UsageError: it cannot be read; see ``read_private``.
    """
    path = folder / f"{OWN_KEY}.pub"
    return read_public(path) if path.is_file() else None


def key_id(key: "Ed25519PublicKey") -> str:
    """The public key itself, 64 hexadecimal digits: so that an envelope can be checked for damage without the file."""
    return key.public_bytes_raw().hex()


def sign(payload: bytes, key: "Ed25519PrivateKey") -> bytes:
    """The envelope of a signed payload, as JSON."""
    signature = base64.b64encode(key.sign(_authenticated(payload))).decode()
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": key_id(key.public_key()), "sig": signature}],
    }
    return orjson.dumps(envelope)


def check(envelope: bytes, payload: bytes, key: "Ed25519PublicKey | None") -> str:
    """Make sure that an envelope signs a payload: with this key or, where it is None, with the one it names.

    Returns:
        The key's id.

    Raises:
        BadSignatureError: it does not.
    """
    ed25519, _ = _library()
    from cryptography.exceptions import InvalidSignature

    try:
        fields = orjson.loads(envelope)
        inside = str(fields["payload"])
        [signed] = fields["signatures"]
        signature, named = base64.b64decode(signed["sig"], validate=True), str(signed["keyid"])
        used = key or ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(named))
        kind = fields["payloadType"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadSignatureError(f"the envelope cannot be read: {error}") from error
    if inside != base64.b64encode(payload).decode() or kind != PAYLOAD_TYPE:
        raise BadSignatureError("the envelope signs something else")
    try:
        used.verify(signature, _authenticated(payload))
    except InvalidSignature as error:
        whose = "the key it was to be signed with" if key is not None else f"the key {named[:12]}"
        raise BadSignatureError(f"it was not signed with {whose}") from error
    return key_id(used)


def _authenticated(payload: bytes) -> bytes:
    """DSSE's encoding of what is signed."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _library() -> tuple[Any, Any]:
    """The modules ``ed25519`` and ``serialization``, loaded when a bundle is signed."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise SigningUnavailableError from error
    return ed25519, serialization

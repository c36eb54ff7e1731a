"""Check a bundle by docs/log-format.md alone: ``python verify_bundle.py FILE [PUBLIC_KEY_IN_HEX]``.

It checks sums, chains, texts and (with the package ``cryptography``) the signature, not what the events mean.
"""

import base64
import hashlib
import json
import re
import sys
import tarfile
from typing import Any

GENESIS = hashlib.sha256(b"multi-llm-orchestrator genesis 1\n").hexdigest()
COLUMNS = ("stream", "version", "type", "schema", "at", "data")
Row = dict[str, Any]


def event_hash(previous: str, row: Row) -> str:
    """The hash of an event: over the hash before it and six columns, each after its length."""
    parts = [previous.encode(), *(str(row[name]).encode() for name in COLUMNS)]
    content = b"".join(b"%d:%b" % (len(part), part) for part in parts)
    return hashlib.sha256(b"multi-llm-orchestrator event 1\n" + content).hexdigest()


def chain(rows: list[Row]) -> dict[str, tuple[int, int, str]]:
    """By stream: first version, last version and last hash. ValueError names the first event that does not fit."""
    ends: dict[str, tuple[int, int, str]] = {}
    hashes: dict[tuple[str, int], str] = {}
    for row in rows:
        stream, version, shared = row["stream"], row["version"], 0
        if stream not in ends and row["type"] == "run.forked":
            fork = json.loads(row["data"])
            shared = fork["version"]
            if hashes.get((fork["parent"], shared)) != fork["hash"]:
                raise ValueError(f"{stream} v{version}: the past that it shares is missing, or was changed")
        first, last, previous = ends.get(stream, (version, shared, GENESIS))
        if version != last + 1 or event_hash(previous, row) != row["hash"]:
            raise ValueError(f"{stream} v{version}: it was changed, or an event before it is missing")
        ends[stream] = (first, version, row["hash"])
        hashes[stream, version] = row["hash"]
    return ends


def check_texts(rows: list[Row], texts: list[Row], salts: dict[str, str]) -> None:
    """Every text is what its digest says; unless content was deleted, each that an event refers to is there."""
    for text in texts:
        salt = bytes.fromhex(salts[text["run"]])
        if hashlib.sha256(salt + text["text"].encode()).hexdigest() != text["digest"]:
            raise ValueError(f"the text {text['digest']} is not what its digest says")
    data = "".join(row["data"] for row in rows if row["type"] != "session.opened")
    referred = re.findall('"([0-9a-f]{64})"', re.sub('"(hash|place)":"[0-9a-f]{64}"', "", data))
    deleted = any(row["type"] == "content.deleted" for row in rows)
    if not deleted and not set(referred) <= {text["digest"] for text in texts}:
        raise ValueError("a text that an event refers to is missing")


def check_signature(envelope: Row, manifest: bytes, public: str) -> None:
    """The DSSE envelope signs the manifest with the key. InvalidSignature: it does not."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    kind, [signed] = envelope["payloadType"].encode(), envelope["signatures"]
    content = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(manifest), manifest)
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(base64.b64decode(signed["sig"]), content)


def verify(path: str, public: str | None = None) -> Row:
    """Check a bundle; returns its manifest. Raises where anything does not fit."""
    with tarfile.open(path, "r:") as tar:
        members = {each.name: file.read() for each in tar.getmembers() if (file := tar.extractfile(each))}
    sums = "".join(f"{hashlib.sha256(members[name]).hexdigest()}  {name}\n" for name in members if name != "SHA256SUMS")
    if sums.encode() != members["SHA256SUMS"]:
        raise ValueError("a member is not what SHA256SUMS says")
    manifest: Row = json.loads(members["manifest.json"])
    rows = [json.loads(line) for line in members["events.jsonl"].splitlines()]
    named = {each["stream"]: (each["from"], each["to"], each["head"]) for each in manifest["streams"]}
    if chain(rows) != named or named[manifest["run"]][2] != manifest["head"]:
        raise ValueError("the heads are not those the manifest names")
    if "texts.jsonl" in members:
        check_texts(rows, [json.loads(line) for line in members["texts.jsonl"].splitlines()], manifest["salts"])
    if public is not None:
        check_signature(json.loads(members["signature.json"]), members["manifest.json"], public)
    return manifest


if __name__ == "__main__":
    found = verify(*sys.argv[1:3])
    sys.stdout.write(f"ok: {found['run']}, head {found['head']}\n")

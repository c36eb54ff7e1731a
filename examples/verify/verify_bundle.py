"""Check a bundle by docs/log-format.md alone: ``python verify_bundle.py FILE [PUBLIC_KEY_IN_HEX]``."""

import hashlib
import json
import re
import sys
import tarfile
from base64 import b64decode
from typing import Any

EVENT, TEXT = ("position", "stream", "version", "type", "schema", "at", "data", "hash"), ("run", "digest", "text")
KINDS = dict.fromkeys(("position", "version", "schema", "at"), int)
SESSION, PLUGIN = ("number", "program", "rules", "plugins"), ("kind", "name", "distribution", "version")
GENESIS = hashlib.sha256(b"multi-llm-orchestrator genesis 1\n").hexdigest()


def require(holds: bool, what: str) -> None:
    """Raise a ValueError that says what does not hold."""
    if not holds:
        raise ValueError(what)


def lines(parts: dict[str, bytes], name: str, keys: tuple[str, ...], about: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a member: compact JSON, columns in order and of their types, and as the manifest describes it."""
    rows = [{k: KINDS.get(k, str)(row[k]) for k in keys} for row in map(json.loads, parts[name].splitlines())]
    plain = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    described = {"lines": len(rows), "sha256": hashlib.sha256(plain.encode()).hexdigest()}
    require(plain.encode() == parts[name] and described == about, f"{name} is not as it is written")
    return rows


def chain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The streams, as the manifest has them. ValueError names the first event that does not fit."""
    streams, hashes = dict[str, dict[str, Any]](), dict[Any, str]()
    for row in rows:
        stream, version, is_first = row["stream"], row["version"], row["stream"] not in streams
        fork = json.loads(row["data"]) if is_first and row["type"] == "run.forked" else {"version": 0}
        require(hashes.get((fork.get("parent"), fork["version"])) == fork.get("hash"), f"{stream}: its past differs")
        about = streams.setdefault(stream, {"stream": stream, "from": version, "to": fork["version"], "head": GENESIS})
        content = "".join(f"{len(str(each).encode())}:{each}" for each in (about["head"], *list(row.values())[1:-1]))
        digest = hashlib.sha256(f"multi-llm-orchestrator event 1\n{content}".encode()).hexdigest()
        require((version, row["hash"]) == (about["to"] + 1, digest), f"{stream} v{version} was changed, or one before")
        about["to"], about["head"], hashes[stream, version] = version, digest, digest
    return list(streams.values())


def check_texts(rows: list[dict[str, Any]], texts: list[dict[str, Any]], salts: dict[str, str]) -> None:
    """Each text is what its digest says; those the events refer to are there in their order, unless deleted."""
    data = "".join(row["data"] for row in rows if row["type"] != "session.opened")
    needed = dict.fromkeys(re.findall('"([0-9a-f]{64})"', re.sub('"(hash|place|value)":"[0-9a-f]{64}"', "", data)))
    found = [hashlib.sha256(bytes.fromhex(salts[each["run"]]) + each["text"].encode()).hexdigest() for each in texts]
    require(found == [each["digest"] for each in texts], "a text is not what its digest says")
    gone = any(row["type"] == "content.deleted" for row in rows)
    require(found == [each for each in needed if each in found or not gone], "the texts are not those of the events")


def verify(path: str, public: str | None = None) -> dict[str, Any]:
    """Check a bundle; returns its manifest. Raises where anything does not fit."""
    with tarfile.open(path, "r:") as tar:
        members = {each.name: file.read() for each in tar.getmembers() if (file := tar.extractfile(each))}
    manifest: dict[str, Any] = json.loads(members["manifest.json"])
    sums = [f"{hashlib.sha256(members[name]).hexdigest()}  {name}\n" for name in members if name != "SHA256SUMS"]
    require("".join(sums).encode() == members["SHA256SUMS"], "a member is not what SHA256SUMS says")
    rows = lines(members, "events.jsonl", EVENT, manifest["events"])
    opened = [{key: json.loads(row["data"])[key] for key in SESSION} for row in rows if row["type"] == "session.opened"]
    own = [{**each, "plugins": [{key: one[key] for key in PLUGIN} for one in each["plugins"]]} for each in opened]
    require(manifest | {"streams": chain(rows), "head": rows[-1]["hash"], "sessions": own} == manifest, "bad manifest")
    if manifest["texts"] is not None:
        check_texts(rows, lines(members, "texts.jsonl", TEXT, manifest["texts"]), manifest["salts"])
    if public is not None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        dsse, body = json.loads(members["signature.json"]), members["manifest.json"]
        text = f"DSSEv1 {len(dsse['payloadType'])} {dsse['payloadType']} {len(body)} ".encode() + body
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(b64decode(dsse["signatures"][0]["sig"]), text)
    return manifest


if __name__ == "__main__":
    sys.stdout.write(f"ok: head {verify(*sys.argv[1:3])['head']}\n")

"""Check a bundle by docs/log-format.md alone: ``python verify_bundle.py FILE [PUBLIC_KEY_IN_HEX]``."""

import os
import sys
import tarfile
from base64 import b64decode, b64encode
from hashlib import sha256
from json import JSONEncoder, loads
from pathlib import Path
from typing import Any

EVENT, TOP = ("position", "stream", "version", "type", "schema", "at", "data", "hash"), ("number", "program", "rules")
NUMBERS, GENESIS = ("position", "version", "schema", "at"), sha256(b"multi-llm-orchestrator genesis 1\n").hexdigest()
USED, KIND = ("kind", "name", "distribution", "version"), "application/vnd.multi-llm-orchestrator.bundle+json"
dumps = JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"{what}: not as it must be")


def chain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The streams, as the manifest has them. ValueError names the first event that does not fit."""
    streams: list[dict[str, Any]] = [{"stream": "", "to": 0, "head": ""}]
    for row in rows:
        last, forked, where = streams[-1], row["type"] == "run.forked", f"{row['stream']} v{row['version']}"
        if forked or row["stream"] != last["stream"]:
            past = [loads(row["data"])[key] for key in ("parent", "version", "hash")] if forked else ["", 0, ""]
            _require(dumps(past) == dumps([last[key] for key in ("stream", "to", "head")]), f"the past of {where}")
            streams += [last := {"stream": row["stream"], "from": row["version"], "to": last["to"], "head": GENESIS}]
        parts = [str(part).encode() for part in (last["head"], *[row[key] for key in EVENT][1:-1])]
        content = b"multi-llm-orchestrator event 1\n" + b"".join(b"%d:%b" % (len(part), part) for part in parts)
        last |= {"to": last["to"] + 1, "head": sha256(content).hexdigest()}
        _require([row["version"], row["schema"], row["hash"]] == [last["to"], 1, last["head"]], where)
    return streams[1:]


def verify(path: str, public: str = "") -> dict[str, Any]:
    """Check a bundle; returns its manifest. Raises where anything does not fit."""
    raw, tar, sums, found, rows = Path(path).read_bytes(), b"", "", dict[str, bytes](), dict[str, list[Any]]()
    for name in ("manifest.json", "events.jsonl", "texts.jsonl", "signature.json", "SHA256SUMS"):
        info, start = tarfile.TarInfo(name), len(tar) + 512
        if raw[len(tar) : start].startswith(name.encode() + b"\0"):
            info.size, found[name] = (size := int(raw[start - 388 : start - 377], 8)), raw[start : start + size]
            tar += info.tobuf(tarfile.USTAR_FORMAT) + found[name] + bytes(-info.size % 512)
            sums += f"{sha256(found[name]).hexdigest()}  {name}\n" * (name != "SHA256SUMS")
    _require(found["SHA256SUMS"] == sums.encode() and raw == tar + bytes(1024), "the tar file")
    for name, keys in (("events.jsonl", EVENT), ("texts.jsonl", ("run", "digest", "text"))):
        parsed = map(loads, found.get(name, b"").splitlines())
        rows[name] = [{k: abs(int(row[k])) % 2**63 if k in NUMBERS else str(row[k]) for k in keys} for row in parsed]
        _require("".join(f"{dumps(row)}\n" for row in rows[name]).encode() == found.get(name, b""), name)
    (events, texts), body, given = rows.values(), found["manifest.json"], loads(found["manifest.json"])
    own, others = ([loads(e["data"]) for e in events if (e["type"] == "session.opened") is o] for o in (True, False))
    opened = [{k: d[k] for k in TOP} | {"plugins": [{k: p[k] for k in USED} for p in d["plugins"]]} for d in own]
    bound = [d | {"place": 0, "hash": 0, "grants": [g | {"value": 0} for g in d.get("grants", [])]} for d in others]
    _require(sorted({row["position"] for row in events}) == [row["position"] for row in events], "the positions")
    salts = {run: bytes.fromhex(salt).hex() for run, salt in given["salts"].items()}
    made = [sha256(bytes.fromhex(salts[row["run"]]) + row["text"].encode()).hexdigest() for row in texts]
    gone = "texts.jsonl" not in found or any(row["type"] == "content.deleted" for row in events)
    need = {*made, *[d for d in dumps(bound).split('"') if len(d) == 64 and not (gone or d.strip("0123456789abcdef"))]}
    order = [digest for digest in dict.fromkeys(dumps(others).split('"')) if digest in need]
    _require([row["digest"] for row in texts] == made == order, "the texts")
    about = [{"lines": len(rows[m]), "sha256": sha256(found[m]).hexdigest()} for m in rows if m in found]
    known = {"format": 1, "run": events[-1]["stream"], "head": events[-1]["hash"], "streams": chain(events)}
    known |= {"salts": salts, "sessions": opened, "events": about[0], "texts": [*about, None][1]}
    _require(dumps(known) == dumps(given), "manifest.json")
    if public or "signature.json" in found:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        payload, kind, [sign] = (loads(found["signature.json"])[k] for k in ("payload", "payloadType", "signatures"))
        _require([payload, kind] == [b64encode(body).decode(), KIND], "signature.json")
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public or sign["keyid"]))
        key.verify(b64decode(sign["sig"]), f"DSSEv1 {len(kind)} {kind} {len(body)} ".encode() + body)
    return known


if __name__ == "__main__":
    sys.excepthook = lambda kind, error, trace: os._exit(6 * bool(sys.stderr.write(f"bad: {error!r:.300}\n")))
    sys.stdout.write(f"ok: head {verify(*sys.argv[1:3])['head']}\n")

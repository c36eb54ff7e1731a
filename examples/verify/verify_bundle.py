"""Check a bundle by docs/log-format.md alone: ``python verify_bundle.py FILE [PUBLIC_KEY_IN_HEX]``."""

import sys
import tarfile
from base64 import b64decode, b64encode
from hashlib import sha256
from json import JSONEncoder, loads
from pathlib import Path
from typing import Any

EVENT = dict[str, Any](position=int, stream=str, version=int, type=str, schema=int, at=int, data=str, hash=str)
TOP, GENESIS = ("number", "program", "rules"), sha256(b"multi-llm-orchestrator genesis 1\n").hexdigest()
USED, KIND = ("kind", "name", "distribution", "version"), "application/vnd.multi-llm-orchestrator.bundle+json"
dumps = JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"{what}: not as it must be")


def chain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The streams, as the manifest has them. ValueError names the first event that does not fit."""
    streams: list[dict[str, Any]] = [{"stream": "", "to": 0, "head": ""}]
    for before, row in zip([{"position": -1}, *rows], rows, strict=False):
        last, forked, where = streams[-1], row["type"] == "run.forked", f"{row['stream']} v{row['version']}"
        if forked or row["stream"] != last["stream"]:
            past = [loads(row["data"])[key] for key in ("parent", "version", "hash")] if forked else ["", 0, ""]
            _require(dumps(past) == dumps([last[key] for key in ("stream", "to", "head")]), f"the past of {where}")
            streams += [last := {"stream": row["stream"], "from": row["version"], "to": last["to"], "head": GENESIS}]
        parts = [str(part).encode() for part in (last["head"], *[row[key] for key in EVENT][1:-1])]
        content = b"multi-llm-orchestrator event 1\n" + b"".join(b"%d:%b" % (len(part), part) for part in parts)
        last |= {"to": last["to"] + 1, "head": sha256(content).hexdigest()}
        follows = [row["version"], row["schema"], row["hash"]] == [last["to"], 1, last["head"]]
        _require(follows and before["position"] < row["position"] < 2**63 > row["at"] >= 0, where)
    return streams[1:]


def verify(path: str, public: str = "") -> dict[str, Any]:
    """Check a bundle, which is read into memory; returns its manifest. Raises where anything does not fit."""
    raw, tar, sums, found, rows = Path(path).read_bytes(), b"", "", dict[str, bytes](), dict[str, list[Any]]()
    for name in ("manifest.json", "events.jsonl", "texts.jsonl", "signature.json", "SHA256SUMS"):
        info, start = tarfile.TarInfo(name), len(tar) + 512
        if raw[len(tar) : start].startswith(name.encode() + b"\0"):
            info.size, found[name] = (size := int(raw[start - 388 : start - 377], 8)), raw[start : start + size]
            tar += info.tobuf(tarfile.USTAR_FORMAT) + found[name] + bytes(-info.size % 512)
            sums += f"{sha256(found[name]).hexdigest()}  {name}\n" * (name != "SHA256SUMS")
    _require(found["SHA256SUMS"] == sums.encode() and raw == tar + bytes(1024), "the tar file")
    for name, keys in (("events.jsonl", EVENT), ("texts.jsonl", {"run": str, "digest": str, "text": str})):
        rows[name] = [{k: t(row[k]) for k, t in keys.items()} for row in map(loads, found.get(name, b"").splitlines())]
        _require("".join(f"{dumps(row)}\n" for row in rows[name]).encode() == found.get(name, b""), name)
    (events, texts), body, given = rows.values(), found["manifest.json"], loads(found["manifest.json"])
    streams, own = chain(events), [loads(row["data"]) for row in events if row["type"] == "session.opened"]
    opened = [{k: d[k] for k in TOP} | {"plugins": [{k: p[k] for k in USED} for p in d["plugins"]]} for d in own]
    gone = {e["stream"] for e in events if e["type"] == "content.deleted" or "texts.jsonl" not in found}
    names, order, need = [each["stream"] for each in streams], dict[str, str](), set[str]()
    salts = {n: bytes.fromhex(max(given["salts"].values())).hex() for n in names if n in {*given["salts"]} - gone}
    for e, d in ((row, loads(row["data"])) for row in events if row["type"] != "session.opened"):
        soft = {"hash": 0, "place": 0, "grants": [g | {"value": 0} for g in d.get("grants", [])]}
        run = next((name for name in names[names.index(e["stream"]) :] if name in salts), "")
        order |= {x: order.get(x, run) for x in dumps(d).split('"') if len(x) == 64 and not x.strip("0123456789abcdef")}
        need |= {*dumps(d | soft if e["type"] in ("run.started", "run.forked") else d).split('"')} if run else set()
    made = {sha256(bytes.fromhex(salts[t["run"]]) + t["text"].encode()).hexdigest(): t["run"] for t in texts}
    _require([*made.items()] == [(t["digest"], t["run"]) for t in texts] and names[-1] in {*salts, *gone}, "the texts")
    _require([*made.items()] == [each for each in order.items() if each[0] in need or each[0] in made], "the texts")
    known = {"format": 1, "run": names[-1], "head": streams[-1]["head"], "streams": streams, "salts": salts}
    about = {m[:-6]: {"lines": len(rows[m]), "sha256": sha256(found[m]).hexdigest()} for m in rows if m in found}
    _require(dumps(known | {"sessions": opened, "events": 0, "texts": None} | about) == dumps(given), "manifest.json")
    if public or "signature.json" in found:
        curve = __import__("cryptography.hazmat.primitives.asymmetric.ed25519", fromlist=["the last part"])
        payload, kind, [sign] = (loads(found["signature.json"])[k] for k in ("payload", "payloadType", "signatures"))
        _require([payload, kind] == [b64encode(body).decode(), KIND], "signature.json")
        key = curve.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public or sign["keyid"]))
        key.verify(b64decode(sign["sig"]), f"DSSEv1 {len(kind)} {kind} {len(body)} ".encode() + body)
    return known


if __name__ == "__main__":
    sys.excepthook = lambda kind, error, trace: sys.exit(6 * bool(sys.stderr.write(f"bad: {error!r:.300}\n")))
    sys.stdout.write(f"ok: head {verify(*sys.argv[1:3])['head']}\n")

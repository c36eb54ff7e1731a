"""``orchestrate doctor``: what of this machine the program can use."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import frozen

from orchestrator.cli.options.shared_options import home, home_option, json_option
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.tables import print_facts, print_table
from orchestrator.cli.terminal.terminal_output import line, notice, result

if TYPE_CHECKING:
    from orchestrator.engine.vendors.environment import Environment, Network
    from orchestrator.engine.vendors.listed_models import ListedModels
    from orchestrator.engine.vendors.provider_survey import Offers, Surveyed
    from orchestrator.plugins import Catalogue

_TOOLS: Final = ("pytest", "ruff", "pdflatex", "bwrap")
_IGNORED: Final = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "SSL_CERT_DIR")
_NONE: Final = "–"
_NO_MODEL: Final = "no model"
_SYSTEM: Final = 3


@click.command()
@click.option("--live", is_flag=True, help="Ask each vendor with a key for its list of models. This costs nothing.")
@click.option("--strict", is_flag=True, help="Exit with 3 where no provider can be used.")
@json_option
@home_option
def doctor(live: bool, strict: bool, as_json: bool) -> int:
    """Check what can be used here: providers, network, data folder, sandbox, tools, plugins.

    Keys are never shown, only the variables that hold them. Exit code 3 where something a run relies on does not work:
    the data folder, with --live a provider that has a key, and with --strict where no provider can be used at all.
    """
    from orchestrator.engine.checks import selector_for
    from orchestrator.engine.vendors.environment import Environment
    from orchestrator.log import Redactor
    from orchestrator.plugins import Catalogue
    from orchestrator.settings import SandboxChoice
    from orchestrator.spi import find_tool

    redactor = Redactor()
    catalogue, environment = Catalogue.discover(), Environment.of_process(redactor.add)
    network, folder, selector = environment.network(), _folder(home()), selector_for(SandboxChoice.AUTO)
    vendors = _vendors(catalogue, environment, network, live)
    level = selector.level()
    found: dict[str, Any] = {
        "providers": [_provider(each, vendors) for each in vendors.found],
        "local_servers": [
            {"server": kind, "base_url": address, "models": list(names)}
            for kind, (address, names) in vendors.local.items()
        ],
        "network": {
            "proxy": network.shown_proxy,
            "proxy_variable": None if network.proxy is None else network.proxy_variable,
            "no_proxy": network.direct or None,
            "ca_bundle": network.ca_bundle,
            "common_ca_bundle": network.common_bundle,
            "ignored": _ignored(environment, network),
        },
        "data_folder": folder,
        "in_force": level.value if level else None,
        "sandboxes": [
            {"sandbox": each.level.value, "holds": each.holds, "detail": each.detail} for each in selector.surveys()
        ],
        "tools": {name: find_tool(name) for name in _TOOLS},
        "plugins": [
            {"kind": each.kind, "name": each.name, "distribution": each.distribution, "problem": each.reason}
            for each in catalogue.probe_all()
            if each.reason
        ],
    }
    found = _without_secrets(found, redactor.shapes)
    if as_json:
        result_json(found)
    else:
        _print(found, live)
    failed = any(each["live"] and each["live"]["problem"] for each in found["providers"])
    unusable = strict and not any(each["state"] == "ready" for each in found["providers"])
    return _SYSTEM if failed or unusable or folder["problem"] else 0


def _ignored(environment: "Environment", network: "Network") -> list[str]:
    """The variables that other programs obey and a run does not."""
    from orchestrator.engine.vendors.environment import COMMON_PROXY, NO_PROXY

    beaten = () if network.direct is not None or network.proxy is None else (*COMMON_PROXY, *NO_PROXY)
    return [name for name in (*beaten, *_IGNORED) if environment.variables.get(name)]


@frozen
class _Vendors:
    found: "tuple[Surveyed, ...]"
    offers: "Offers"
    live: "dict[str, ListedModels]"
    local: dict[str, tuple[str, tuple[str, ...]]]


def _vendors(catalogue: "Catalogue", environment: "Environment", network: "Network", live: bool) -> _Vendors:
    import asyncio

    from orchestrator.engine.vendors.http import make_client
    from orchestrator.engine.vendors.provider_survey import check_live, find_local, offers_of, survey

    found = survey(catalogue, environment)

    async def ask() -> _Vendors:
        async with make_client(concurrency=16, network=network) as http:
            answers = await check_live(found, http) if live else {}
            return _Vendors(found, offers_of(found), answers, await find_local(catalogue, http))

    return asyncio.run(ask())


def _provider(each: "Surveyed", vendors: _Vendors) -> dict[str, Any]:
    offered = [model for model in vendors.offers.models if model.provider == each.name]
    return {
        "provider": each.name,
        "state": _state(each, len(offered)),
        "key": each.key,
        "keys": list(each.keys),
        "variables": list(each.addresses),
        "base_url": each.base_url,
        "models": len(offered),
        "problem": line(each.problem) or None,
        "live": _answer(vendors.live.get(each.name), {model.sent_name for model in offered}),
    }


def _state(each: "Surveyed", models: int) -> str:
    """Whether a provider can be used: one that sells no model cannot."""
    state = each.provider_status.value
    return _NO_MODEL if state == "ready" and not models else state


def _answer(live: "ListedModels | None", offered: set[str]) -> dict[str, Any] | None:
    if live is None:
        return None
    served = set(live.served or ())
    return {
        "problem": line(live.problem, 500) or None,
        "models": None if live.served is None else len(served),
        "not_served": sorted(offered - served) if served else [],
        "milliseconds": round(live.seconds * 1000),
    }


def _folder(path: Path) -> dict[str, Any]:
    import os
    import sqlite3

    problem = None
    above = next((each for each in (path, *path.absolute().parents) if each.exists()), path)
    if not above.is_dir():
        problem = f"{above} is no folder; choose another with --home"
    elif not os.access(above, os.W_OK | os.X_OK):
        problem = f"nothing can be written into {above}; choose another with --home"
    database = path / "events.db"
    return {
        "path": str(path.absolute()),
        "exists": path.is_dir(),
        "log_bytes": database.stat().st_size if problem is None and database.is_file() else None,
        "sqlite": sqlite3.sqlite_version,
        "problem": problem,
    }


def _without_secrets(value: Any, redact: Any) -> Any:
    """The value with every text in it free of keys, whatever a third-party plugin wrote into it."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _without_secrets(each, redact) for name, each in value.items()}
    return [_without_secrets(each, redact) for each in value] if isinstance(value, list) else value


def _print(found: dict[str, Any], live: bool) -> None:
    heads = ("provider", "state", "key", "address", "models", *(("live",) if live else ()))
    print_table(
        heads, [_row(each, live) for each in found["providers"]], right=("models",), spare=("address", "models")
    )
    if not any(each["state"] == "ready" for each in found["providers"]):
        notice("no provider can be used: set one of the variables above, or try without a key: orchestrate demo")
    for each in found["local_servers"]:
        models = ", ".join(each["models"][:3]) or "no model"
        notice(f"a server answers where {each['server']} usually does ({models}); to use it:")
        notice(f"  export OPENAI_COMPATIBLE_BASE_URL={each['base_url']}")
    result("")
    print_facts(_facts(found))
    result("")
    rows = [
        (each["sandbox"], _word(each["sandbox"] == found["in_force"], each["holds"]), line(each["detail"], 300))
        for each in found["sandboxes"]
    ]
    print_table(("sandbox", "state", "probe"), rows)
    print_table(("tool", "where"), [(name, where or "not installed") for name, where in found["tools"].items()])
    if found["plugins"]:
        result("")
        heads = ("kind", "plugin", "distribution", "problem")
        plugins = [(each["kind"], each["name"], each["distribution"], each["problem"]) for each in found["plugins"]]
        print_table(heads, plugins)


def _row(each: dict[str, Any], live: bool) -> tuple[str, ...]:
    state = f"broken: {line(each['problem'], 120)}" if each["state"] == "broken" else each["state"]
    key = (None if each["state"] == _NO_MODEL else each["key"]) or _advice(each)
    cells = (each["provider"], state, key or _NONE, each["base_url"] or _NONE, str(each["models"]))
    return (*cells, _spoken(each["live"])) if live else cells


def _advice(each: dict[str, Any]) -> str:
    """What to set for a provider that lacks it."""
    if each["state"] == _NO_MODEL:
        return "declare its models: models: in a spec, or --models FILE"
    if each["state"] != "unset":
        return ""
    keys = each["keys"] or each["variables"]
    return f"set {keys[0]}" if keys else "only where a spec names it"


def _spoken(answer: dict[str, Any] | None) -> str:
    if answer is None:
        return _NONE
    if answer["problem"]:
        return line(answer["problem"], 160)
    text = f"lists {answer['models']} models ({answer['milliseconds']} ms)"
    missing = answer["not_served"]
    return f"{text}, but not {', '.join(missing[:5])}" if missing else text


def _facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    network, folder = found["network"], found["data_folder"]
    size = "" if folder["log_bytes"] is None else f", a log of {folder['log_bytes']:,} bytes"
    state = folder["problem"] or ("is there" + size if folder["exists"] else "will be made by the first run")
    source = "" if network["proxy"] is None else f" ({network['proxy_variable']})"
    direct = "" if network["no_proxy"] is None else f", not for {network['no_proxy']}"
    ignored = f"; not obeyed: {', '.join(network['ignored'])}" if network["ignored"] else ""
    bundles = [name for name in (network["ca_bundle"], network["common_ca_bundle"]) if name]
    return [
        ("proxy", (network["proxy"] or "none") + source + direct + ignored),
        ("certificates", " and ".join(["the built-in authorities", *bundles])),
        ("data folder", f"{folder['path']}: {state}"),
        ("SQLite", folder["sqlite"]),
    ]


def _word(in_force: bool, holds: bool) -> str:
    return "in use" if in_force else "usable" if holds else "not usable"

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from attrs import evolve

from orchestrator.errors import PluginConflictError, PluginLoadError, PluginNotFoundError, SpecError
from orchestrator.events import PluginUsed
from orchestrator.plugins import Catalogue, PluginEntry, PluginStatus
from orchestrator.spi import ProviderConfig

Install = Callable[..., None]
"""install(distribution, {kind: {name: module}}, {module: source})."""

CONFIG = ProviderConfig("p", {}, (), lambda name: None, lambda name: None)

VALIDATOR = """
from orchestrator.spi import Finding, hookimpl

@hookimpl
def orchestrator_validator():
    return lambda candidate, context: Finding.passed({details!r})
"""

LOADER = """
from orchestrator.spi import hookimpl

class Loader:
    suffixes = {suffixes!r}
    def load(self, text, source):
        return {{}}, {{}}

@hookimpl
def orchestrator_policy_loader():
    return Loader()
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put distributions on the path as pip would leave them: metadata and modules, here without a wheel."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def put(distribution: str, plugins: Mapping[str, Mapping[str, str]], modules: Mapping[str, str]) -> None:
        info = site / f"{distribution.replace('-', '_')}-2.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.0\n")
        sections = (
            f"[orchestrator.{kind}]\n" + "".join(f"{name} = {module}\n" for name, module in named.items())
            for kind, named in plugins.items()
        )
        (info / "entry_points.txt").write_text("\n".join(sections))
        for module, source in modules.items():
            (site / f"{module}.py").write_text(dedent(source))

    yield put
    for module in set(sys.modules) - before:
        if getattr(sys.modules[module], "__file__", None) and str(site) in str(sys.modules[module].__file__):
            del sys.modules[module]


def _entry(catalogue: Catalogue, distribution: str, name: str) -> PluginEntry:
    return next(e for e in catalogue.entries() if (e.distribution, e.name) == (distribution, name))


def test_discovery_imports_nothing(install: Install) -> None:
    """A catalogue lists a plugin whose module would fail, without touching it, and only later shows it as broken."""
    install("acme", {"validators": {"sad": "acme_sad"}}, {"acme_sad": "raise OSError('no disk\\nhere')"})
    catalogue = Catalogue.discover({})
    assert _entry(catalogue, "acme", "sad") == PluginEntry(
        "validator", "sad", "acme", "2.0", "acme_sad", PluginStatus.AVAILABLE
    )
    assert "acme_sad" not in sys.modules
    with pytest.raises(PluginLoadError) as caught:
        catalogue.load("validator", "sad")
    assert isinstance(caught.value.__cause__, OSError)
    assert (caught.value.kind, caught.value.name) == ("validator", "sad")
    message = str(caught.value)
    assert all(part in message for part in ("validator 'sad'", "acme 2.0", "module acme_sad", "OSError: no disk here"))
    assert "\n" not in message
    broken = _entry(catalogue, "acme", "sad")
    assert (broken.status, broken.reason) == (PluginStatus.BROKEN, "cannot be loaded: OSError: no disk here")


def test_a_repaired_plugin_is_no_longer_broken(install: Install, tmp_path: Path) -> None:
    """A failed import is tried again when the plugin is asked for again, and success clears the reason."""
    install("acme", {"validators": {"late": "acme_late"}}, {"acme_late": "import acme_not_there_yet"})
    catalogue = Catalogue.discover({})
    with pytest.raises(PluginLoadError):
        catalogue.load("validator", "late")
    (tmp_path / "site" / "acme_not_there_yet.py").write_text("")
    (tmp_path / "site" / "acme_late.py").write_text("import acme_not_there_yet\n" + VALIDATOR.format(details=""))
    sys.path_importer_cache.clear()
    assert catalogue.load("validator", "late").status is PluginStatus.LOADED


def test_an_unknown_name_suggests_the_nearest() -> None:
    """A name that is not installed is an error that proposes the nearest one, or lists what there is."""
    catalogue = Catalogue.discover({})
    with pytest.raises(PluginNotFoundError, match="did you mean 'python_syntax'"):
        catalogue.find("validator", "pyton_syntax")
    with pytest.raises(PluginNotFoundError, match=r"there are: .*length"):
        catalogue.find("validator", "zzzzzz")
    with pytest.raises(PluginNotFoundError, match="did you mean 'length'"):
        catalogue.find("validator", "acme:length")
    with pytest.raises(ValueError, match="no kind of plugin; there are provider, validator"):
        catalogue.find("gadget", "length")


def test_the_built_in_plugins_are_found_by_kind() -> None:
    """Each kind has the names the project's entry points give it, and no other kind's."""
    catalogue = Catalogue.discover({"ORCHESTRATE_NO_AUTOLOAD": "1"})
    assert {"json_schema", "length", "python_syntax"} <= set(catalogue.names("validator"))
    assert "greedy" in catalogue.names("backend")
    assert "greedy" not in catalogue.names("validator")
    assert {"scripted", "openai_compatible"} <= set(catalogue.names("provider"))
    assert {"json", "yaml"} <= set(catalogue.names("policy_loader"))


def test_a_conflict_is_an_error_only_when_that_name_is_asked_for(install: Install) -> None:
    """Two distributions may offer one name: both are listed, others work, and ``distribution:name`` chooses."""
    for word in ("Acme.One", "acme-two"):
        module = word.lower().replace("-", "_").replace(".", "_")
        plugins = {"validators": {"twin": module, f"only_{module}": f"{module}_only"}}
        modules = {module: VALIDATOR.format(details=word), f"{module}_only": VALIDATOR.format(details="")}
        install(word, plugins, modules)
    catalogue = Catalogue.discover({})
    assert catalogue.names("validator").count("twin") == 1
    twins = [e for e in catalogue.entries() if e.name == "twin"]
    assert [e.status for e in twins] == [PluginStatus.CONFLICT] * 2
    assert "also offered by acme-two" in twins[0].reason
    with pytest.raises(PluginConflictError, match="say acme-one:twin or acme-two:twin"):
        catalogue.validator("twin")
    assert catalogue.load("validator", "only_acme_two").status is PluginStatus.LOADED
    verdicts = [catalogue.validator(name)(None, None) for name in ("acme_two:twin", "acme-one:twin")]  # type: ignore[arg-type]
    assert [verdict.details for verdict in verdicts] == ["acme-two", "Acme.One"]
    assert catalogue.used("validator", "acme-one:twin") == PluginUsed("validator", "twin", "acme-one", "2.0", {})


def test_a_third_party_plugin_does_not_replace_a_built_in_plugin(install: Install) -> None:
    """A third-party plugin with a built-in name makes the name ambiguous, never silently its own."""
    install("acme", {"validators": {"length": "acme_length"}}, {"acme_length": VALIDATOR.format(details="mine")})
    with pytest.raises(PluginConflictError, match="multi-llm-orchestrator:length or acme:length"):
        Catalogue.discover({}).find("validator", "length")
    for switch in ({"ORCHESTRATE_NO_AUTOLOAD": "1"}, {"ORCHESTRATE_DISABLE_PLUGINS": "acme:length"}):
        catalogue = Catalogue.discover(switch)
        assert catalogue.find("validator", "length").distribution == "multi-llm-orchestrator"
        assert _entry(catalogue, "acme", "length").status is PluginStatus.BLOCKED


def test_a_blocked_plugin_says_what_blocks_it() -> None:
    """Asking for a plugin that the environment switches off names the switch, and the listing too."""
    catalogue = Catalogue.discover({"ORCHESTRATE_DISABLE_PLUGINS": "x, greedy"})
    assert "greedy" not in catalogue.names("backend")
    with pytest.raises(PluginNotFoundError, match="switched off: named in ORCHESTRATE_DISABLE_PLUGINS"):
        catalogue.backend("greedy", {})
    assert "ORCHESTRATE_DISABLE_PLUGINS" in _entry(catalogue, "multi-llm-orchestrator", "greedy").reason


MISTAKES = {
    "misspelt hook": (
        "from orchestrator.spi import hookimpl\n@hookimpl\ndef orchestrator_validater(): ...",
        "there is no hook orchestrator_validater; the hooks are",
    ),
    "no marker": (
        "def orchestrator_validator(): ...",
        "no function orchestrator_validator marked with hookimpl",
    ),
    "wrong argument": (
        "from orchestrator.spi import hookimpl\n@hookimpl\ndef orchestrator_validator(settings): ...",
        "'settings'",
    ),
    "async hook": (
        "from orchestrator.spi import hookimpl\n@hookimpl\nasync def orchestrator_validator(): ...",
        "orchestrator_validator is async; hooks are plain functions",
    ),
    "exit": ("import sys\nsys.exit(3)", r"sys\.exit\(3\)"),
    "unprintable": (
        "class E(Exception):\n    def __str__(self): return 1 / 0\nraise E",
        "cannot be loaded: E;",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_module_that_does_not_fit_is_a_load_error(install: Install, mistake: str) -> None:
    """Whatever is wrong with a plugin's module is told in one line, and leaves no hook behind in the manager."""
    source, expected = MISTAKES[mistake]
    install("acme", {"validators": {"bad": "acme_bad"}}, {"acme_bad": source})
    catalogue = Catalogue.discover({})
    for _ in range(2):
        with pytest.raises(PluginLoadError, match=expected) as caught:
            catalogue.validator("bad")
        assert "\n" not in str(caught.value)
    assert _entry(catalogue, "acme", "bad").status is PluginStatus.BROKEN
    assert catalogue.load("validator", "length").status is PluginStatus.LOADED


def test_an_entry_point_must_name_a_module(install: Install) -> None:
    """An entry point that names an object in a module, or is no reference at all, is refused when asked for."""
    install("acme", {"validators": {"inner": "acme_in:thing", "odd": "not a module!"}}, {"acme_in": "thing = 1"})
    catalogue = Catalogue.discover({})
    with pytest.raises(PluginLoadError, match="must name a module"):
        catalogue.load("validator", "inner")
    with pytest.raises(PluginLoadError, match="validator 'odd' of acme"):
        catalogue.load("validator", "odd")


RETURNS = {
    ("validator", "None"): "must return a function",
    ("validator", "object()"): "must return a function .* not object",
    ("validator", "type('V', (), {'__call__': lambda self, c, x: None})"): "not the class V",
    ("validator", "lambda candidate: None"): "cannot be called with 2 positional arguments",
    ("validator", "sleepy"): "async function; a validator is a plain one",
    ("backend", "None"): "must return an object with `rank`, not NoneType",
    ("backend", "type('B', (), {'rank': lambda self, c, t, d: []})"): "not the class B",
    ("backend", "type('B', (), {})()"): "the B it returned has no method `rank`",
    ("backend", "type('B', (), {'rank': lambda self, c: []})()"): "`rank` cannot be called with 3",
    ("backend", "type('B', (), {'rank': method})()"): "`rank` is async",
    ("backend", "type('B', (), {'rank': lambda self, c, t: []})()"): r"must take \(candidates, telemetry, draw\)",
    ("policy_loader", "type('L', (), {'suffixes': '.toml', 'load': lambda self, t, s: None})()"): "must be a tuple",
    ("policy_loader", "type('L', (), {'suffixes': ('toml',), 'load': lambda self, t, s: None})()"): "must be a tuple",
    ("policy_loader", "type('L', (), {'suffixes': (), 'load': lambda self, t, s: None})()"): "must be a tuple",
    ("provider", "type('P', (), {'models': lambda self: []})()"): "has no method `encode`",
    (
        "provider",
        "type('P', (), {'models': lambda s: [], 'encode': lambda s, r: r, 'call': lambda s, b, c: b})()",
    ): "does not say in `simulated`",
    ("provider", "1 / 0"): "ZeroDivisionError",
    ("validator", "exit(4)"): r"sys\.exit\(4\)",
}


@pytest.mark.parametrize(("kind", "expression"), list(RETURNS))
def test_an_object_of_the_wrong_shape_is_a_load_error(install: Install, kind: str, expression: str) -> None:
    """What a hook returns is checked before anything depends on it; what it raises becomes a load error."""
    argument = {"provider": "config", "backend": "parameters"}.get(kind, "")
    source = f"""
    from sys import exit
    from orchestrator.spi import hookimpl

    async def sleepy(candidate, context): ...
    async def method(self, candidates, telemetry, draw): ...

    @hookimpl
    def orchestrator_{kind}({argument}):
        return {expression}
    """
    group = {"policy_loader": "policy_loaders"}.get(kind, f"{kind}s")
    install("acme", {group: {"bad": "acme_bad"}}, {"acme_bad": source})
    catalogue = Catalogue.discover({})
    make: dict[str, Callable[[], object]] = {
        "provider": lambda: catalogue.provider("bad", CONFIG),
        "validator": lambda: catalogue.validator("bad"),
        "backend": lambda: catalogue.backend("bad", {}),
        "policy_loader": lambda: catalogue.policy_loader("bad"),
    }
    with pytest.raises(PluginLoadError, match=RETURNS[kind, expression]):
        make[kind]()
    assert _entry(catalogue, "acme", "bad").reason.startswith(f"failed to build its {kind}: ")


PICKY = """
from orchestrator.spi import SpecError, hookimpl

class Backend:
    def __init__(self, parameters):
        self.parameters = parameters
    def rank(self, candidates, telemetry, draw):
        return []

@hookimpl
def orchestrator_backend(parameters):
    if "speed" in parameters:
        raise SpecError(["spec.yaml:3: there is no parameter 'speed'"])
    parameters["touched"] = True
    return Backend(parameters)

@hookimpl
def orchestrator_provider(config):
    return None if config.secret("KEY") is None else 7
"""


def test_a_spec_error_of_a_hook_passes_through(install: Install) -> None:
    """A plugin that refuses its parameters says so to the user as a SpecError, and is not broken."""
    install("acme", {"backends": {"picky": "acme_picky"}}, {"acme_picky": PICKY})
    catalogue = Catalogue.discover({})
    with pytest.raises(SpecError, match=r"spec\.yaml:3: there is no parameter"):
        catalogue.backend("picky", {"speed": 1})
    assert _entry(catalogue, "acme", "picky").status is PluginStatus.LOADED
    mine: dict[str, object] = {"size": 1}
    assert catalogue.backend("picky", mine) is not catalogue.backend("picky", mine)
    assert mine == {"size": 1}


def test_a_hook_that_succeeds_again_clears_the_reason(install: Install) -> None:
    """A plugin that failed to build its object once is no longer broken after it has built one."""
    install("acme", {"providers": {"picky": "acme_picky"}}, {"acme_picky": PICKY})
    catalogue = Catalogue.discover({})
    with pytest.raises(PluginLoadError, match="has no method `models`"):
        catalogue.provider("picky", evolve(CONFIG, secret=lambda name: "value"))
    assert _entry(catalogue, "acme", "picky").status is PluginStatus.BROKEN
    assert catalogue.provider("picky", CONFIG) is None
    assert _entry(catalogue, "acme", "picky").status is PluginStatus.LOADED


def test_one_module_may_serve_two_kinds(install: Install) -> None:
    """A module with hooks of two kinds is used for each, and a provider without a key is None, not an error."""
    plugins = {"backends": {"picky": "acme_picky"}, "providers": {"picky": "acme_picky"}}
    install("acme", plugins, {"acme_picky": PICKY})
    catalogue = Catalogue.discover({})
    assert catalogue.provider("picky", CONFIG) is None
    assert catalogue.backend("picky", {}) is not None


def test_only_the_hook_of_the_named_plugin_is_called(install: Install) -> None:
    """Building one plugin never calls the hook of another that is loaded already."""
    modules = {f"acme_{word}": VALIDATOR.format(details=word) for word in ("a", "b")}
    modules["acme_c"] = "from orchestrator.spi import hookimpl\n@hookimpl\ndef orchestrator_validator(): return None"
    install("acme", {"validators": {word: f"acme_{word}" for word in "abc"}}, modules)
    catalogue = Catalogue.discover({})
    made = {word: catalogue.validator(word) for word in "ab"}
    assert {word: each(None, None).details for word, each in made.items()} == {"a": "a", "b": "b"}  # type: ignore[arg-type]
    with pytest.raises(PluginLoadError, match="must return a function"):
        catalogue.validator("c")


def test_a_catalogue_shares_nothing_with_another(install: Install) -> None:
    """Two catalogues load the same plugin independently: there is no manager of the module."""
    install("acme", {"validators": {"v": "acme_v"}}, {"acme_v": VALIDATOR.format(details="")})
    first, second = Catalogue.discover({}), Catalogue.discover({})
    first.load("validator", "v")
    assert first.find("validator", "v").status is PluginStatus.LOADED
    assert second.find("validator", "v").status is PluginStatus.AVAILABLE


def test_the_raise_switch_shows_authors_their_own_error(install: Install) -> None:
    """With ORCHESTRATE_RAISE=1 the error of a module or hook comes through unchanged; 0 means no."""
    source = "from orchestrator.spi import hookimpl\n@hookimpl\ndef orchestrator_validator(): raise KeyError('mine')"
    install("acme", {"validators": {"v": "acme_v"}}, {"acme_v": source})
    with pytest.raises(KeyError, match="mine"):
        Catalogue.discover({"ORCHESTRATE_RAISE": "1"}).validator("v")
    with pytest.raises(PluginLoadError, match="KeyError"):
        Catalogue.discover({"ORCHESTRATE_RAISE": "0"}).validator("v")


def test_a_policy_loader_is_found_by_the_ending_of_a_file(install: Install) -> None:
    """The loader that reads an ending is found whatever its name and case; a broken one is passed over."""
    modules = {"acme_ini": LOADER.format(suffixes=(".ini", ".cfg")), "acme_bad": "1 / 0"}
    install("acme", {"policy_loaders": {"ini": "acme_ini", "aaa": "acme_bad"}}, modules)
    catalogue = Catalogue.discover({"ORCHESTRATE_DISABLE_PLUGINS": "yaml,json"})
    assert catalogue.loader_for_suffix(".CFG").suffixes == (".ini", ".cfg")
    with pytest.raises(PluginNotFoundError, match=r"no policy loader reads '\.xml' files; readable: \.cfg, \.ini"):
        catalogue.loader_for_suffix(".xml")
    with pytest.raises(PluginLoadError, match="ZeroDivisionError"):
        catalogue.loader_for_suffix(".aaa")


def test_a_built_in_loader_goes_before_a_third_party_one(install: Install) -> None:
    """Of several loaders for an ending, the one named like it counts, then a built-in one, then a third-party one."""
    install(
        "multi-llm-orchestrator",
        {"policy_loaders": {"zzz": "house_zzz"}},
        {"house_zzz": LOADER.format(suffixes=(".ini", ".cfg", ".house"))},
    )
    install(
        "acme",
        {"policy_loaders": {"aaa": "acme_aaa", "ini": "acme_ini"}},
        {
            "acme_aaa": LOADER.format(suffixes=(".ini", ".cfg", ".other")),
            "acme_ini": LOADER.format(suffixes=(".ini",)),
        },
    )
    catalogue = Catalogue.discover({})
    assert catalogue.loader_for_suffix(".ini").suffixes == (".ini",)
    assert catalogue.loader_for_suffix(".cfg").suffixes[-1] == ".house"
    assert catalogue.loader_for_suffix(".other").suffixes[-1] == ".other"


def test_two_loaders_named_like_an_ending_are_a_conflict(install: Install) -> None:
    """A file whose ending names two loaders is refused; another ending does not care."""
    for word in ("acme", "zeta"):
        plugins = {"policy_loaders": {"ini": f"{word}_ini", f"{word}_cfg": f"{word}_cfg"}}
        loaders = {f"{word}_ini": LOADER.format(suffixes=(".ini",)), f"{word}_cfg": LOADER.format(suffixes=(".cfg",))}
        install(word, plugins, loaders)
    catalogue = Catalogue.discover({"ORCHESTRATE_DISABLE_PLUGINS": "yaml,json"})
    with pytest.raises(PluginConflictError, match="acme:ini or zeta:ini"):
        catalogue.loader_for_suffix(".ini")
    assert catalogue.loader_for_suffix(".cfg").suffixes == (".cfg",)


def test_a_distribution_without_a_name_is_still_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged metadata of a third-party distribution does not stop discovery."""
    info = tmp_path / "ghost-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[orchestrator.validators]\nghost = ghost_module\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    catalogue = Catalogue.discover({})
    assert [e.distribution for e in catalogue.entries() if e.name == "ghost"] == ["unknown"]

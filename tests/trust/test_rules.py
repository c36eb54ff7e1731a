"""The pure parts: capabilities, patterns, who agrees, and what a spec wants."""

from pathlib import Path
from posixpath import normpath

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.forbidden_file_names import is_reserved
from orchestrator.models import CapabilityKind, GrantedBy
from orchestrator.settings import SandboxChoice
from orchestrator.spec import spec_from
from orchestrator.trust import (
    AGREED_BY,
    DOING,
    Capability,
    Surroundings,
    checked_patterns,
    covered,
    stricter,
    wants,
    weigh,
)
from orchestrator.trust.addresses import address_of
from orchestrator.trust.capabilities import command_value

CAPABILITIES = st.builds(Capability, st.sampled_from(CapabilityKind), st.text(min_size=1, max_size=20))


def test_every_member_has_words() -> None:
    """A kind and a grantor without words fail here."""
    assert set(DOING) == set(CapabilityKind)
    assert set(AGREED_BY) == set(GrantedBy)


@given(CAPABILITIES)
def test_a_capability_covers_itself(capability: Capability) -> None:
    """Its text, as a flag gives it, is accepted and covers it."""
    assert covered(capability, checked_patterns([capability.text], "--allow"))


@given(CAPABILITIES, CAPABILITIES)
def test_a_remembered_grant_is_one_value(one: Capability, other: Capability) -> None:
    """However a remembered value looks, it agrees to nothing else."""
    weighed = weigh([one, other], {GrantedBy.REMEMBERED: [one.text]})
    assert [each.value for each in weighed.granted] == [each.value for each in {one: 0, other: 0} if each == one]


@given(CAPABILITIES, st.sampled_from(GrantedBy))
def test_deny_wins(capability: Capability, by: GrantedBy) -> None:
    """Whoever agrees."""
    weighed = weigh([capability], {by: [capability.text]}, [capability.text])
    assert weighed.denied == (capability,)
    assert not weighed.is_allowed


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("address=https://*.corp.example", "https://a.corp.example", True),
        ("address=https://*.corp.example", "https://corp.example", False),
        ("address=https://*.corp.example", "http://a.corp.example", False),
        ("address=https://*.corp.example", "https://a.corp.example.evil", False),
        ("address=*", "unreadable:x", True),
        ("address=https://[::1]:8080", "https://[::1]:8080", True),
        ("address=https://a?c.example", "https://abc.example", False),
        ("address=https://[ab].example", "https://a.example", False),
    ],
)
def test_patterns(pattern: str, value: str, fits: bool) -> None:
    """Only ``*`` is special."""
    assert covered(Capability(CapabilityKind.ADDRESS, value), [pattern]) is fits


def test_a_star_in_a_command_is_a_star() -> None:
    """A command that holds one agrees to no other."""
    granted = ["command=rm *.tmp"]
    assert covered(Capability(CapabilityKind.COMMAND, "rm *.tmp"), granted)
    assert not covered(Capability(CapabilityKind.COMMAND, "rm -rf / #.tmp"), granted)


@given(st.text(), st.text())
def test_two_commands_are_never_one_value(one: str, other: str) -> None:
    """Long ones and ones with control characters stand by a digest."""
    assert (command_value(one) == command_value(other)) is (one == other)
    assert command_value(one).isprintable()


@pytest.mark.parametrize("text", ["", "x", "address", "address=", "adress=x"])
def test_what_is_no_capability(text: str) -> None:
    """It is refused."""
    with pytest.raises(UsageError, match="KIND=VALUE"):
        checked_patterns([text], "--allow")


HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{2,5}){1,2}", fullmatch=True)


@given(HOSTS, st.sampled_from(["https", "http"]), st.integers(1, 65535), st.booleans())
def test_an_address_is_its_scheme_host_and_port(host: str, scheme: str, port: int, is_loud: bool) -> None:
    """However it is written; the path does not matter."""
    written = f"{scheme}://{host}:{port}/v1"
    found = address_of(written.upper() if is_loud else written)
    usual = {"https": 443, "http": 80}[scheme]
    assert found.text == f"{scheme}://{host}" + ("" if port == usual else f":{port}")
    assert found.is_loopback is (host == "localhost" or host.endswith(".localhost"))


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com@evil.example",
        "https://evil.example\\@127.0.0.1",
        "http://127.0.0.1\n.evil.example",
        "http://127.0.0.1:x",
        "//127.0.0.1",
        "127.0.0.1",
        "http://[::1",
        "http://０.0.0.0",
        "http://0.0.0.0",
    ],
)
def test_addresses_that_only_look_like_this_machine(url: str) -> None:
    """None of them is taken for loopback."""
    assert not address_of(url).is_loopback


@given(st.lists(st.sampled_from(["..", "a", "b", "link", ".git", "."]), max_size=5))
def test_reading_stays_below_the_folder(parts: list[str]) -> None:
    """A path is free exactly where it ends below the spec's folder, whatever it climbs through."""
    links = {"/w/spec/link": "/etc"}

    def resolved(path: Path) -> Path:
        done: list[str] = []
        for part in path.parts:
            done = Path(normpath(Path(*done, part))).parts if done else [part]  # type: ignore[assignment]
            done = list(Path(links.get(str(Path(*done)), str(Path(*done)))).parts)
        return Path(*done)

    spec = spec_from("p", "c", prompts="/".join(parts) or ".")
    spec = evolve(spec, folder="/w/spec")
    found = wants(spec, Surroundings(work=Path("/w"), resolved=resolved))
    target = resolved(Path("/w/spec") / ("/".join(parts) or "."))
    assert bool(found) is not target.is_relative_to("/w/spec")
    assert [each.value for each in found] == ([] if not found else [str(target)])


@pytest.mark.parametrize("choice", SandboxChoice)
def test_a_user_tightens_the_sandbox(choice: SandboxChoice) -> None:
    """With bubblewrap in the configuration nothing weaker holds, but what was agreed to by name."""
    assert stricter(choice, SandboxChoice.AUTO) is choice
    tight = stricter(choice, SandboxChoice.BWRAP)
    assert tight is (SandboxChoice.NONE if choice is SandboxChoice.NONE else SandboxChoice.BWRAP)


RESERVED = """
.envrc .claude .cursor .mcp.json .devcontainer .gitlab-ci.yml .circleci .npmrc .husky .pre-commit-config.yaml
.gitattributes sitecustomize.py .env .bashrc .GitHub .ENV x.pth
"""


@pytest.mark.parametrize("name", RESERVED.split())
def test_reserved_names(name: str) -> None:
    """Names of today's tools, in any case of letters."""
    assert is_reserved(name)


@pytest.mark.parametrize("name", [".gitignore", ".dockerignore", "env.py", "main.py", ".env.example", "Dockerfile"])
def test_names_that_are_not_reserved(name: str) -> None:
    """What applications need stays possible."""
    assert not is_reserved(name)

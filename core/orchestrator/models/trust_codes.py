"""The codes of what a spec wants beside calling models, and of who agreed to it."""

from enum import StrEnum


class CapabilityKind(StrEnum):
    """What a spec may want that its user has to agree to."""

    SANDBOX = "sandbox"
    """Run generated code without a sandbox; the value is ``none``."""
    COMMAND = "command"
    """Run a command of the spec without a sandbox; the value is the command."""
    ADDRESS = "address"
    """Send prompts, or what was measured, to an address; ``https://HOST[:PORT]``."""
    KEY = "key"
    """Send the value of a variable of the environment to a host; ``VARIABLE@HOST[:PORT]``."""
    READ = "read"
    """Read a file or folder outside the folder of the spec."""
    WRITE = "write"
    """Have an exporter write a file outside the working folder."""
    LISTEN = "listen"
    """Open a port that other machines reach; ``HOST:PORT``."""
    OUTPUT = "output"
    """Write the results outside the working folder, or where tools run what they find."""
    BUDGET = "budget"
    """Spend more than the ceiling of the user's configuration; an amount of US dollars."""
    OPTION = "option"
    """Give a plugin an option whose effect is not known; ``KEY=VALUE``."""
    PLUGIN = "plugin"
    """Load a plugin file that the spec names; ``PATH@SHA256`` of its content."""


class GrantedBy(StrEnum):
    """Who or what agreed to a capability."""

    OWN = "own"
    """It is the user's own word: a flag, or an argument in Python."""
    FLAG = "flag"
    """``--allow``."""
    POLICY = "policy"
    """A policy file of the user."""
    CONFIGURATION = "configuration"
    """The user's configuration."""
    REMEMBERED = "remembered"
    """It was agreed to earlier for this spec."""
    ASKED = "asked"
    """It was agreed to at the terminal just now."""

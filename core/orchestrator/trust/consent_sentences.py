"""What a person is told who is asked for consent: what a spec wants to do, and who agreed to it, in words."""

from collections.abc import Mapping
from typing import Final

from orchestrator.models import CapabilityKind, GrantedBy

DOING: Final[Mapping[CapabilityKind, str]] = {
    CapabilityKind.SANDBOX: "run code that models write as you, with your files and your network (sandbox: {value})",
    CapabilityKind.COMMAND: "run this command as you: {value}",
    CapabilityKind.ADDRESS: "send data to {value}",
    CapabilityKind.KEY: "send the value of {variable} to {host}",
    CapabilityKind.READ: "read {value}",
    CapabilityKind.WRITE: "have an exporter write {value}",
    CapabilityKind.LISTEN: "listen on {value}, where other machines reach it",
    CapabilityKind.OUTPUT: "write the results into {value}",
    CapabilityKind.BUDGET: "spend up to {value}, more than your ceiling",
    CapabilityKind.OPTION: "give a plugin the option {value}",
    CapabilityKind.PLUGIN: "load {variable}, whose code can do whatever you can (SHA-256 {host:.12})",
}
"""What each kind means to a person; every kind has words."""

AGREED_BY: Final[Mapping[GrantedBy, str]] = {
    GrantedBy.OWN: "your own flag or argument",
    GrantedBy.FLAG: "--allow",
    GrantedBy.POLICY: "a policy file",
    GrantedBy.CONFIGURATION: "your configuration",
    GrantedBy.REMEMBERED: "agreed earlier",
    GrantedBy.ASKED: "agreed now",
}
"""Who agreed, in words; every member has some."""

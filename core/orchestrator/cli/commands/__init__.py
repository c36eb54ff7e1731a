"""The commands of the core, a module each; those of plugins stand beside them in the help."""

from typing import Final

COMMANDS: Final = {
    "demo": ("demo", "Run an example; needs no key, no network and no money."),
    "run": ("run", "Run a spec file."),
    "resume": ("run", "Resume a run."),
    "plan": ("plan", "Show tasks, models and a forecast; spend nothing."),
    "runs": ("runs", "List, show and export runs."),
    "costs": ("costs", "Show what runs spent; reconcile unknown costs."),
    "replay": ("replay", "Rebuild a run from its log; verify every decision."),
    "log": ("log", "Read, export and compact the event log."),
    "budget": ("budget", "Set and show caps over several runs."),
    "limits": ("limits", "Limit how often all runs ask a provider."),
    "cache": ("cache", "Show or clear the response cache."),
    "policy": ("policy", "Check policy files; show which policies apply."),
    "spec": ("spec", "Create, check and describe spec files."),
    "models": ("models", "List models with prices, slots and facts."),
    "trust": ("trust", "Show and revoke what specs were allowed."),
    "config": ("trust", "Show the configuration of this user."),
    "plugins": ("plugins", "List, check and create plugins."),
    "doctor": ("doctor", "Check this machine: keys, addresses, sandbox, tools."),
}
"""The module that has each command, and its line in the help. All others are plugins."""

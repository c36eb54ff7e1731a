"""Applications: the outputs of a run and a scaffold put together, looked through, tested and started in the sandbox.

Read ``application`` first: it is what a session knows of the application it builds. ``assembly`` puts the files
together, ``imports`` and ``manifests`` find out what they need, ``trial`` runs them.
"""

from orchestrator_apps.application import Application
from orchestrator_apps.assembly import AppVerifier, Assembly, assembled, read_assembly
from orchestrator_apps.trial import Step

__all__ = ["AppVerifier", "Application", "Assembly", "Step", "assembled", "read_assembly"]

"""What all runs of a data folder have measured of each model, and what a new run starts with.

``measured`` is a projection of the whole log that goes on from a snapshot; ``priors`` is how far it is trusted.
"""

from orchestrator.telemetry.grades import Grades, grades
from orchestrator.telemetry.priors import priors
from orchestrator.telemetry.projection import SNAPSHOT, Telemetry, measured

__all__ = ["SNAPSHOT", "Grades", "Telemetry", "grades", "measured", "priors"]

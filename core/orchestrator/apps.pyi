from orchestrator_apps.builder import AppBuilder as AppBuilder
from orchestrator_apps.builder import AppResult as AppResult
from orchestrator_apps.builder import Assembly as Assembly
from orchestrator_apps.builder import Step as Step

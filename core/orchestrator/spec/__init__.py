"""The spec file: what a user wants of one run, read strictly, with every problem at its line.

Reading order: ``value_kinds``, ``container_kinds`` (lists, mappings, records), ``spellings`` and ``plan`` (policies,
models, tasks), ``spec_keys`` (the file as a whole), ``set_options`` (changed keys), ``parsing`` (files and
arguments), ``canonical`` and ``differences`` (comparing).
"""

from orchestrator.spec.differences import differences
from orchestrator.spec.limits import BreakerSpec, LimitsSpec
from orchestrator.spec.parsing import (
    MODELS_VARIABLE,
    parse_changed,
    parse_policies,
    parse_spec,
    read_models,
    read_models_file,
    read_spec,
    spec_from,
    spec_of,
    usual_models,
    with_models,
)
from orchestrator.spec.plan import TaskSpec
from orchestrator.spec.schema import json_schema
from orchestrator.spec.set_options import addresses_of, apply_sets
from orchestrator.spec.skeleton import SKELETON
from orchestrator.spec.spec_keys import (
    ReviewSpec,
    RoutingSpec,
    Spec,
    ValidatorsSpec,
)

__all__ = [
    "MODELS_VARIABLE",
    "SKELETON",
    "BreakerSpec",
    "LimitsSpec",
    "ReviewSpec",
    "RoutingSpec",
    "Spec",
    "TaskSpec",
    "ValidatorsSpec",
    "addresses_of",
    "apply_sets",
    "differences",
    "json_schema",
    "parse_changed",
    "parse_policies",
    "parse_spec",
    "read_models",
    "read_models_file",
    "read_spec",
    "spec_from",
    "spec_of",
    "usual_models",
    "with_models",
]

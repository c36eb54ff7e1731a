"""What commands are made of: options, specs, the log, runs, output and ids, the same in every command of this program.

A command returns its exit code (None is 0), writes results with ``result``, ``result_json`` or ``print_table`` and
everything else with ``notice``. An error for the user is a ``UsageError`` or another ``OrchestrateError``: one line on
stderr, and its exit code. Names are loaded on first use.
"""

from typing import TYPE_CHECKING, Final

from orchestrator.lazy_names import lazy_names

if TYPE_CHECKING:
    from orchestrator.cli.command_groups import CommandGroup, suggestion
    from orchestrator.cli.exit_codes import EXIT_CODES, INTERRUPTED, SYSTEM, USAGE, code_of
    from orchestrator.cli.logs.damaged_runs import UNREADABLE, Reader, Trust, trust_in, whole_run
    from orchestrator.cli.logs.loaded_runs import texts_of
    from orchestrator.cli.logs.mailbox_messages import SpokenTo, send_answer, spoken_to
    from orchestrator.cli.logs.opening_logs import open_log, open_log_if_any
    from orchestrator.cli.logs.run_ids import RUN, latest, resolved_run, resolved_task
    from orchestrator.cli.options.event_ids import EVENT, EVENT_HELP
    from orchestrator.cli.options.replaced_files import check_target, holds_other
    from orchestrator.cli.options.shared_options import (
        advise_option,
        allow_option,
        always_json_option,
        approve_option,
        backend_option,
        command,
        context_option,
        disable_option,
        enhance_option,
        exact_option,
        existing_run,
        force_option,
        has_log,
        home,
        home_option,
        json_option,
        log_format_option,
        loop_option,
        models_option,
        output_option,
        plugin_option,
        policy_option,
        quiet_option,
        strict_plugins_option,
        verbose_option,
        wants_exact,
        yes_option,
    )
    from orchestrator.cli.options.shell_completion import BACKEND, EXPORTER, STRATEGY, TASK
    from orchestrator.cli.options.value_types import (
        AGE,
        AMOUNT,
        CONCURRENCY,
        FILE,
        OUTPUT,
        OUTPUT_OR_STDOUT,
        SECONDS,
        STDOUT,
        Amount,
    )
    from orchestrator.cli.progress.live_view import Pace
    from orchestrator.cli.progress.progress_display import Display, Lines, live_view
    from orchestrator.cli.progress.progress_lines import Progress
    from orchestrator.cli.progress.run_table import print_run, title_of
    from orchestrator.cli.running.asking_consent import prepare
    from orchestrator.cli.running.run_session import RunSession, advice_for
    from orchestrator.cli.running.spec_from_options import (
        bound,
        check_policy_names,
        models_files,
        named_output,
        spec_of_file,
        with_approvals,
        with_backend,
        with_flags,
        with_loop,
        with_policies,
    )
    from orchestrator.cli.specification_flags import DEFAULT_CRITERIA
    from orchestrator.cli.terminal.json_output import result_json, write_json
    from orchestrator.cli.terminal.junit import CaseOutcome, JunitCase, JunitSuite, check_junit, junit_xml
    from orchestrator.cli.terminal.stdout import stdout
    from orchestrator.cli.terminal.tables import STYLES, print_facts, print_table
    from orchestrator.cli.terminal.terminal_output import (
        OutputClosedError,
        clean,
        line,
        money,
        notice,
        on_terminal,
        paged,
        result,
        seconds,
        timestamp,
    )
    from orchestrator.cli.terminal.text_fitting import width_of
    from orchestrator.cli.wording.approval_texts import question_of, shown_with
    from orchestrator.cli.wording.code_words import DOING, HALTED, LEFT_OUT, REMOVED, SELECTED, SHORTFALLS, UNMEASURED
    from orchestrator.cli.wording.exchange_lines import lines_of
    from orchestrator.cli.wording.progress_wording import verification
    from orchestrator.cli.wording.shared_sentences import forbidden, remarks_on, remarks_on_choice, restricted
    from orchestrator.engine.accounts import account_names
    from orchestrator.engine.answers_from_outside import QuestionReply
    from orchestrator.engine.live_text import read_live
    from orchestrator.engine.loop import Loop
    from orchestrator.engine.outputs.file_placement import Placement
    from orchestrator.engine.outputs.run_results import project_state
    from orchestrator.engine.reconciling import settle
    from orchestrator.engine.runs import Engine
    from orchestrator.engine.session import VERSION, Session
    from orchestrator.engine.session_lifetime import RunEnd, Watchers
    from orchestrator.engine.submitting import Submission, submit
    from orchestrator.engine.vendors.environment import BY, Environment
    from orchestrator.engine.vendors.http import make_client
    from orchestrator.ledger.accounts import kind_of
    from orchestrator.log.event_ids import EventId, read_event_id
    from orchestrator.metrics import measure
    from orchestrator.models.offers import qualified
    from orchestrator.past_runs.exchanges import Shown, exchanges, with_texts
    from orchestrator.past_runs.recorded_rankings import rank_of, ranking, whole_steps
    from orchestrator.past_runs.run_list import STATUSES, runs_in, shown_status
    from orchestrator.plugins import Catalogue
    from orchestrator.plugins.store_of_folder import open_store, shown_store, store_exists, store_variables
    from orchestrator.spec import Spec, apply_sets, parse_spec, read_models, spec_from, with_models
    from orchestrator.spec.plan import IDENTIFIER
    from orchestrator.spec.value_kinds import Place, Refused
    from orchestrator.telemetry import Grades, grades, measured
    from orchestrator.trust.addresses import is_local

_NAMES: Final = {
    "orchestrator.cli.running.asking_consent": "prepare",
    "orchestrator.cli.wording.approval_texts": "question_of shown_with",
    "orchestrator.cli.options.shell_completion": "BACKEND EXPORTER STRATEGY TASK",
    "orchestrator.cli.logs.damaged_runs": "Reader Trust UNREADABLE trust_in whole_run",
    "orchestrator.cli.progress.progress_display": "Display Lines live_view",
    "orchestrator.cli.options.event_ids": "EVENT EVENT_HELP",
    "orchestrator.cli.wording.exchange_lines": "lines_of",
    "orchestrator.cli.exit_codes": "EXIT_CODES INTERRUPTED SYSTEM USAGE code_of",
    "orchestrator.cli.specification_flags": "DEFAULT_CRITERIA",
    "orchestrator.cli.running.spec_from_options": (
        "bound check_policy_names models_files named_output spec_of_file with_approvals with_backend with_flags "
        "with_loop with_policies"
    ),
    "orchestrator.cli.command_groups": "CommandGroup suggestion",
    "orchestrator.cli.logs.run_ids": "RUN latest resolved_run resolved_task",
    "orchestrator.cli.terminal.junit": "CaseOutcome JunitCase JunitSuite check_junit junit_xml",
    "orchestrator.cli.options.replaced_files": "check_target holds_other",
    "orchestrator.cli.progress.live_view": "Pace",
    "orchestrator.cli.logs.opening_logs": "open_log open_log_if_any",
    "orchestrator.cli.logs.mailbox_messages": "SpokenTo send_answer spoken_to",
    "orchestrator.cli.wording.progress_wording": "verification",
    "orchestrator.cli.options.shared_options": (
        "advise_option allow_option always_json_option approve_option "
        "backend_option command context_option disable_option enhance_option exact_option existing_run "
        "force_option has_log home home_option json_option log_format_option loop_option models_option "
        "output_option plugin_option policy_option quiet_option strict_plugins_option verbose_option wants_exact "
        "yes_option"
    ),
    "orchestrator.cli.options.value_types": "AGE AMOUNT Amount CONCURRENCY FILE OUTPUT OUTPUT_OR_STDOUT SECONDS STDOUT",
    "orchestrator.cli.terminal.json_output": "result_json write_json",
    "orchestrator.cli.terminal.terminal_output": (
        "OutputClosedError clean line money notice on_terminal paged result seconds timestamp"
    ),
    "orchestrator.cli.progress.progress_lines": "Progress",
    "orchestrator.cli.wording.shared_sentences": "forbidden remarks_on remarks_on_choice restricted",
    "orchestrator.cli.running.run_session": "RunSession advice_for",
    "orchestrator.cli.logs.loaded_runs": "texts_of",
    "orchestrator.cli.terminal.text_fitting": "width_of",
    "orchestrator.cli.terminal.stdout": "stdout",
    "orchestrator.cli.progress.run_table": "print_run title_of",
    "orchestrator.cli.terminal.tables": "STYLES print_facts print_table",
    "orchestrator.cli.wording.code_words": "DOING HALTED LEFT_OUT REMOVED SELECTED SHORTFALLS UNMEASURED",
    "orchestrator.engine.accounts": "account_names",
    "orchestrator.engine.live_text": "read_live",
    "orchestrator.engine.loop": "Loop",
    "orchestrator.engine.outputs.file_placement": "Placement",
    "orchestrator.engine.outputs.run_results": "project_state",
    "orchestrator.engine.answers_from_outside": "QuestionReply",
    "orchestrator.engine.session_lifetime": "RunEnd Watchers",
    "orchestrator.engine.runs": "Engine",
    "orchestrator.engine.session": "Session VERSION",
    "orchestrator.engine.reconciling": "settle",
    "orchestrator.engine.submitting": "Submission submit",
    "orchestrator.engine.vendors.environment": "BY Environment",
    "orchestrator.engine.vendors.http": "make_client",
    "orchestrator.past_runs.exchanges": "Shown exchanges with_texts",
    "orchestrator.ledger.accounts": "kind_of",
    "orchestrator.log.event_ids": "EventId read_event_id",
    "orchestrator.metrics": "measure",
    "orchestrator.models.offers": "qualified",
    "orchestrator.plugins": "Catalogue",
    "orchestrator.plugins.store_of_folder": "open_store shown_store store_exists store_variables",
    "orchestrator.past_runs.recorded_rankings": "rank_of ranking whole_steps",
    "orchestrator.past_runs.run_list": "STATUSES runs_in shown_status",
    "orchestrator.spec": "Spec apply_sets parse_spec read_models spec_from with_models",
    "orchestrator.spec.value_kinds": "Place Refused",
    "orchestrator.spec.plan": "IDENTIFIER",
    "orchestrator.telemetry": "Grades grades measured",
    "orchestrator.trust.addresses": "is_local",
}
"""By module the names that commands take from it."""

_HOMES: Final = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "AGE",
    "AMOUNT",
    "BACKEND",
    "BY",
    "CONCURRENCY",
    "DEFAULT_CRITERIA",
    "DOING",
    "EVENT",
    "EVENT_HELP",
    "EXIT_CODES",
    "EXPORTER",
    "FILE",
    "HALTED",
    "IDENTIFIER",
    "INTERRUPTED",
    "LEFT_OUT",
    "OUTPUT",
    "OUTPUT_OR_STDOUT",
    "REMOVED",
    "RUN",
    "SECONDS",
    "SELECTED",
    "SHORTFALLS",
    "STATUSES",
    "STDOUT",
    "STRATEGY",
    "STYLES",
    "SYSTEM",
    "TASK",
    "UNMEASURED",
    "UNREADABLE",
    "USAGE",
    "VERSION",
    "Amount",
    "CaseOutcome",
    "Catalogue",
    "CommandGroup",
    "Display",
    "Engine",
    "Environment",
    "EventId",
    "Grades",
    "JunitCase",
    "JunitSuite",
    "Lines",
    "Loop",
    "OutputClosedError",
    "Pace",
    "Place",
    "Placement",
    "Progress",
    "QuestionReply",
    "Reader",
    "Refused",
    "RunEnd",
    "RunSession",
    "Session",
    "Shown",
    "Spec",
    "SpokenTo",
    "Submission",
    "Trust",
    "Watchers",
    "account_names",
    "advice_for",
    "advise_option",
    "allow_option",
    "always_json_option",
    "apply_sets",
    "approve_option",
    "backend_option",
    "bound",
    "check_junit",
    "check_policy_names",
    "check_target",
    "clean",
    "code_of",
    "command",
    "context_option",
    "disable_option",
    "enhance_option",
    "exact_option",
    "exchanges",
    "existing_run",
    "forbidden",
    "force_option",
    "grades",
    "has_log",
    "holds_other",
    "home",
    "home_option",
    "is_local",
    "json_option",
    "junit_xml",
    "kind_of",
    "latest",
    "line",
    "lines_of",
    "live_view",
    "log_format_option",
    "loop_option",
    "make_client",
    "measure",
    "measured",
    "models_files",
    "models_option",
    "money",
    "named_output",
    "notice",
    "on_terminal",
    "open_log",
    "open_log_if_any",
    "open_store",
    "output_option",
    "paged",
    "parse_spec",
    "plugin_option",
    "policy_option",
    "prepare",
    "print_facts",
    "print_run",
    "print_table",
    "project_state",
    "qualified",
    "question_of",
    "quiet_option",
    "rank_of",
    "ranking",
    "read_event_id",
    "read_live",
    "read_models",
    "remarks_on",
    "remarks_on_choice",
    "resolved_run",
    "resolved_task",
    "restricted",
    "result",
    "result_json",
    "runs_in",
    "seconds",
    "send_answer",
    "settle",
    "shown_status",
    "shown_store",
    "shown_with",
    "spec_from",
    "spec_of_file",
    "spoken_to",
    "stdout",
    "store_exists",
    "store_variables",
    "strict_plugins_option",
    "submit",
    "suggestion",
    "texts_of",
    "timestamp",
    "title_of",
    "trust_in",
    "verbose_option",
    "verification",
    "wants_exact",
    "whole_run",
    "whole_steps",
    "width_of",
    "with_approvals",
    "with_backend",
    "with_flags",
    "with_loop",
    "with_models",
    "with_policies",
    "with_texts",
    "write_json",
    "yes_option",
]


__getattr__ = lazy_names(__name__, _HOMES)

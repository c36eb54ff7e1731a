"""The spec file that ``orchestrate spec init`` writes."""

from typing import Final

SKELETON: Final = """\
# What to build, and when it is good. Only these two keys are required.
project: |
  Build a small Python library that computes mean, median and mode of the columns of a CSV file.
criteria: |
  - wrong input raises ValueError with a clear message
  - every public function has a docstring and type hints

budget_usd: 2.0            # the run never spends more
time_seconds: 3600         # of active time
concurrency: 3             # calls at once
# project_id: csv-statistics   # a name of your own: running the file again resumes it
# output_dir: ./results

# The score, from 0 to 1, at which a task is good enough.
# quality_targets: {code_generation: 0.85, code_review: 0.75}

# Who may be asked.
# policies:
#   - {name: no_training, allow_training_on_output: false}
#   - {name: eu_only, allowed_regions: [eu]}

# A plan of your own; without it the project is broken into tasks by a model.
# tasks:
#   - {id: stats, type: code_generation, prompt: "Write the module.", hard_validators: [python_syntax]}
#   - {id: review, type: code_review, prompt: "Review the module.", dependencies: [stats]}

# Without this key every provider is used for which the environment holds a key.
# providers:
#   openai_compatible: {base_url: "http://127.0.0.1:8080/v1", api_key_env: MY_KEY}

# Models to add, or facts to override; prices in US dollars per million tokens.
# models:
#   - id: my-model
#     provider: openai_compatible
#     price: {input: 0.10, output: 0.40}
#     context: 32768
#     slots: [deepseek-chat]
"""
"""A valid spec with its options in comments."""

"""The spec and the answers file that ``orchestrate spec init --demo`` writes: a pair that runs without a key."""

from typing import Final

SPEC: Final = """\
# Runs without a key and without a network: the answers of all models are read from {answers}.
project: |
  Write a Python function that computes the mean of a list of numbers, and a note on how to use it.
criteria: |
  - the function is valid Python, and an empty list raises ValueError
  - the note has an example

budget_usd: 0.10            # the run never spends more; with scripted answers nothing is paid

providers:
  scripted: {{answers: {answers}}}   # take these two lines out to use the vendors whose keys are set

task_paths: {{mean: mean.py}}

# A plan of your own; without it a model breaks the project into tasks.
tasks:
  - id: mean
    title: Write the function
    type: code_generation
    prompt: "Write the function mean(values) of the module mean. An empty list raises ValueError."
    hard_validators: [python_syntax]
    # Tests of your own decide whether the task is done.
    # hard_validators: [python_syntax, pytest]
    # tests: |
    #   from mean import mean
    #   def test_mean(): assert mean([1, 2, 3]) == 2
  - id: note
    title: Explain its use
    type: creative_writing
    prompt: "Explain in two sentences how mean is used, with an example."
    dependencies: [mean]
"""
"""A format string; ``answers`` is the name of the answers file."""

ANSWERS: Final = """\
# What the provider "scripted" answers. An entry belongs to the calls that meet all of its keys (task, role, iteration,
# sample, try, model); the entry with the most keys counts.
models:                     # what it pretends to sell; left out: three models of three pretended vendors
  - {id: north, vendor: n, price: {input: 0.30, output: 0.50}, context: 128000, max_output: 8192, tier: standard}
  - {id: south, vendor: s, price: {input: 0.50, output: 2.00}, context: 128000, max_output: 8192, tier: standard}

delay_ms: 300               # how long every answer takes

answers:
  - task: mean
    role: generator
    text: |
      ```python
      def mean(values: list[float]) -> float
          return sum(values) / len(values)
      ```
  - task: mean              # the first draft is no valid Python, so the task gets a second iteration
    role: generator
    iteration: 2
    text: |
      ```python
      def mean(values: list[float]) -> float:
          if not values:
              raise ValueError("the mean of nothing is not defined")
          return sum(values) / len(values)
      ```
  - task: note
    role: generator
    text: |
      Pass a list of numbers: `mean([1, 2, 3])` is `2.0`. An empty list raises `ValueError`.
  - role: critic            # no task: an answer for all of them
    text: "Nothing to object to."
  - role: reviser
    text: |
      Pass a list of numbers: `mean([1, 2, 3])` is `2.0`. An empty list raises `ValueError`.
  - role: evaluator
    text: '{"score": 0.95, "reasons": "it does what was asked"}'
"""

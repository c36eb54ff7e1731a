"""``orchestrate eval``: which strategy, model, prompt or backend pays, proved on cases with graders that no model sees.

Reading order: ``suite_file``, ``arms`` (what is compared), ``cell_matrix``, ``graders``, ``preflight`` (oracle and
empty answers), ``runner`` (every cell an ordinary run), ``run_measures`` (what a run's log says of it), ``statistics``,
``results``, ``result_lines``, ``command``.
"""

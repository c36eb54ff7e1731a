"""``orchestrate eval``: which strategy, model, prompt or backend pays, proved on cases with graders that no model sees.

Reading order: ``suite`` (the file), ``arms`` (what is compared), ``plan`` (the matrix of cells), ``graders``,
``preflight`` (oracle and empty answers), ``runner`` (every cell an ordinary run), ``measures`` (what a run's log says
of it), ``statistics``, ``results``, ``rendering``, ``command``.
"""

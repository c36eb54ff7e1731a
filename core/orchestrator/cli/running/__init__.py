"""Starting runs from commands: the spec, consent, the session, questions on the terminal."""

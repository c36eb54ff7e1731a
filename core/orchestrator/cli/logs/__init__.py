"""Reading runs from the log for commands: ids, damaged and archived runs, messages to live runs."""

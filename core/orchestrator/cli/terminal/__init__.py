"""Writing to the terminal and to standard output: lines, tables, JSON and JUnit files."""

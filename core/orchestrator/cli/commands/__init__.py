"""The commands of the core, a module each; those of plugins stand beside them in the help."""

"""The commands ``submit``, ``worker``, ``workers`` and ``fleet``."""

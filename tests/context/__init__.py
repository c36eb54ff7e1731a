"""The files a user gives to a run."""

"""The command ``view``: a local web application over the log.

Read ``app`` first: it names every page. ``guard`` decides which requests are answered at all, ``log_source`` reads
the log and keeps what was read of recent runs, ``rendering`` fills the templates. The other modules each make the
values of one page. Pages are complete without any script; ``static/view.js`` refreshes them and shows times in the
viewer's zone.
"""

"""Pages for a browser: the report on a run.

Imports every room above.
"""

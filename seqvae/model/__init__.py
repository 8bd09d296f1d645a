"""The network and its objective: what is learned.

Imports torch and `errors`, nothing else of the package.
"""

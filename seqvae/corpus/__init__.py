"""Sources on disk -> memory-mapped tokens -> batches.

May import errors, music and tokenizers, and torch in `batches` alone: the processes that read files
start fast without it.
"""

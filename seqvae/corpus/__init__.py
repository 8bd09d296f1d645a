"""Sources on disk -> memory-mapped tokens -> batches.

Imports `music` and `tokenizers`; torch in `batches` alone, so that reader processes start fast.
"""

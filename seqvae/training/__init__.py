"""Configs, the Lightning module, validation and runs on disk.

Imports every room above; Lightning is imported here alone.
"""

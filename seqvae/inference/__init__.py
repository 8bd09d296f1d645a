"""A trained model in use: its figures, its bundle, its prior, its attributes and the verbs.

Imports `model`, `music`, `tokenizers` and `corpus`; never Lightning.
"""

"""Checkpoints of magenta.js to bundles, and back."""

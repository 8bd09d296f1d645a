"""Pieces of music: notes, bars, beats, chords, MIDI files, and measures of a piece.

This room imports numpy and `errors`, and no torch. pretty_midi and symusic are imported in `midi`
alone.
"""

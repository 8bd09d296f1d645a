"""Pieces of music: notes, bars, beats, chords, MIDI files and the measures of a piece.

Imports numpy and `errors`; no torch. pretty_midi and symusic are imported in `midi` alone.
"""

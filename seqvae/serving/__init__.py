"""A model at other people's disposal: a page with forms, DAWs through HARP, instruments by OSC.

Each request is checked, limited, and answered without a word about the places of this machine.
Gradio, python-osc and python-rtmidi are extras, imported where they are used.
"""

"""Models for other people and other programs: the hub, Magenta and ONNX.

Libraries that only one of them needs are imported where they are used.
"""

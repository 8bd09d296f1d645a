"""Models from and for other programs: Magenta and ONNX.

Libraries that only one of them needs are imported where they are used.
"""

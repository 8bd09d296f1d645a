"""Models as graphs of ONNX, for programs without torch."""

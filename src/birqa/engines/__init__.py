"""What runs a model: `onnx` (default on a CPU) and `torch` (GPU and gradients), with the same results."""

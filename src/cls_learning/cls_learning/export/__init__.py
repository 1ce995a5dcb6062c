"""Models in formats of other tools: NIR graphs, PyTorch files, TensorBoard event files."""

"""Benchmark of learning without a tape: real-time recurrent learning beside backpropagation through time."""

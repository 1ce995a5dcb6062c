"""Spiking neurons as layers of PyTorch modules, with their state as an argument and a result."""

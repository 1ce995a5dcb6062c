"""Instruments: what is learned and what is tried, against baselines."""

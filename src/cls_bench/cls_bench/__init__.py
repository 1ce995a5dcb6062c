"""Instruments: what is learned, what is tried, and what is lost when learners are killed."""

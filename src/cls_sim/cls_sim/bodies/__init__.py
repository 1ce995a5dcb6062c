"""What moves and senses, behind one contract (`body.py`), whatever Gymnasium environment is inside."""

"""The command line: every tool behind ./cls."""

"""One file a command, loaded on use; each holds `command`."""

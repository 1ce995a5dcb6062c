"""Driver of a two-servo board on a serial port, with limits and watchdog."""

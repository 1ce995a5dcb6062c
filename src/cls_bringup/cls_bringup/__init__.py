"""The description of the graph, its processes from start to end, and the client of a running one."""

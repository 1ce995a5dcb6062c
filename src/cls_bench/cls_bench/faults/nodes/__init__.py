"""What listens to the graph while it is killed."""

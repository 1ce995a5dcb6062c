"""Driver of a JetBot over remote calls: motors and camera, with limits and automatic stop."""

"""How a recorded session takes a robot's place: what goes out, in which order, and when. No ROS here."""

"""Quality of a session: gaps, losses, undecodable images, pairing of actions and images, verdict. No ROS here."""

"""What drivers of robots share: safety, actions and their results, the thread that owns the robot. No ROS here."""

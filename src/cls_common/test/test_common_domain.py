"""What the root's conftest.py promises to each test, wherever pytest was started."""

import os


def test_tests_run_in_a_private_domain():
    assert os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert int(os.environ['ROS_DOMAIN_ID']) in range(50, 100)

from setuptools import find_packages, setup

NAME = 'cls_servo_driver'

setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(exclude=['test']),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        # The board's own program, which the fake board runs.
        (f'share/{NAME}/firmware', ['../../firmware/servo2040/main.py']),
    ],
    install_requires=['setuptools'],
    # Only by this does `colcon test` run pytest.
    extras_require={'test': ['pytest']},
    zip_safe=True,
    maintainer='CLS maintainers',
    maintainer_email='maintainers@users.noreply.github.com',
    description='Driver of a two-servo board on a serial port, with limits and watchdog.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'servo_driver = cls_common.node_process:main',
        ],
    },
)

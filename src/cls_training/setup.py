from setuptools import find_packages, setup

NAME = 'cls_training'

setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(exclude=['test']),
    package_data={'cls_training.report': ['*.j2']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
    ],
    install_requires=['setuptools'],
    # Only by this does `colcon test` run pytest.
    extras_require={'test': ['pytest']},
    zip_safe=True,
    maintainer='CLS maintainers',
    maintainer_email='maintainers@users.noreply.github.com',
    description='Training in one process, without ROS: from simulated robots, from recorded sessions, and of encoders.',
    license='Apache-2.0',
    entry_points={
        # A policy that reads sessions, which cls_learning itself does not.
        'cls_learning.policies': [
            'recorded = cls_training.recorded_policy',
        ],
    },
)

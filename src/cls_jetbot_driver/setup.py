from setuptools import find_packages, setup

NAME = 'cls_jetbot_driver'

setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(exclude=['test']),
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
    description='Driver of a JetBot over remote calls: motors and camera, with limits and automatic stop.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'jetbot_driver = cls_common.node_process:main',
        ],
    },
)

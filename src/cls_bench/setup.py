from setuptools import find_packages, setup

NAME = 'cls_bench'

setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(exclude=['test']),
    package_data={
        'cls_bench.control': ['*.json'],
        'cls_bench.continual': ['*.json'],
        'cls_bench.developmental': ['*.json'],
    },
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
    description='Benchmarks of learning and exploration against baselines, and crash tests of the learners.',
    license='Apache-2.0',
)

from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

NAME = 'cls_learning'
# Presets of other brains than `cls`, each in a folder of its name.
BRAINS = glob('../../config/presets/*/')

setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(exclude=['test']),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        (f'share/{NAME}/launch', glob('../../launch/*.launch.py')),
        (f'share/{NAME}/config', glob('../../config/*.*')),
        (f'share/{NAME}/config/presets', glob('../../config/presets/*.*')),
        *((f'share/{NAME}/config/presets/{Path(brain).name}', glob(f'{brain}/*')) for brain in BRAINS),
    ],
    install_requires=['setuptools'],
    # Only by this does `colcon test` run pytest.
    extras_require={'test': ['pytest']},
    zip_safe=True,
    maintainer='CLS maintainers',
    maintainer_email='maintainers@users.noreply.github.com',
    description='Fast and slow learner, curiosity, sleep and the model folder.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'fast_learner = cls_common.node_process:main',
            'slow_learner = cls_common.node_process:main',
        ],
    },
)

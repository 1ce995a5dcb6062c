"""Points the ROS wheels' exported CMake targets to this interpreter's headers.

The wheels name the include folders of the machine that built them. Files are replaced, never changed in place:
an installer may have hard-linked them into a cache that other environments share.
"""

import os
from pathlib import Path
import re
import sys
import sysconfig

import numpy

REPAIRS = (
    (re.compile(r'/opt/python/cp3\d+-cp3\d+/include/python3\.\d+'), sysconfig.get_paths()['include']),
    (
        re.compile(r'/opt/python/cp3\d+-cp3\d+/lib/python3\.\d+/site-packages/numpy/(_core|core)/include'),
        numpy.get_include(),
    ),
)


def main() -> int:
    for path in Path(sys.prefix, 'share').rglob('*.cmake'):
        old = path.read_text(encoding='utf-8')
        new = old
        for pattern, replacement in REPAIRS:
            new = pattern.sub(replacement, new)
        if new != old:
            temporary = path.with_suffix('.repaired')
            temporary.write_text(new, encoding='utf-8')
            os.replace(temporary, path)
    return 0


if __name__ == '__main__':
    sys.exit(main())

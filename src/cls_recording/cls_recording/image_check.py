"""Whether a recorded image can be decoded, without decoding it. No ROS here."""

import struct

from cls_common import comms
from cls_common.errors import UserError
from cls_common.images import check_compressed, check_raw

from . import peek

CAMERAS = (comms.IMAGE.name, comms.COMPRESSED.name)
UNREADABLE = (struct.error, IndexError, UnicodeDecodeError)


def image_problem(topic: str, data: bytes) -> str:
    """Returns why a message of a topic, CDR, shows no image; empty where it does, and for topics of no images."""
    try:
        if topic == comms.COMPRESSED.name:
            check_compressed(peek.compressed_image(data))
        elif topic == comms.IMAGE.name:
            image = peek.raw_image(data)
            check_raw(image.size, image.height, image.width, image.encoding, image.step)
    except UserError as error:
        return str(error)
    except UNREADABLE:
        return 'a message that is cut off'
    return ''

"""Whether a recorded image can be decoded, without decoding it. No ROS here."""

import struct

from cls_common import comms
from cls_common.errors import UserError
from cls_common.images import check_compressed, check_raw

from .. import cdr_fields

CAMERAS = (comms.IMAGE.name, comms.COMPRESSED.name)
UNREADABLE = (struct.error, IndexError, UnicodeDecodeError)


def image_problem(topic: str, data: bytes) -> str:
    """Returns why the image in a message (CDR) can't be decoded; empty if it can, and for topics without images."""
    try:
        if topic == comms.COMPRESSED.name:
            check_compressed(cdr_fields.read_compressed_image(data))
        elif topic == comms.IMAGE.name:
            image = cdr_fields.read_image_header(data)
            check_raw(image.size, image.height, image.width, image.encoding, image.step)
    except UserError as error:
        return str(error)
    except UNREADABLE:
        return 'a truncated message'
    return ''

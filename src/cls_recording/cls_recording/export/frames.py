"""Images of a session as RGB arrays: the second pass over a bag."""

from collections.abc import Iterator, Sequence

import numpy as np

from cls_common.errors import UserError
from cls_common.images import Image

from ..reader import SessionReader
from ..steps import to_image


def frames(reader: SessionReader, topic: str, places: Sequence[int]) -> Iterator[Image]:
    """Decodes some images of a topic.

    Args:
        reader: an open session.
        topic: relative name of a topic of sensor_msgs/Image or CompressedImage.
        places: of the wanted images among the recorded ones, rising; the same place may come several times.

    Returns:
        for each place a uint8 (H, W, 3) RGB array, even in both sizes.

    Raises:
        UserError: an image is damaged or of an unknown encoding.
    """
    wanted = iter(places)
    place = next(wanted, None)
    for number, event in enumerate(reader.raw([topic])):
        if place is None:
            return
        if number != place:
            continue
        try:
            image = pad_to_even(to_image(reader.decode(event)))
        except UserError as error:
            raise UserError(f'image {number} of session {reader.path.name!r}: {error}') from error
        while place == number:
            yield image
            place = next(wanted, None)


def pad_to_even(image: Image) -> Image:
    """Repeats the last row or column of uint8 (H, W, 3) where a size is odd: yuv420p halves both."""
    height, width, _ = image.shape
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge') if height % 2 or width % 2 else image

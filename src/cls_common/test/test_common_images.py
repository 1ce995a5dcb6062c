"""Contract of every conversion from an image message to RGB: plain Python, nodes, and cv_bridge where it works."""

import array
from collections.abc import Callable

import cv2
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
from numpy.typing import NDArray
import pytest
from sensor_msgs.msg import Image as ImageMessage

from cls_common import images
from cls_common.errors import UserError
from cls_common.nodes import conversions

Pixels = NDArray[np.uint8]
Reader = Callable[[ImageMessage], Pixels]
ALL = ('rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8', '8UC1', '8UC3')


def ours(message: ImageMessage) -> Pixels:
    return images.to_rgb(memoryview(message.data), message.height, message.width, message.encoding, message.step)


def by_cv_bridge(message: ImageMessage) -> Pixels:
    if conversions.BRIDGE is None:
        pytest.skip('cv_bridge is not installed, or fails beside this numpy')
    return conversions.BRIDGE.imgmsg_to_cv2(message, 'rgb8')


# Images that each reader converts: cv_bridge only those without padding.
READERS: list[tuple[Reader, tuple[str, ...]]] = [
    (ours, ALL),
    (conversions.from_image, ALL),
    (by_cv_bridge, ('rgb8', 'bgr8', 'mono8')),
]
PAIRS = [
    pytest.param(reader, encoding, id=f'{reader.__name__}-{encoding}')
    for reader, encodings in READERS
    for encoding in encodings
]
BOTH = pytest.mark.parametrize('reader', [ours, conversions.from_image])


def scene(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encode(rgb: Pixels, encoding: str) -> tuple[Pixels, Pixels]:
    """Returns what a camera would send, (H, W, C), and what must be read from it, (H, W, 3)."""
    alpha = np.full((*rgb.shape[:2], 1), 7, np.uint8)
    if encoding in ('mono8', '8UC1'):
        return rgb[..., :1], np.repeat(rgb[..., :1], 3, axis=2)
    sent = rgb if encoding.startswith('rgb') else rgb[..., ::-1]
    return np.concatenate([sent, alpha], axis=2) if encoding in ('rgba8', 'bgra8') else sent, rgb


def message_of(sent: Pixels, encoding: str, padding: int = 0) -> ImageMessage:
    height, width, channels = sent.shape
    step = width * channels + padding
    rows = np.full((height, step), 0xEE, np.uint8)  # padding is not black, so that reading it shows
    rows[:, : width * channels] = sent.reshape(height, -1)
    message = ImageMessage(height=height, width=width, encoding=encoding, step=step)
    message.data = array.array('B', rows.tobytes())
    return message


@pytest.mark.parametrize(('reader', 'encoding'), PAIRS)
@pytest.mark.parametrize(('height', 'width'), [(1, 1), (3, 5), (48, 64)])
def test_every_encoding_reads_as_rgb(reader: Reader, encoding: str, height: int, width: int) -> None:
    sent, expected = encode(scene(height, width), encoding)
    image = reader(message_of(sent, encoding))
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, expected)


@BOTH
@pytest.mark.parametrize('encoding', ALL)
@pytest.mark.parametrize('padding', [1, 2, 3, 4, 12, 64])
def test_row_padding_is_skipped(reader: Reader, encoding: str, padding: int) -> None:
    sent, expected = encode(scene(4, 5), encoding)
    np.testing.assert_array_equal(reader(message_of(sent, encoding, padding)), expected)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 40), st.sampled_from(ALL), st.integers(0, 9))
def test_any_size_and_step(height: int, width: int, padding: int, encoding: str, seed: int) -> None:
    sent, expected = encode(scene(height, width, seed), encoding)
    np.testing.assert_array_equal(conversions.from_image(message_of(sent, encoding, padding)), expected)


@BOTH
@pytest.mark.parametrize('encoding', ALL)
@pytest.mark.parametrize(
    'damage',
    [
        pytest.param(lambda m: {'data': m.data[:-1]}, id='one byte short'),
        pytest.param(lambda m: {'data': array.array('B')}, id='no data'),
        pytest.param(lambda m: {'step': m.step - 1}, id='step below a row'),
        pytest.param(lambda m: {'step': 0}, id='no step'),
        pytest.param(lambda m: {'height': m.height + 1}, id='too high'),
        pytest.param(lambda m: {'width': m.width + 1}, id='too wide'),
        pytest.param(lambda m: {'height': 0}, id='no height'),
        pytest.param(lambda m: {'width': 0}, id='no width'),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    reader: Reader, encoding: str, damage: Callable[[ImageMessage], dict[str, object]]
) -> None:
    message = message_of(encode(scene(4, 5), encoding)[0], encoding)
    for name, value in damage(message).items():
        setattr(message, name, value)
    with pytest.raises(UserError):
        reader(message)


@BOTH
@pytest.mark.parametrize('encoding', ['', 'RGB8', 'yuv422', '16UC1', 'bayer_rggb8', 'jpeg'])
def test_unknown_encodings_are_refused_with_the_known_ones(reader: Reader, encoding: str) -> None:
    message = message_of(scene(4, 5), 'rgb8')
    message.encoding = encoding
    with pytest.raises(UserError, match='bgr8 or'):
        reader(message)


@BOTH
def test_an_image_does_not_depend_on_its_message(reader: Reader) -> None:
    message = message_of(scene(4, 5), 'rgb8')
    image = reader(message)
    message.data[0] ^= 0xFF
    np.testing.assert_array_equal(image, scene(4, 5))


def test_there_and_back_through_a_message() -> None:
    rgb = scene(6, 7)
    message = conversions.to_image(rgb, conversions.to_time(5), 'camera_link_optical')
    assert (message.height, message.width, message.encoding, message.step) == (6, 7, 'rgb8', 21)
    assert message.header.frame_id == 'camera_link_optical'
    np.testing.assert_array_equal(conversions.from_image(message), rgb)


def test_a_strided_view_becomes_a_complete_message() -> None:
    rgb = scene(8, 9)[::2, ::-1]
    message = conversions.to_image(rgb, conversions.to_time(0), '')
    np.testing.assert_array_equal(conversions.from_image(message), rgb)


@pytest.mark.parametrize(
    'image', [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 4), np.uint8), np.zeros((4, 5, 3), np.float32)]
)
def test_only_rgb_arrays_become_messages_or_jpegs(image: Pixels) -> None:
    with pytest.raises(UserError, match='uint8'):
        conversions.to_image(image, conversions.to_time(0), '')
    with pytest.raises(UserError, match='uint8'):
        images.to_jpeg(image)


def test_jpeg_keeps_colours_in_their_order() -> None:
    rgb = np.zeros((32, 32, 3), np.uint8)
    rgb[..., 0], rgb[..., 1], rgb[..., 2] = 200, 100, 30
    back = images.from_jpeg(images.to_jpeg(rgb))
    assert back.shape == rgb.shape
    assert np.abs(back.astype(int) - rgb).max() <= 4


@pytest.mark.parametrize('part', [0, 1, 100, 0.5, -1])
def test_a_damaged_jpeg_is_refused(part: float) -> None:
    jpeg = images.to_jpeg(scene(32, 32))
    with pytest.raises(UserError, match='compressed image'):
        images.from_jpeg(jpeg[: int(len(jpeg) * part) if 0 < part < 1 else int(part)])


def test_a_png_of_16_bits_is_refused_by_name() -> None:
    """Its value range is unknown: it may hold a depth in mm, or ten bits of a sensor."""
    png = cv2.imencode('.png', np.full((8, 8), 30_000, np.uint16))[1].tobytes()
    with pytest.raises(UserError, match='expected 8 bits a channel; found a PNG of 16 bits a channel'):
        images.from_jpeg(png)


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp'])
def test_an_image_with_bytes_after_its_end_is_complete(suffix: str) -> None:
    rgb = scene(32, 40)
    data = cv2.imencode(suffix, rgb[..., ::-1])[1].tobytes()
    assert images.from_jpeg(data + b'junk').shape == rgb.shape


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_an_image_without_its_end_is_incomplete(suffix: str) -> None:
    data = cv2.imencode(suffix, scene(32, 40))[1].tobytes()
    images.check_compressed(data)
    for size in (0, *range(9, len(data), 7)):  # fewer bytes are of no known format
        with pytest.raises(UserError, match='whole JPEG or PNG'):
            images.check_compressed(data[:size])

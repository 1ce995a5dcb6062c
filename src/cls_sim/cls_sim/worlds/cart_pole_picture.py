"""Picture of a cart-pole, drawn without a display."""

import cv2
import numpy as np

from ..noise import Image
from .cart_pole_physics import ANGLE, Floats, POSITION, RAIL
from .pan_tilt import SIDE

_BACKGROUND, _RAIL, _CART, _POLE, _HINGE = (235, 235, 230), (120, 120, 120), (40, 70, 150), (205, 95, 40), (30, 30, 30)
_CART_SIZE = (0.4, 0.24)  # m
_PIXELS_PER_METRE = SIDE / (2 * (RAIL + 1.05))  # a pole of 1 m fits beside either end of the rail
_FRACTION_BITS = 4  # coordinates in sixteenths of a pixel, so that small motions show


def draw(state: Floats, pole_length: float) -> Image:
    """Draws one state, float64 (4,), with a pole of `pole_length`, m; returns uint8 (224, 224, 3) RGB."""
    image = np.full((SIDE, SIDE, 3), _BACKGROUND, np.uint8)
    hinge = np.array([state[POSITION], 0.0])
    tip = hinge + pole_length * np.array([np.sin(state[ANGLE]), np.cos(state[ANGLE])])
    half_cart = np.array(_CART_SIZE) / 2
    cv2.line(image, _pixel([-RAIL, 0.0]), _pixel([RAIL, 0.0]), _RAIL, 2, cv2.LINE_AA, _FRACTION_BITS)
    cv2.rectangle(image, _pixel(hinge - half_cart), _pixel(hinge + half_cart), _CART, -1, cv2.LINE_AA, _FRACTION_BITS)
    cv2.line(image, _pixel(hinge), _pixel(tip), _POLE, 6, cv2.LINE_AA, _FRACTION_BITS)
    cv2.circle(image, _pixel(hinge), 4 << _FRACTION_BITS, _HINGE, -1, cv2.LINE_AA, _FRACTION_BITS)
    return image


def _pixel(place: 'Floats | list[float]') -> tuple[int, int]:
    """Returns pixel coordinates in fractions of a place (right, up), m, from the middle of the rail."""
    right, up = np.rint((SIDE / 2 + np.array([1.0, -1.0]) * place * _PIXELS_PER_METRE) * (1 << _FRACTION_BITS))
    return int(right), int(up)

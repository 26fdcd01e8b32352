"""Draws one image of the quickstart world with its exact foreground mask.

:func:`render` draws an object with a pattern, colour and shape on a textured background, with
clutter, a smaller distractor object, blur, noise and one of four lights.
:mod:`fvgpt.quickstart.world` decides what is drawn and for which purpose.
"""

from dataclasses import dataclass
from itertools import product
from typing import Callable, Dict, List, Tuple

import cv2
import numpy as np

SIZE = 64  # pixels, image side
_FINE = 2 * SIZE  # objects are drawn at twice the size, then averaged down

COLOURS: Dict[str, Tuple[int, int, int]] = dict(
    red=(205, 35, 40),
    orange=(240, 130, 25),
    yellow=(240, 215, 50),
    green=(45, 150, 60),
    blue=(40, 80, 205),
    purple=(120, 50, 160),
    pink=(245, 140, 185),
    brown=(115, 70, 35),
    white=(240, 240, 240),
    black=(30, 30, 34),
)
PATTERNS = ('plain', 'striped', 'spotted', 'checkered')
LIGHTS: Dict[str, Tuple[float, float, float]] = {  # phrase in captions -> gain of R, G, B
    'in daylight': (1.0, 1.0, 1.0),
    'in lamp light': (1.15, 0.85, 0.5),
    'in moonlight': (0.5, 0.68, 1.1),
    'in neon light': (1.05, 0.65, 1.05),
}


def _radial(radius: Callable[[np.ndarray], np.ndarray], n: int = 64) -> np.ndarray:
    """Outline (n, 2) of a figure given by its radius as a function of the angle.

    The angle is measured in radians, clockwise from straight up.
    """
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return radius(angle)[:, None] * np.stack([np.sin(angle), -np.cos(angle)], 1)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y - 2], 1) / 17


def _crescent() -> np.ndarray:
    outer = np.linspace(0.28 * np.pi, 1.72 * np.pi, 48)
    inner = outer[::-1]
    return np.concatenate(
        [
            0.95 * np.stack([np.cos(outer), np.sin(outer)], 1),
            np.stack([0.28 + 0.74 * np.cos(inner), 0.97 * np.sin(inner)], 1),
        ]
    )


def _polygon(*points: Tuple[float, float]) -> np.ndarray:
    return np.array(points, np.float64)


# Outlines (n, 2) of (x, y) in the unit disc, y points down. Several contours are filled by the
# even-odd rule.
SHAPES: Dict[str, List[np.ndarray]] = dict(
    circle=[_radial(lambda a: np.full_like(a, 0.85))],
    square=[_polygon((-0.75, -0.75), (0.75, -0.75), (0.75, 0.75), (-0.75, 0.75))],
    triangle=[_polygon((0, -0.95), (0.9, 0.7), (-0.9, 0.7))],
    star=[_radial(lambda a: np.where(np.arange(len(a)) % 2, 0.42, 1.0), 10)],
    heart=[_heart()],
    crescent=[_crescent()],
    ring=[_radial(lambda a: np.full_like(a, 0.95)), _radial(lambda a: np.full_like(a, 0.5))],
    cross=[
        _polygon(
            (-0.3, -0.9),
            (0.3, -0.9),
            (0.3, -0.3),
            (0.9, -0.3),
            (0.9, 0.3),
            (0.3, 0.3),
            (0.3, 0.9),
            (-0.3, 0.9),
            (-0.3, 0.3),
            (-0.9, 0.3),
            (-0.9, -0.3),
            (-0.3, -0.3),
        )
    ],
    arrow=[
        _polygon(
            (0, -1),
            (0.8, -0.1),
            (0.32, -0.1),
            (0.32, 0.95),
            (-0.32, 0.95),
            (-0.32, -0.1),
            (-0.8, -0.1),
        )
    ],
    flower=[_radial(lambda a: 0.7 + 0.27 * np.cos(5 * a))],
)


@dataclass(frozen=True)
class Composition:
    """An object class of the world: pattern, colour and shape."""

    pattern: str
    colour: str
    shape: str

    @property
    def name(self) -> str:
        """Class name, such as "striped red star"."""
        return f'{self.pattern} {self.colour} {self.shape}'


ALL_COMPOSITIONS = tuple(Composition(*c) for c in product(PATTERNS, COLOURS, SHAPES))


# ------------------------------------------------------------------ backgrounds
def _noise(rng: np.random.Generator, *cells: Tuple[int, int]) -> np.ndarray:
    """Smooth noise (SIZE, SIZE) in about [0, 1].

    The mean of random lattices of the given sizes (rows, columns), interpolated to the image size.
    """
    layers = [
        cv2.resize(rng.random(c, np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        for c in cells
    ]
    return np.add.reduce(layers) / len(layers)


def _blend(weight: np.ndarray, low: Tuple[int, int, int], high: Tuple[int, int, int]) -> np.ndarray:
    """Blend two RGB colours by weights (SIZE, SIZE), which are clipped to [0, 1]."""
    dark, light = np.array([low, high], np.float32)
    return dark + np.clip(weight, 0, 1)[..., None] * (light - dark)


_Y, _X = np.mgrid[:SIZE, :SIZE].astype(np.float32)


def _grass(rng):
    return _blend(_noise(rng, (8, 60), (20, 60), (4, 4)) * 1.6 - 0.3, (30, 75, 20), (120, 175, 70))


def _sand(rng):
    ripple = 0.15 * np.sin((_Y + 8 * _noise(rng, (3, 3))) * rng.uniform(0.5, 0.9))
    return _blend(_noise(rng, (60, 60), (5, 5)) + ripple, (180, 150, 100), (235, 210, 160))


def _water(rng):
    wave = np.sin((_Y + 14 * _noise(rng, (3, 4))) * rng.uniform(0.5, 1.0) + rng.uniform(0, 6))
    return _blend(
        0.4 + 0.25 * wave + 0.4 * _noise(rng, (20, 8)) - 0.2, (15, 70, 120), (110, 185, 215)
    )


def _sky(rng):
    cloud = np.clip(_noise(rng, (3, 3), (6, 6), (12, 12)) * 3 - 1.2, 0, 1)
    return _blend(np.maximum(cloud, _Y / SIZE * 0.5), (80, 140, 225), (240, 245, 252))


def _bricks(rng):
    height = rng.integers(7, 11)
    width = 2 * height
    row = (_Y + rng.integers(height)) // height
    joint = ((_Y + rng.integers(height)) % height < 1.5) | (
        (_X + row % 2 * height + rng.integers(width)) % width < 1.5
    )
    return np.where(
        joint[..., None],
        np.array((175, 165, 155), np.float32),
        _blend(_noise(rng, (8, 8), (40, 40)), (120, 50, 35), (190, 100, 75)),
    )


def _wood(rng):
    grain = np.sin((_X + 10 * _noise(rng, (2, 6))) * rng.uniform(0.35, 0.7))
    return _blend(
        0.45 + 0.2 * grain + 0.5 * _noise(rng, (3, 50)) - 0.25, (85, 50, 25), (190, 135, 80)
    )


def _snow(rng):
    return _blend(_noise(rng, (4, 4), (10, 10), (60, 60)), (190, 205, 225), (252, 252, 255))


def _night(rng):
    image = _blend(_noise(rng, (3, 3)), (5, 5, 20), (25, 30, 70))
    y, x = rng.integers(SIZE, size=(2, 35))
    image[y, x] = rng.uniform(120, 255, (35, 1))
    return image


def _leaves(rng):
    return _blend(
        np.clip(_noise(rng, (9, 9), (16, 16)) * 4 - 1.5, 0, 1), (15, 45, 20), (95, 145, 45)
    )


def _concrete(rng):
    return _blend(_noise(rng, (5, 5), (20, 20), (60, 60)), (95, 95, 95), (175, 172, 168))


# phrase in captions -> function that paints the background (SIZE, SIZE, 3)
BACKGROUNDS: Dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    'on grass': _grass,
    'on sand': _sand,
    'on water': _water,
    'in the sky': _sky,
    'on a brick wall': _bricks,
    'on wood': _wood,
    'in the snow': _snow,
    'in the night': _night,
    'among leaves': _leaves,
    'on concrete': _concrete,
}


# ------------------------------------------------------------------ objects
def _draw_object(
    rng: np.random.Generator, what: Composition, centre: np.ndarray, radius: float
) -> Tuple[np.ndarray, np.ndarray]:
    """Draw one object.

    Args:
        rng: the only source of randomness.
        what: the object.
        centre: its centre (x, y) in pixels.
        radius: its radius in pixels.

    Returns:
        Its colours (SIZE, SIZE, 3) multiplied by its coverage, and its coverage (SIZE, SIZE), which
        is the share of each pixel that it covers, in [0, 1].
    """
    turn = rng.uniform(-0.45, 0.45)  # radians
    stretch = np.array([1, rng.uniform(0.85, 1.15)])
    coverage = _fill_shape(SHAPES[what.shape], turn, stretch, centre, radius)
    first = np.array(COLOURS[what.colour], np.float32) + rng.normal(0, 10, 3).astype(np.float32)
    # The second colour of a pattern is a shade or a tint of the first, whichever contrasts more, so
    # that the name of the colour still describes the object.
    second = first * 0.35 if first.mean() > 110 else first * 0.45 + 140
    marked = _pattern(rng, what.pattern, turn)
    paint = np.where(marked[..., None], second, first) * coverage[..., None]
    return _average_down(paint), _average_down(coverage)


def _fill_shape(
    contours: List[np.ndarray], turn: float, stretch: np.ndarray, centre: np.ndarray, radius: float
) -> np.ndarray:
    """Filled outline of an object, (_FINE, _FINE) uint8 in {0, 1}."""
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    outline = [
        np.round(2 * (radius * (contour * stretch) @ rotation.T + centre)).astype(np.int32)
        for contour in contours
    ]
    coverage = np.zeros((_FINE, _FINE), np.uint8)
    cv2.fillPoly(coverage, outline, 1)
    return coverage


def _pattern(rng: np.random.Generator, pattern: str, turn: float) -> np.ndarray:
    """Where the second colour of a pattern is, (_FINE, _FINE) bool."""
    y, x = np.mgrid[:_FINE, :_FINE].astype(np.float32) / 2
    angle = turn + rng.uniform(-0.4, 0.4) + (np.pi / 2 if rng.random() < 0.5 else 0)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    period = rng.uniform(5.5, 8.0)  # pixels
    phase = rng.uniform(0, period, 2)
    u, v = (u + phase[0]) / period % 1, (v + phase[1]) / period % 1
    if pattern == 'striped':
        return u < 0.42
    if pattern == 'spotted':
        return np.hypot(u - 0.5, v - 0.5) < 0.31
    if pattern == 'checkered':
        return (u < 0.5) ^ (v < 0.5)
    return np.zeros_like(u, bool)


def _average_down(image: np.ndarray) -> np.ndarray:
    """(_FINE, _FINE, ...) -> (SIZE, SIZE, ...) float32, by averaging 2 x 2 pixels."""
    return cv2.resize(image.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def render(
    rng: np.random.Generator,
    what: Composition,
    background: str,
    light: str,
    distractors: Tuple[Composition, ...] = ALL_COMPOSITIONS,
) -> Tuple[np.ndarray, np.ndarray]:
    """Draw one image.

    Args:
        rng: the only source of randomness.
        what: the main object.
        background: a key of ``BACKGROUNDS``.
        light: a key of ``LIGHTS``.
        distractors: compositions from which the smaller second object is chosen.

    Returns:
        The image (64, 64, 3) uint8 RGB, and the exact foreground mask (64, 64) bool of the main
        object.
    """
    canvas = BACKGROUNDS[background](rng).astype(np.float32)
    for _ in range(rng.integers(0, 5)):  # clutter: small ellipses of one colour
        middle, axes = rng.integers(SIZE, size=2).tolist(), rng.integers(1, 5, size=2).tolist()
        cv2.ellipse(
            canvas,
            middle,
            axes,
            float(rng.integers(180)),
            0,
            360,
            rng.uniform(20, 235, 3).tolist(),
            -1,
        )
    radius = rng.uniform(13, 24)
    centre = SIZE / 2 + rng.uniform(-1, 1, 2) * (SIZE / 2 - 0.75 * radius)
    if rng.random() < 0.5:  # a smaller object next to the main one, often cropped by the border
        other = distractors[rng.integers(len(distractors))]
        away = np.arctan2(*(SIZE / 2 - centre)[::-1]) + rng.uniform(-0.7, 0.7)
        place = np.clip(
            centre + (radius + 12) * np.array([np.cos(away), np.sin(away)]), 2, SIZE - 2
        )
        paint, coverage = _draw_object(rng, other, place, rng.uniform(7, 11))
        canvas = canvas * (1 - coverage[..., None]) + paint
    paint, coverage = _draw_object(rng, what, centre, radius)
    shadow = cv2.GaussianBlur(np.roll(coverage, rng.integers(1, 4, 2), (0, 1)), (0, 0), 2)
    canvas *= 1 - 0.4 * shadow[..., None]
    canvas = canvas * (1 - coverage[..., None]) + paint
    slope = rng.uniform(-0.3, 0.3, 2)
    canvas *= (
        rng.uniform(0.75, 1.15) + slope[0] * (_X / SIZE - 0.5) + slope[1] * (_Y / SIZE - 0.5)
    )[..., None]
    canvas *= np.array(LIGHTS[light], np.float32)
    canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 0.8)) + rng.normal(
        0, rng.uniform(1, 7), canvas.shape
    )
    return np.clip(canvas, 0, 255).astype(np.uint8), coverage > 0.5

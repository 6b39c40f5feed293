"""Where everything is: the frame, the head on it, and the rectangles of the painted layers.

Frame coordinates are pixels of the 512 x 512 picture. Head coordinates have their origin between the
eyes of the head at rest, in the same unit.
"""

from typing import Final, Literal

Rect = tuple[int, int, int, int]  # x0, y0, x1, y1
LayerName = Literal["back_hair", "body", "head", "front_hair"]
PictureName = Literal["iris", "glints", "sclera", "lids", "lips"]

SIZE: Final = 512
ORIGIN: Final = (256.0, 226.0)  # Head (0, 0) in the frame.
ROLL_PIVOT_Y: Final = 150.0  # The head rolls and leans about a point in the neck, in head coordinates.

# Back to front. A layer's rectangle is where its picture lies on the frame while the head is at rest.
RECTS: Final[dict[LayerName, Rect]] = {
    "back_hair": (112, 50, 400, 424),
    "body": (0, 300, 512, 540),
    "head": (140, 66, 376, 392),
    "front_hair": (112, 46, 396, 424),
}

# The parts of each layer that can ever be seen, so that hidden and empty pixels are not sampled. The crown
# shows through the parting on a nod; the body goes on below the frame, for when it is lifted.
PARTS: Final[dict[LayerName, tuple[Rect, ...]]] = {
    "back_hair": ((250, 56, 312, 112), (118, 232, 228, 406), (288, 176, 398, 410)),
    "body": ((180, 322, 332, 408), (26, 408, 486, 524)),
    "head": ((172, 100, 366, 374),),
    "front_hair": ((132, 46, 380, 144), (114, 144, 216, 416), (310, 144, 386, 292)),
}

# Eyes: their own coordinates run from nose to temple, scaled and mirrored for each side.
EYE_X: Final = 42.0
EYE_Y: Final = 0.0
EYE_SCALE: Final = 1.06
EYE_WINDOW: Final = (68, 46)  # Width and height in frame pixels.
IRIS: Final = 10.9  # Radius, in eye units.
IRIS_EDGE: Final = 1.06  # Half the iris picture, in iris radii.
GLINTS: Final = 11.0  # Half the picture of the glints, in eye units.
SCLERA: Final = (27.0, 18.0)  # Half width and half height of the eyeball's picture, in eye units.
LID_HALF: Final = 36.0  # Half the width of the lids' picture, in eye units.

MOUTH_Y: Final = 87.0
MOUTH_WINDOW: Final = (104, 68)
MOUTH_REACH: Final = 1.25  # How far past the corners the mouth's curves are known, in half widths.

# Pixels across of the small pictures: near their size on screen, or they would shimmer.
PICTURES: Final[dict[PictureName, int]] = {"iris": 30, "glints": 30, "sclera": 60, "lids": 80, "lips": 80}
TEXTURE_SCALES: Final = (1.0, 1.5)  # The layers are shipped at these multiples of the frame's size.

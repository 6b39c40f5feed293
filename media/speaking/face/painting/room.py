"""The room behind the persona, out of focus: a lit wall, a window to the left, a shelf to the right."""

from typing import Final

from media.speaking.face.geometry import SIZE
from media.speaking.face.painting.brush import Array, Brush, box, linear
from media.speaking.face.palette import WALL, WALL_DARK, WALL_LIGHT

# x, y, width, height and colour of what stands on the shelf.
BOOKS: Final = (
    (424, 66, 14, 66, "#B77A57"),
    (444, 56, 18, 76, "#4A6470"),
    (468, 74, 12, 58, "#D9C7A6"),
    (486, 60, 22, 72, "#7C4B3F"),
    (430, 232, 46, 60, "#C9B38C"),
    (486, 216, 18, 76, "#3F5A5C"),
    (420, 396, 20, 80, "#8C5A46"),
    (450, 386, 30, 90, "#566F72"),
)
# x0, y0, x1, y1, colour, opacity and blur of window and shelf.
PANES: Final = (
    (-40, -40, 118, 330, "#E9EBDD", 0.75, 20),
    (30, -40, 40, 340, "#8FA39C", 0.5, 7),
    (-40, 150, 120, 160, "#8FA39C", 0.4, 7),
    (-40, 345, 200, 360, "#6F8683", 0.35, 10),
    (392, -40, 404, 560, "#45595C", 0.5, 9),
    (404, 132, 560, 144, "#45595C", 0.5, 9),
    (404, 292, 560, 304, "#45595C", 0.5, 9),
)


def background(scale: float) -> Array:
    b = Brush((0, 0, SIZE, SIZE), scale)
    b.fill(box(0, 0, SIZE, SIZE), shader=linear((0, 60), (512, 400), [WALL_LIGHT, WALL, WALL_DARK]))
    for x0, y0, x1, y1, color, alpha, blur in PANES:
        b.fill(box(x0, y0, x1, y1), color, alpha, blur)
    for x, y, width, height, color in BOOKS:
        b.fill(box(x, y, x + width, y + height), color, 0.5, 8)
    b.glow(200, 190, 260, 260, "#E4E8DA", 0.35)
    b.glow(256, 560, 420, 200, "#2E4347", 0.4)
    return b.picture()

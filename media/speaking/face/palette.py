"""The persona's colours: the painting's, and those that eyes, mouth and creases are shaded with."""

from typing import Final

SKIN: Final = "#E8B695"
SKIN_LIGHT: Final = "#F6D3B6"
SKIN_SHADE: Final = "#BE8069"
SKIN_DEEP: Final = "#96594C"
SKIN_DARK: Final = "#5A2F2C"
FLUSH: Final = "#D5604F"
PALLOR: Final = "#D8C6B8"

HAIR: Final = "#3A2622"
HAIR_DARK: Final = "#231615"
HAIR_MID: Final = "#5A3A2E"
HAIR_LIGHT: Final = "#8A5B41"
HAIR_GLINT: Final = "#C08A5C"

JACKET: Final = "#2B4450"
JACKET_DARK: Final = "#1B2C36"
JACKET_LIGHT: Final = "#47656F"
BLOUSE: Final = "#EFE6D8"
BLOUSE_SHADE: Final = "#C9B8A6"

WALL: Final = "#8FA39C"
WALL_DARK: Final = "#5C7273"
WALL_LIGHT: Final = "#C6CFC2"

LASH: Final = "#2A1917"
LID_SHADOW: Final = "#3A2420"

LIP_UNDER: Final = SKIN_DEEP
LIP_RIM: Final = "#FCE1CB"
LIP_TUCK: Final = "#8A4A42"
LIP_SEAM: Final = "#5E2628"
MOUTH_DARK: Final = "#3B1418"
MOUTH_SHADOW: Final = "#5A2A2A"
TONGUE: Final = "#B25A58"
TONGUE_GROOVE: Final = "#8A3C40"
TONGUE_TIP: Final = "#C4716B"
TEETH: Final = "#F4EDE4"
TEETH_LOWER: Final = "#D9CBBE"
TEETH_GAP: Final = "#B39F94"

"""The persona's face: what keeps it moving, and the frames that show it. See README.md beside this file."""

from domain.mind.emotion import Emotion
from domain.speech import Sound
from media.speaking.face.motion import FaceMotion
from media.speaking.face.renderer import FaceRenderer, FrameMemory, YuvFrame
from media.speaking.face.rig import Pose
from media.speaking.face.visemes import MouthTrack

__all__ = ["Emotion", "FaceMotion", "FaceRenderer", "FrameMemory", "MouthTrack", "Pose", "Sound", "YuvFrame"]

"""What the face shows of each emotional state, at full strength.

In conversation 0.4 to 0.7 of these reads well; the whole is for moments. The shapes follow common
descriptions of the facial action units. What separates elated from excited is the squint of the cheek
raiser; neutral smiles a little, because a face at rest reads as cold.
"""

from typing import Final

from domain.mind.emotion import Emotion
from media.speaking.face.rig import Pose, posed

EMOTION_POSES: Final[dict[Emotion, Pose]] = {
    Emotion.NEUTRAL: posed(smile=0.16, lid=-0.08, squint=0.06),
    Emotion.ANGRY: posed(
        brow_inner=-0.70, furrow=0.9, lid=0.15, squint=0.45, nose=0.30,
        press=0.45, frown=0.45, wide=0.05, pitch=2.5,
    ),
    Emotion.EXCITED: posed(
        brow_inner=0.45, brow_outer=0.65, lid=0.40, squint=0.12, smile=0.95, jaw=0.34, upper=0.35,
        wide=0.15, cheek=0.5, blush=0.35, pitch=-2.0, lean=0.25,
    ),
    Emotion.ELATED: posed(
        brow_inner=0.25, brow_outer=0.30, squint=0.85, smile=1.2, jaw=0.30, upper=0.50,
        wide=0.20, cheek=0.9, blush=0.5, pitch=-3.0, roll=2.0,
    ),
    Emotion.CONTENT: posed(
        brow_inner=0.08, smile=0.55, squint=0.28, cheek=0.35, lid=-0.15, blush=0.15, roll=-1.5,
    ),
    Emotion.SAD: posed(
        brow_inner=0.80, brow_outer=-0.35, furrow=0.30, lid=-0.25, frown=0.60, smile=-0.10,
        gaze_y=0.20, pitch=4.0, roll=-2.0,
    ),
    Emotion.DEJECTED: posed(
        brow_inner=0.60, brow_outer=-0.45, lid=-0.60, frown=0.50, gaze_y=0.45, gaze_x=-0.12,
        pitch=9.0, roll=3.0, shift_y=4.0, pale=0.35,
    ),
    Emotion.SCARED: posed(
        brow_inner=0.95, brow_outer=0.45, furrow=0.40, lid=0.90, jaw=0.18, wide=0.40, lower=0.45,
        frown=0.20, pale=0.7, pitch=-2.0, lean=-0.5,
    ),
    Emotion.CONTEMPT: posed(
        brow_outer_l=0.45, brow_inner_l=0.10, brow_inner_r=-0.25, brow_outer_r=-0.1, lid=-0.35,
        squint=0.20, smile_l=0.85, smile_r=-0.08, press=0.22, pitch=-4.0, yaw=-5.0, gaze_x=0.18, gaze_y=0.10,
    ),
    Emotion.DISGUSTED: posed(
        brow_inner=-0.55, brow_outer=-0.15, furrow=0.45, squint=0.55, nose=0.95, upper=0.42, frown=0.45,
        cheek=0.30, lower=0.10, yaw=4.0, pitch=-2.0, lean=-0.4,
    ),
    Emotion.SURPRISED: posed(brow_inner=0.90, brow_outer=0.90, lid=0.85, jaw=0.52, round=0.25, pitch=-2.5),
}  # fmt: skip

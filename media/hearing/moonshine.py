"""Moonshine (base, English) in plain ONNX Runtime: samples in, tokens with probabilities out.

Cost on one core of a 2-core EPYC: 12 ms per second of audio for the encoder, 5 ms for each token that was not
guessed right by the draft, 6 to 18 ms for all tokens that were.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from media.hearing.flatgraph import as_model, branches_as_models, read_graph
from media.hearing.inference import Network, Tensor, integer_products_saturate
from media.hearing.quantised import with_integer_products

SAMPLE_RATE = 16_000
START = 1
END = 2
WORD_MARK = "▁".encode()
ENCODER_FRAME_SAMPLES = 384
"""One encoder frame stands for 24 ms."""
SAMPLES_MIN = 9_600
"""Shorter audio is padded with silence: below 0.6 s the encoder has too few frames to tell words."""
TOKENS_PER_S_MAX = 8
TOKENS_SPARE = 4
TOKENS_MAX = 190
"""The decoder was trained on 194 positions."""
AUDIO_SECONDS_MAX = 30.0
"""Longer audio is refused: the encoder's cost grows with the square of the length."""


class RecognitionCancelled(Exception):
    """The caller no longer wants the result."""


class AudioTooLong(Exception):
    """One call took more audio than AUDIO_SECONDS_MAX."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.1f} s of audio in one call; the limit is {AUDIO_SECONDS_MAX:.0f} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What the model reads in a piece of audio."""

    tokens: tuple[int, ...]
    """Without start and end token."""
    probabilities: tuple[float, ...]
    """Of each token, given the audio and the tokens before it."""
    attention: NDArray[np.float32] | None = None
    """(tokens, encoder frames): where in the audio each token was read; rows sum to 1."""


@dataclass(frozen=True, slots=True)
class TokenWord:
    """A word and the tokens that spell it, `tokens[start:end]`."""

    text: str
    start: int
    end: int


class Vocabulary:
    """The token table of `tokenizer.bin`: each entry is its length and its bytes."""

    def __init__(self, path: Path) -> None:
        raw = path.read_bytes()
        self._pieces: list[bytes] = []
        place = 0
        while place < len(raw):
            length = raw[place]
            place += 1
            if length >= 128:
                # Two bytes, the low seven bits first.
                length = raw[place] * 128 + length - 128
                place += 1
            self._pieces.append(raw[place : place + length])
            place += length

    def words(self, tokens: Sequence[int]) -> list[TokenWord]:
        """The words that the tokens spell, each with its place among the tokens."""
        starts = [i for i, token in enumerate(tokens) if i == 0 or self._pieces[token].startswith(WORD_MARK)]
        words: list[TokenWord] = []
        for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
            joined = b"".join(self._pieces[token] for token in tokens[start:end])
            text = joined.replace(WORD_MARK, b" ").decode("utf-8", errors="ignore").strip()
            if text:
                words.append(TokenWord(text, start, end))
        return words


class Moonshine:
    """The loaded model. Shared by all sessions of a process; calls may run in several threads at once."""

    def __init__(self, encoder: Network, first: Network, following: Network, vocabulary: Vocabulary) -> None:
        self._encoder, self._first, self._following = encoder, first, following
        self._past = tuple(name for name in following.inputs if name.startswith("past_key_values"))
        self.vocabulary = vocabulary

    @classmethod
    def load(cls, encoder: Path, decoder: Path, tokens: Path) -> "Moonshine":
        """Reads and rewrites the graphs: about one second, 250 MB kept."""
        precise = integer_products_saturate()

        def network(model: ModelProto) -> Network:
            return Network(with_integer_products(model).SerializeToString(), precise_products=precise)

        following, first = branches_as_models(read_graph(decoder))
        _show_attention(first)
        return cls(
            network(as_model(read_graph(encoder))), network(first), network(following), Vocabulary(tokens)
        )

    def transcribe(
        self,
        samples: NDArray[np.float32],
        *,
        draft: Sequence[int] = (),
        align: bool = False,
        cancelled: threading.Event | None = None,
    ) -> Hypothesis:
        """The most likely token at each step, from mono samples in -1…1 at 16 kHz.

        `draft` is a guess, usually what was read in the audio so far: the part of it that the model would
        choose itself is taken over after one pass, so that the result is the same without a draft and slower.
        `align` fills in the attention. Raises RecognitionCancelled soon after `cancelled` is set.
        """
        seconds = samples.size / SAMPLE_RATE
        if seconds > AUDIO_SECONDS_MAX:
            raise AudioTooLong(seconds)
        _stop_if(cancelled)
        limit = min(TOKENS_MAX, int(seconds * TOKENS_PER_S_MAX) + TOKENS_SPARE)
        padded = np.pad(samples, (0, max(0, SAMPLES_MIN - samples.size)))[None, :]
        (states,) = self._encoder.run({"input_values": padded.astype(np.float32)})
        _stop_if(cancelled)
        tokens, probabilities, past, attention = self._verify(states, list(draft[: limit - 1]), align=align)
        while tokens[-1] != END and len(tokens) < limit:
            _stop_if(cancelled)
            feeds = {"input_ids": np.array([[tokens[-1]]], np.int64), "encoder_hidden_states": states, **past}
            results = self._following.run({name: feeds[name] for name in self._following.inputs})
            named = dict(zip(self._following.outputs, results, strict=True))
            past.update(
                {n.replace("present", "past_key_values"): v for n, v in named.items() if n != "logits"}
            )
            token, probability = _choose(named["logits"][0, -1], may_end=True)
            tokens.append(token)
            probabilities.append(probability)
        if tokens[-1] == END:
            tokens.pop()
            probabilities.pop()
        if align and attention is None:
            feeds = {
                "input_ids": np.array([[START, *tokens[:-1]]], np.int64),
                "encoder_hidden_states": states,
            }
            attention = _where_read(self._first.run(feeds, ATTENTION))
        return Hypothesis(tuple(tokens), tuple(probabilities), attention)

    def _verify(
        self, states: Tensor, draft: list[int], *, align: bool
    ) -> tuple[list[int], list[float], dict[str, Tensor], NDArray[np.float32] | None]:
        """Takes over the draft as far as the model agrees, and one token more.

        Gives tokens, their probabilities, the decoder's cache, and the attention if the draft was right.
        """
        names = [name.replace("past_key_values", "present") for name in self._past]
        feeds = {"input_ids": np.array([[START, *draft]], np.int64), "encoder_hidden_states": states}
        extra = ATTENTION if align and draft else ()
        logits, *rest = self._first.run(feeds, ["logits", *names, *extra])
        tokens: list[int] = []
        probabilities: list[float] = []
        for position, guess in enumerate([*draft, None]):
            # An end at the first step means that the model gave up at a silent lead-in, never that there was
            # nothing to hear: the caller passes only audio in which someone speaks.
            token, probability = _choose(logits[0, position], may_end=position > 0)
            tokens.append(token)
            probabilities.append(probability)
            if token != guess:
                break
        caches, layers = rest[: len(names)], rest[len(names) :]
        past = {
            name: cache[:, :, : len(tokens)] if ".decoder." in name else cache
            for name, cache in zip(self._past, caches, strict=True)
        }
        finished = bool(layers) and tokens == [*draft, END]
        return tokens, probabilities, past, _where_read(layers)[: len(draft)] if finished else None


ALIGNMENT_HEADS: tuple[tuple[int, int], ...] = tuple(
    (layer, head) for layer in (3, 4, 5) for head in range(8)
)
"""(layer, head) pairs whose attention follows the audio most closely."""


ATTENTION: tuple[str, ...] = tuple(
    f"/model/decoder/layers.{layer}/encoder_attn/Softmax_output_0"
    for layer in sorted({layer for layer, _ in ALIGNMENT_HEADS})
)


def _where_read(layers: Sequence[Tensor]) -> NDArray[np.float32]:
    """The mean attention of the alignment heads, from the layers that ATTENTION names."""
    numbers = sorted({layer for layer, _ in ALIGNMENT_HEADS})
    heads = np.stack([layers[numbers.index(layer)][0, head] for layer, head in ALIGNMENT_HEADS])
    mean: NDArray[np.float32] = heads.mean(axis=0).astype(np.float32)
    return mean


def _show_attention(model: ModelProto) -> None:
    """Makes the attention over the audio an output; it costs nothing when it is not asked for."""
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ATTENTION
    )


def _choose(logits: NDArray[np.float32], *, may_end: bool) -> tuple[int, float]:
    if not may_end:
        logits = logits.copy()
        logits[END] = -np.inf
    token = int(logits.argmax())
    return token, float(1.0 / np.exp(logits - logits[token]).sum())


def _stop_if(cancelled: threading.Event | None) -> None:
    if cancelled is not None and cancelled.is_set():
        raise RecognitionCancelled

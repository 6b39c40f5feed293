"""The recogniser's model: what is read, how fast drafts make it, and what it refuses."""

import threading

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from media.hearing import inference
from media.hearing.asr import LOOP_TIMES, without_loop
from media.hearing.inference import Network, integer_products_saturate
from media.hearing.moonshine import END, START, Hypothesis, RecognitionCancelled
from media.hearing.quantised import WeightsNotAffine, with_integer_products
from media.hearing.vad import samples_of
from media.models import ModelName, locate
from tests.media.hearing.speech import (
    JFK_TEXT,
    MODELS_DIR,
    jfk,
    librivox,
    moonshine,
    part,
    recogniser,
    silence,
    word_errors,
)


def test_recorded_speech_is_read_with_few_errors() -> None:
    read = recogniser().transcribe(jfk())

    assert word_errors(JFK_TEXT, read.text) <= 0.10


def test_lines_read_aloud_are_read_with_few_errors() -> None:
    lines = librivox()
    errors = [word_errors(text, recogniser().transcribe(pcm16).text) for text, pcm16 in lines]

    assert np.mean(errors) <= 0.10


@pytest.mark.parametrize("lead_in_s", [0.0, 0.8, 1.2])
def test_silence_before_speech_does_not_hide_it(lead_in_s: float) -> None:
    read = recogniser().transcribe(silence(lead_in_s) + part(jfk(), 0.3, 2.3))

    assert word_errors("and so my fellow americans", read.text) <= 0.4


def test_a_short_word_is_read() -> None:
    assert recogniser().transcribe(part(jfk(), 1.6, 2.3)).text.lower().startswith("american")


@pytest.mark.parametrize("draft", ["right", "half", "wrong", "too long"])
def test_any_draft_gives_the_tokens_that_no_draft_gives(draft: str) -> None:
    samples = samples_of(part(jfk(), 0.0, 4.6))
    plain = moonshine().transcribe(samples).tokens
    drafts = {
        "right": plain,
        "half": plain[: len(plain) // 2],
        "wrong": (*plain[:2], 100, 200, *plain[3:]),
        "too long": plain * 60,
    }

    drafted = moonshine().transcribe(samples, draft=drafts[draft], align=True)

    assert drafted.tokens == plain
    assert drafted.attention is not None
    assert drafted.attention.shape[0] == len(plain)
    assert drafted.attention.sum(axis=1) == pytest.approx(np.ones(len(plain)), abs=1e-3)


def test_a_right_draft_is_checked_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = samples_of(part(jfk(), 0.0, 2.5))
    tokens = moonshine().transcribe(samples).tokens
    passes: list[tuple[str, ...]] = []
    run = Network.run

    def counted(network: Network, feeds: dict[str, inference.Tensor], wanted: list[str] | None = None):  # type: ignore[no-untyped-def]
        passes.append(tuple(feeds))
        return run(network, feeds, wanted)

    monkeypatch.setattr(Network, "run", counted)
    moonshine().transcribe(samples, draft=tokens, align=True)

    assert len(passes) == 2  # The encoder and the check.


def test_the_rewritten_graphs_read_what_the_file_as_it_is_reads() -> None:
    samples = samples_of(part(jfk(), 0.0, 2.5))
    encoder, decoder = (
        onnxruntime.InferenceSession(str(locate(MODELS_DIR, name)), providers=["CPUExecutionProvider"])
        for name in (ModelName.MOONSHINE_ENCODER, ModelName.MOONSHINE_DECODER)
    )
    (states,) = encoder.run(None, {"input_values": samples[None]})
    tokens = [START]
    while tokens[-1] != END and len(tokens) < 30:
        past = {
            value.name: np.zeros((1, 8, 0, 52), np.float32)
            for value in decoder.get_inputs()
            if value.name.startswith("past")
        }
        feeds = {"input_ids": np.array([tokens], np.int64), "encoder_hidden_states": states, **past}
        logits = decoder.run(["logits"], {**feeds, "use_cache_branch": np.array([False])})[0]
        tokens.append(int(logits[0, -1].argmax()))

    assert list(moonshine().transcribe(samples).tokens) == tokens[1:-1]


def test_work_that_nobody_wants_any_more_stops_at_the_next_token(monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = threading.Event()
    model = moonshine()
    run = Network.run

    def then_cancel(network: Network, feeds: dict[str, inference.Tensor], wanted: list[str] | None = None):  # type: ignore[no-untyped-def]
        if "input_ids" in feeds:
            cancelled.set()
        return run(network, feeds, wanted)

    monkeypatch.setattr(Network, "run", then_cancel)

    with pytest.raises(RecognitionCancelled):
        model.transcribe(samples_of(jfk()), cancelled=cancelled)


def test_a_phrase_repeated_to_the_limit_is_kept_once() -> None:
    tokens = (5, 6, *(7, 8) * LOOP_TIMES)
    looped = Hypothesis(tokens, tuple(0.5 for _ in tokens), np.zeros((len(tokens), 9), np.float32))

    kept = without_loop(looped)

    assert kept.tokens == (5, 6, 7, 8)
    assert len(kept.probabilities) == 4
    assert kept.attention is not None
    assert kept.attention.shape == (4, 9)


def test_a_phrase_said_twice_is_kept_twice() -> None:
    said = Hypothesis((5, 6, 7, 8, 7, 8), (0.5,) * 6)

    assert without_loop(said) == said


def test_precise_products_never_saturate(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Network.__init__
    monkeypatch.setattr(Network, "__init__", lambda self, source: make(self, source, precise_products=True))

    assert integer_products_saturate() is False


def affine_model(offset: float) -> bytes:
    rng = np.random.default_rng(1)
    weights = rng.integers(-128, 128, (16, 8)).astype(np.int8)
    constants: dict[str, inference.Tensor] = {
        "w": weights,
        "s": np.array([0.01], np.float32),
        "o": np.array([offset], np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["w"], ["raised"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["raised", "s"], ["scaled"]),
            helper.make_node("Add", ["scaled", "o"], ["weight"]),
            helper.make_node("MatMul", ["x", "weight"], ["y"]),
        ],
        "affine",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 14), helper.make_opsetid("com.microsoft", 1)]
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return made


def test_integer_products_are_the_products_of_the_float_weights() -> None:
    model = onnx.load_model_from_string(affine_model(0.05))
    x = np.random.default_rng(2).normal(0, 1, (1, 16)).astype(np.float32)

    rewritten = with_integer_products(model)
    (exact,) = Network(model.SerializeToString()).run({"x": x})
    (quick,) = Network(rewritten.SerializeToString()).run({"x": x})

    assert [node.op_type for node in rewritten.graph.node] == ["DynamicQuantizeMatMul"]
    assert quick == pytest.approx(exact, abs=0.15)


def test_weights_off_the_grid_are_refused() -> None:
    with pytest.raises(WeightsNotAffine):
        with_integer_products(onnx.load_model_from_string(affine_model(0.055)))

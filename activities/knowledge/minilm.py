"""all-MiniLM-L6-v2, run by onnxruntime on a graph made here of the published weights.

The graph is the model's own: six layers of BERT, mean pooling over the tokens of a text, length 1. On one
core it answers a question three times as fast as the same arithmetic in torch or numpy, and it keeps torch
out of processes that only publish or search.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from activities.knowledge.embedding import DIMENSIONS, Vectors
from domain.errors import InvalidInput

LAYERS, HEADS = 6, 12
HEAD_DIMENSIONS = DIMENSIONS // HEADS
# The model was trained on texts up to this long; what comes after is not read.
TOKENS_MAX = 256
# Vectors of the newest texts are kept (6 MB): a question is embedded once for retrieval and for the answer,
# and a document's sentences once for every call that comes near them.
REMEMBERED_MAX = 4_096
# Texts of one run are padded to the longest of them, so that runs stay small and alike.
BATCH_MAX = 16
_EPSILON = 1e-12
_OPSET = 17
_IR_VERSION = 8


class EmbeddingModelUnusable(InvalidInput):
    """The folder does not hold the embedding model."""

    code = "embedding_model_unusable"


class MiniLm:
    """The embedder that is built in. `model_dir` holds model.safetensors and tokenizer.json."""

    def __init__(self, model_dir: Path, *, remembered_max: int = REMEMBERED_MAX) -> None:
        self._remembered_max = remembered_max
        weights_path, tokenizer_path = model_dir / "model.safetensors", model_dir / "tokenizer.json"
        for path in (weights_path, tokenizer_path):
            if not path.is_file():
                raise EmbeddingModelUnusable(
                    f"{path.name} is not in {model_dir}: run `vivavoce models fetch`."
                )
        self._tokenizer = Tokenizer.from_file(str(tokenizer_path))
        self._tokenizer.enable_truncation(TOKENS_MAX)
        self._tokenizer.no_padding()
        # The tokenizer is one object with settings; onnxruntime's sessions are safe to share.
        self._tokenizing = threading.Lock()
        self._remembered: OrderedDict[str, Vectors] = OrderedDict()
        self._remembering = threading.Lock()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        graph = _Graph(load_file(weights_path)).build()
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    @property
    def remembered(self) -> int:
        """How many texts' vectors are kept."""
        return len(self._remembered)

    def embed(self, texts: Sequence[str]) -> Vectors:
        with self._remembering:
            known = {text: self._remembered[text] for text in texts if text in self._remembered}
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        known |= zip(fresh, self._compute(fresh), strict=True)
        with self._remembering:
            for text in texts:
                self._remembered[text] = known[text]
                self._remembered.move_to_end(text)
            while len(self._remembered) > self._remembered_max:
                self._remembered.popitem(last=False)
        return np.stack([known[text] for text in texts]) if texts else np.zeros((0, DIMENSIONS), np.float32)

    def _compute(self, texts: Sequence[str]) -> Vectors:
        vectors: Vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        if not texts:
            return vectors
        with self._tokenizing:
            tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        for places in _batches([len(ids) for ids in tokens]):
            ids, mask = _padded([tokens[place] for place in places])
            (vectors[places],) = self._session.run(None, {"ids": ids, "mask": mask})
        return vectors


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Places of the texts, texts of like length together, so that little of a run is padding."""
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    for start in range(0, len(order), BATCH_MAX):
        yield order[start : start + BATCH_MAX]


def _padded(tokens: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    length = max(len(ids) for ids in tokens)
    ids = np.zeros((len(tokens), length), dtype=np.int64)
    mask = np.zeros((len(tokens), length), dtype=np.float32)
    for row, text in enumerate(tokens):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return ids, mask


@dataclass(slots=True)
class _Graph:
    """ids (b, n) int64 and mask (b, n) float32 → vectors (b, DIMENSIONS) float32."""

    weights: Mapping[str, NDArray[np.float32]]
    _nodes: list[NodeProto] = field(default_factory=list)
    _constants: list[TensorProto] = field(default_factory=list)

    def build(self) -> bytes:
        x = self._embeddings()
        mask3 = self._op("Unsqueeze", "mask", self._integers([2]))
        # 0 for a token, far below every score for padding.
        hidden = self._op("Mul", self._op("Sub", "mask", self._number(1.0)), self._number(1e9))
        bias = self._op("Unsqueeze", hidden, self._integers([1, 2]))
        for layer in range(LAYERS):
            x = self._layer(x, bias, f"encoder.layer.{layer}.")
        summed = self._op("ReduceSum", self._op("Mul", x, mask3), self._integers([1]), keepdims=0)
        count = self._op("ReduceSum", mask3, self._integers([1]), keepdims=0)
        mean = self._op("Div", summed, count)
        norm = self._op("ReduceL2", mean, axes=[1], keepdims=1)
        self._nodes.append(helper.make_node("Div", [mean, norm], ["vectors"]))
        graph = helper.make_graph(
            self._nodes,
            "minilm",
            [
                helper.make_tensor_value_info("ids", TensorProto.INT64, ["b", "n"]),
                helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["b", "n"]),
            ],
            [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["b", DIMENSIONS])],
            self._constants,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )
        content: bytes = model.SerializeToString()
        return content

    def _embeddings(self) -> str:
        words = self._op("Gather", self._weight("embeddings.word_embeddings.weight"), "ids")
        length = self._op("Gather", self._op("Shape", "ids"), self._integers([1]))
        positions = self._op(
            "Slice", self._weight("embeddings.position_embeddings.weight"), self._integers([0]), length
        )
        kind = self._constant(self.weights["embeddings.token_type_embeddings.weight"][0])
        summed = self._op("Add", self._op("Add", words, positions), kind)
        return self._normed(summed, "embeddings.LayerNorm")

    def _layer(self, x: str, bias: str, name: str) -> str:
        heads = [self._heads(x, f"{name}attention.self.{part}", part) for part in ("query", "key", "value")]
        scores = self._op("MatMul", heads[0], heads[1])
        scaled = self._op("Mul", scores, self._number(HEAD_DIMENSIONS**-0.5))
        shares = self._op("Softmax", self._op("Add", scaled, bias), axis=-1)
        mixed = self._op("Transpose", self._op("MatMul", shares, heads[2]), perm=[0, 2, 1, 3])
        joined = self._op("Reshape", mixed, self._integers([0, 0, DIMENSIONS]))
        attended = self._op("Add", x, self._linear(joined, f"{name}attention.output.dense"))
        x = self._normed(attended, f"{name}attention.output.LayerNorm")
        wide = self._gelu(self._linear(x, f"{name}intermediate.dense"))
        return self._normed(
            self._op("Add", x, self._linear(wide, f"{name}output.dense")), f"{name}output.LayerNorm"
        )

    def _heads(self, x: str, name: str, part: str) -> str:
        split = self._op("Reshape", self._linear(x, name), self._integers([0, 0, HEADS, HEAD_DIMENSIONS]))
        return self._op("Transpose", split, perm=[0, 2, 3, 1] if part == "key" else [0, 2, 1, 3])

    def _gelu(self, x: str) -> str:
        erf = self._op("Erf", self._op("Div", x, self._number(2**0.5)))
        return self._op("Mul", self._op("Mul", x, self._op("Add", erf, self._number(1.0))), self._number(0.5))

    def _linear(self, x: str, name: str) -> str:
        weight = self._constant(np.ascontiguousarray(self.weights[f"{name}.weight"].T))
        return self._op("Add", self._op("MatMul", x, weight), self._weight(f"{name}.bias"))

    def _normed(self, x: str, name: str) -> str:
        scale, bias = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self._op("LayerNormalization", x, scale, bias, axis=-1, epsilon=_EPSILON)

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def _weight(self, name: str) -> str:
        return self._constant(self.weights[name])

    def _number(self, value: float) -> str:
        return self._constant(np.array(value, dtype=np.float32))

    def _integers(self, values: list[int]) -> str:
        return self._constant(np.array(values, dtype=np.int64))

    def _constant(self, value: NDArray[np.float32] | NDArray[np.int64]) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value, name))
        return name

"""ONNX Runtime sessions as this product runs them: one thread each, shared by all sessions of a process."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Tensor = NDArray[Any]
SEVERITY_ERROR = 3
PRECISE_PRODUCTS = "session.x64quantprecision"


class Network:
    """One loaded graph. `run` may be called from several threads at once; each call uses one thread."""

    def __init__(self, source: Path | bytes, *, precise_products: bool = False) -> None:
        options = onnxruntime.SessionOptions()
        # Two threads were measured no faster than one on these graphs, and the cores are shared with faces.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = SEVERITY_ERROR
        if precise_products:
            options.add_session_config_entry(PRECISE_PRODUCTS, "1")
        model = source if isinstance(source, bytes) else str(source)
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.inputs: tuple[str, ...] = tuple(value.name for value in self._session.get_inputs())
        self.outputs: tuple[str, ...] = tuple(value.name for value in self._session.get_outputs())

    def run(self, feeds: Mapping[str, Tensor], wanted: Sequence[str] | None = None) -> list[Tensor]:
        """The outputs named, in order; all of them when none is named."""
        names = list(wanted) if wanted is not None else None
        results: list[Tensor] = self._session.run(names, dict(feeds))
        return results


def integer_products_saturate() -> bool:
    """Whether this processor's fast product of 8-bit numbers clips its 16-bit sums.

    Processors without VNNI add two products in 16 bits. A graph of quantised weights must then be opened with
    `precise_products`, or loud passages are recognised wrongly.
    """
    largest = 255.0
    depth = 64
    weights = np.full((depth, 8), 127, np.int8)
    graph = helper.make_graph(
        [helper.make_node("DynamicQuantizeMatMul", ["x", "w", "s"], ["y"], domain="com.microsoft")],
        "saturation",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, depth])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.ones((), np.float32), "s")],
    )
    opsets = [helper.make_opsetid("", 14), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    network = Network(model.SerializeToString())
    (product,) = network.run({"x": np.full((1, depth), largest, np.float32)})
    return bool(np.abs(product - largest * 127 * depth).max() > 1e-3 * largest * 127 * depth)

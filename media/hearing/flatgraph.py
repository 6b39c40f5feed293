"""Reads ONNX Runtime's own file format (`.ort`) back into ONNX graphs.

ONNX Runtime never optimises a graph that it loads from this format. The recogniser's weights are stored as
8-bit numbers, and without optimisation every call turns all of them into floats again: nine tenths of the
time of a token. As ONNX graphs they can be rewritten first (see `quantised`).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper
from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs.InferenceSession import InferenceSession
from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs.TensorTypeAndShape import TensorTypeAndShape

OPSET = 14
IR_VERSION = 8
DIMENSION_IS_NUMBER = 1

# The classes that flatc generates carry no types: this alias says where they pass.
Flat = Any


class GraphUnreadable(Exception):
    """The file holds something that the recogniser's graphs do not use."""


def read_graph(path: Path) -> Flat:
    """The main graph of an `.ort` file."""
    return InferenceSession.GetRootAsInferenceSession(path.read_bytes(), 0).Model().Graph()


def as_model(graph: Flat) -> ModelProto:
    """A graph without branches as an ONNX model."""
    return _model(_nodes(graph), _initializers(graph), _values(graph), _inputs(graph), _outputs(graph))


def branches_as_models(graph: Flat) -> tuple[ModelProto, ModelProto]:
    """A graph that ends in one `If` as two models: what runs when the condition holds, and when not.

    Both take the inputs that they use and give the outputs that they compute.
    """
    condition = next(node for node in _flat_nodes(graph) if node.OpType() == b"If")
    bodies = {
        _text(attribute.Name()): attribute.G()
        for attribute in (condition.Attributes(i) for i in range(condition.AttributesLength()))
    }
    return _branch(graph, bodies["then_branch"]), _branch(graph, bodies["else_branch"])


def _branch(graph: Flat, body: Flat) -> ModelProto:
    outputs = _outputs(graph)
    shared = [node for node in _nodes(graph) if node.op_type != "If"]
    # A branch names its outputs as it likes; they are the If node's outputs by place.
    renamed = [
        helper.make_node("Identity", [inner], [outer])
        for inner, outer in zip(_outputs(body), outputs, strict=True)
        if inner != outer
    ]
    return _model(
        shared + _nodes(body) + renamed,
        _initializers(body) + _initializers(graph),
        _values(graph),
        _inputs(graph),
        outputs,
    )


def _model(
    nodes: Sequence[NodeProto],
    initializers: Sequence[TensorProto],
    values: dict[str, ValueInfoProto],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> ModelProto:
    constants = {tensor.name for tensor in initializers}
    given = [name for name in inputs if name not in constants]
    ordered = _in_order(nodes, constants | set(given))
    computed = {name for node in ordered for name in node.output}
    # An output that is a constant is a placeholder of the branch that does not compute it.
    wanted = [name for name in outputs if name in computed and not _is_copy_of(ordered, name, constants)]
    needed = set(wanted)
    kept: list[NodeProto] = []
    for node in reversed(ordered):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    body = helper.make_graph(
        kept[::-1],
        "graph",
        [values[name] for name in given if name in needed],
        [values[name] for name in wanted],
        [tensor for tensor in initializers if tensor.name in needed],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION)


def _is_copy_of(nodes: Sequence[NodeProto], name: str, sources: set[str]) -> bool:
    maker = next(node for node in nodes if name in node.output)
    return maker.op_type == "Identity" and maker.input[0] in sources


def _in_order(nodes: Sequence[NodeProto], given: set[str]) -> list[NodeProto]:
    """The format stores nodes in any order; ONNX wants producers first."""
    known = given | {""}
    ordered: list[NodeProto] = []
    waiting = list(nodes)
    while waiting:
        still: list[NodeProto] = []
        for node in waiting:
            if known.issuperset(node.input):
                ordered.append(node)
                known.update(node.output)
            else:
                still.append(node)
        if len(still) == len(waiting):
            raise GraphUnreadable(f"{len(still)} nodes of the graph wait for values that nothing computes")
        waiting = still
    return ordered


def _text(raw: bytes | None) -> str:
    return raw.decode() if raw else ""


def _flat_nodes(graph: Flat) -> Iterable[Flat]:
    return (graph.Nodes(i) for i in range(graph.NodesLength()))


def _nodes(graph: Flat) -> list[NodeProto]:
    made: list[NodeProto] = []
    for flat in _flat_nodes(graph):
        node = helper.make_node(
            _text(flat.OpType()),
            [_text(flat.Inputs(i)) for i in range(flat.InputsLength())],
            [_text(flat.Outputs(i)) for i in range(flat.OutputsLength())],
            name=_text(flat.Name()),
            domain=_text(flat.Domain()),
        )
        attributes = (flat.Attributes(i) for i in range(flat.AttributesLength()))
        node.attribute.extend(_attribute(a) for a in attributes if a.Type() != AttributeProto.GRAPH)
        made.append(node)
    return made


def _attribute(flat: Flat) -> AttributeProto:
    name = _text(flat.Name())
    match flat.Type():
        case AttributeProto.FLOAT:
            return helper.make_attribute(name, float(flat.F()))
        case AttributeProto.INT:
            return helper.make_attribute(name, int(flat.I()))
        case AttributeProto.STRING:
            return helper.make_attribute(name, _text(flat.S()))
        case AttributeProto.TENSOR:
            return helper.make_attribute(name, _tensor(flat.T()))
        case AttributeProto.FLOATS:
            return helper.make_attribute(name, [float(flat.Floats(i)) for i in range(flat.FloatsLength())])
        case AttributeProto.INTS:
            return helper.make_attribute(name, [int(flat.Ints(i)) for i in range(flat.IntsLength())])
        case other:
            raise GraphUnreadable(f"attribute {name} has the unknown type {other}")


def _tensor(flat: Flat) -> TensorProto:
    if flat.StringDataLength():
        raise GraphUnreadable("a tensor of texts")
    tensor = TensorProto()
    tensor.name = _text(flat.Name())
    tensor.data_type = flat.DataType()
    tensor.dims.extend(flat.Dims(i) for i in range(flat.DimsLength()))
    tensor.raw_data = flat.RawDataAsNumpy().tobytes() if flat.RawDataLength() else b""
    return tensor


def _initializers(graph: Flat) -> list[TensorProto]:
    return [_tensor(graph.Initializers(i)) for i in range(graph.InitializersLength())]


def _inputs(graph: Flat) -> list[str]:
    return [_text(graph.Inputs(i)) for i in range(graph.InputsLength())]


def _outputs(graph: Flat) -> list[str]:
    return [_text(graph.Outputs(i)) for i in range(graph.OutputsLength())]


def _values(graph: Flat) -> dict[str, ValueInfoProto]:
    ends = set(_inputs(graph)) | set(_outputs(graph))
    flats = (graph.NodeArgs(i) for i in range(graph.NodeArgsLength()))
    return {_text(flat.Name()): _value(flat) for flat in flats if _text(flat.Name()) in ends}


def _value(flat: Flat) -> ValueInfoProto:
    place = flat.Type().Value()
    tensor = TensorTypeAndShape()
    tensor.Init(place.Bytes, place.Pos)
    shape = tensor.Shape()
    dimensions = None
    if shape is not None:
        dimensions = [_dimension(shape.Dim(i)) for i in range(shape.DimLength())]
    return helper.make_tensor_value_info(_text(flat.Name()), tensor.ElemType(), dimensions)


def _dimension(flat: Flat) -> int | str | None:
    value = flat.Value()
    if value is None:
        return None
    if value.DimType() == DIMENSION_IS_NUMBER:
        return int(value.DimValue())
    return _text(value.DimParam()) or None

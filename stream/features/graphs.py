"""Rewrites of ONNX graphs that leave their function as it is, done in memory when a model is loaded.

From the verified bytes each time: no second file on disk that could go stale or be tampered with, for 30 ms
a start.
"""

from collections.abc import Mapping, Sequence

import numpy as np


def without_prelu(onnx_bytes: bytes) -> bytes:
    """The same function with each PReLU as a·x + relu((1 − a)·x), the same for every slope a ≤ 1.

    ONNX Runtime's PReLU kernel broadcasts the slope element by element and takes half of the embedder's time.
    This form it runs as two passes in its own memory layout: it makes each product a depthwise convolution
    of one pixel, and fuses relu into the first and the sum into the second. A node with a slope over 1
    becomes a·x + (1 − a)·relu(x), one pass more. The vectors differ by at most 4e-7.
    """
    import onnx  # late: takes a quarter of a second
    from onnx import helper, numpy_helper

    model = onnx.load_from_string(onnx_bytes)
    slopes = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    nodes, complements = [], {}
    for node in model.graph.node:
        if node.op_type != "PRelu" or node.input[1] not in slopes:
            nodes.append(node)
            continue
        x, slope, y = node.input[0], node.input[1], node.output[0]
        complement = complements[f"{slope}/complement"] = np.float32(1) - slopes[slope]
        linear, half, positive = f"{y}/linear", f"{y}/half", f"{y}/positive"
        if (complement >= 0).all():
            nodes.append(helper.make_node("Mul", [x, f"{slope}/complement"], [half]))
            nodes.append(helper.make_node("Relu", [half], [positive]))
        else:
            nodes.append(helper.make_node("Relu", [x], [half]))
            nodes.append(helper.make_node("Mul", [half, f"{slope}/complement"], [positive]))
        nodes.append(helper.make_node("Mul", [x, slope], [linear]))
        nodes.append(helper.make_node("Add", [linear, positive], [y]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in complements.items())
    return bytes(model.SerializeToString())


def with_any_input_size(onnx_bytes: bytes) -> bytes:
    """The same graph with height and width of its one input, and what follows from them, left open."""
    import onnx  # late: takes a quarter of a second

    model = onnx.load_from_string(onnx_bytes)
    weights = {i.name for i in model.graph.initializer}
    (image,) = (i for i in model.graph.input if i.name not in weights)
    for axis, name in ((2, "height"), (3, "width")):
        image.type.tensor_type.shape.dim[axis].dim_param = name
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[1].dim_param = f"{value.name}/rows"
    del model.graph.value_info[:]
    return bytes(model.SerializeToString())


def up_to(onnx_bytes: bytes, outputs: Mapping[str, Sequence[int | str]]) -> bytes:
    """The part of a graph that makes these float32 tensors, which become its outputs, of these shapes."""
    import onnx  # late: takes a quarter of a second
    from onnx.utils import Extractor

    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(onnx_bytes))
    part = Extractor(model).extract_model([i.name for i in model.graph.input], list(outputs))
    for made in part.graph.output:
        shape = outputs[made.name]
        made.CopyFrom(onnx.helper.make_tensor_value_info(made.name, onnx.TensorProto.FLOAT, shape))
    return bytes(part.SerializeToString())

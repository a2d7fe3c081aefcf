"""A network that runs leaves nothing behind of ONNX Runtime's reports to its maker."""

import os
import subprocess
import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

RUN = """
import sys
from pathlib import Path
import numpy as np
from stream.features.networks import Backend, load_network
network = load_network(Path(sys.argv[1]).read_bytes(), ("y",), Backend.ONNXRUNTIME)
print(*network(np.ones((1, 2), dtype=np.float32))[0])
"""


def test_a_network_runs_and_keeps_no_device_id(tmp_path: Path) -> None:
    """Without the door the wheel makes a device id and a queue of events under the user's cache folder."""
    shape = [1, 2]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "same",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "same.onnx").write_bytes(model.SerializeToString())
    onnx.checker.check_model(model)
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    ended = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path / "same.onnx")],
        env=environment | {"HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["[1.", "1.]"]
    assert list(home.rglob("*")) == []

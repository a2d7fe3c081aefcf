"""Networks as functions of one blob, run by ONNX Runtime or by OpenCV's DNN with the same answers."""

import threading
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stream.features.cv import cv2
from stream.features.errors import ModelError

FloatArray = npt.NDArray[np.float32]
BgrImage = npt.NDArray[np.uint8]
"""(height, width, 3) uint8 in OpenCV's channel order."""


class Backend(StrEnum):
    """What runs the networks."""

    ONNXRUNTIME = "onnxruntime"
    """Half the CPU time of the other at the same vectors."""
    OPENCV = "opencv"


class Network(Protocol):
    """A loaded network. Safe to call from several threads."""

    def __call__(self, blob: FloatArray) -> tuple[FloatArray, ...]:
        """Its outputs, in the order in which they were asked for at loading."""
        ...


def load_network(onnx_bytes: bytes, outputs: tuple[str, ...], backend: Backend) -> Network:
    """Loads a network of one input.

    Raises:
        ModelError: The bytes are no model that this backend reads, or an output is missing.
    """
    if backend is Backend.ONNXRUNTIME:
        return _OnnxRuntimeNetwork(onnx_bytes, outputs)
    return _OpenCvNetwork(onnx_bytes, outputs)


class _OnnxRuntimeNetwork:
    """One session for all threads: `run` is thread-safe, and with one intra-op thread it starts no pool."""

    def __init__(self, onnx_bytes: bytes, outputs: tuple[str, ...]) -> None:
        # Late, so that commands that embed nothing start fast.
        from stream.features.ort import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        try:
            session = ort.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exception types are built at run time and share no documented root
            raise ModelError(
                f"ONNX Runtime cannot load the model ({len(onnx_bytes)} bytes): {error}"
            ) from error
        lacking = set(outputs) - {o.name for o in session.get_outputs()}
        if lacking:
            raise ModelError(f"the model has no output {sorted(lacking)}; pull the pack again")
        self._run = session.run
        self._input = session.get_inputs()[0].name
        self._outputs = list(outputs)

    def __call__(self, blob: FloatArray) -> tuple[FloatArray, ...]:
        return tuple(self._run(self._outputs, {self._input: blob}))


class _OpenCvNetwork:
    """One net a thread: `cv2.dnn.Net` keeps its blobs between calls and must not be shared."""

    def __init__(self, onnx_bytes: bytes, outputs: tuple[str, ...]) -> None:
        self._bytes = np.frombuffer(onnx_bytes, dtype=np.uint8)
        self._outputs = list(outputs)
        self._of_thread = threading.local()
        lacking = set(outputs) - set(self._net().getUnconnectedOutLayersNames())
        if lacking:
            raise ModelError(f"the model has no output {sorted(lacking)}; pull the pack again")

    def _net(self) -> "cv2.dnn.Net":
        net = getattr(self._of_thread, "net", None)
        if net is None:
            try:
                net = cv2.dnn.readNetFromONNX(self._bytes)
            except cv2.error as error:
                raise ModelError(
                    f"OpenCV cannot load the model ({self._bytes.size} bytes): {error}"
                ) from error
            self._of_thread.net = net
        return net

    def __call__(self, blob: FloatArray) -> tuple[FloatArray, ...]:
        net = self._net()
        net.setInput(blob)
        return tuple(np.asarray(out, dtype=np.float32) for out in net.forward(self._outputs))


def to_blob(image: BgrImage, *, mean: tuple[float, ...], std: tuple[float, ...]) -> FloatArray:
    """(1, 3, height, width) float32 of (RGB - mean) / std, plane by plane: no interleaved copy is made."""
    height, width, _ = image.shape
    blob = np.empty((1, 3, height, width), dtype=np.float32)
    for channel in range(3):
        plane = blob[0, channel]
        np.subtract(image[:, :, 2 - channel], np.float32(mean[channel]), out=plane)
        plane *= np.float32(1.0 / std[channel])
    return blob

"""The one door to ONNX Runtime, which is told before it is loaded to report to nobody.

Its wheels keep a device id and a queue of usage events in the user's cache folder, for upload to their maker,
unless the environment says otherwise before they are loaded. What recognises people reports to its operator
alone.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["onnxruntime"]

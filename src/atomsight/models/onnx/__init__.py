"""Networks in ONNX Runtime: how a session is opened, checked and run."""

"""Fitted estimators in files, and as ONNX graphs."""

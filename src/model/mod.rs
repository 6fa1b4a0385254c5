//! Trunks: cards, assets, ONNX graphs, sessions.

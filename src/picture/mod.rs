//! From a file's bytes to the trunk's input tensor.

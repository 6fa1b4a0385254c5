"""Prints the hash of a trunk's graph as src/model/graph_hash.rs defines it, with the onnx package.

python graph_hash.py FILE.onnx OUTPUT
"""

import hashlib
import struct
import sys

import onnx
from onnx import AttributeProto, TensorProto, numpy_helper


def number(value):
    return struct.pack("<q", value)


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return number(len(data)) + data


def listed(parts):
    parts = list(parts)
    return number(len(parts)) + b"".join(parts)


def digest(what, *parts):
    return hashlib.sha256(text(what) + b"".join(parts)).digest()


def plain(domain):
    return "" if domain == "ai.onnx" else domain


def tensor(proto):
    if proto.data_type == TensorProto.STRING:
        values = b"".join(map(text, proto.string_data))
    else:
        array = numpy_helper.to_array(proto)
        values = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return digest("tensor", number(proto.data_type), listed(map(number, proto.dims)), values)


def sparse(proto):
    return digest("sparse", tensor(proto.values), tensor(proto.indices), listed(map(number, proto.dims)))


class Graph:
    """The hashes of the tensors of a graph, and of the graphs around it."""

    def __init__(self, imports, level=0, outer=None):
        self.versions, self.level, self.hashes = imports, level, dict(outer or {})

    def begin(self, graph):
        given = {tensor.name for tensor in graph.initializer}
        inputs = [info for info in graph.input if info.name not in given]
        for index, info in enumerate(inputs):
            self.hashes[info.name] = self.input(index, info.type.tensor_type.elem_type)
        self.hashes |= {proto.name: tensor(proto) for proto in graph.initializer}
        self.hashes |= {proto.values.name: sparse(proto) for proto in graph.sparse_initializer}
        self.nodes(graph.node)
        return len(inputs)

    def input(self, index, element):
        return digest("input", number(self.level), number(index), number(element))

    def nodes(self, nodes):
        for node in nodes:
            for name, value in self.outputs(node).items():
                if name:
                    self.hashes[name] = value

    def outputs(self, node):
        domain = plain(node.domain)
        attributes = list(node.attribute)
        if (domain, node.op_type) == ("", "Constant") and [a.name for a in attributes] == ["value"]:
            return {node.output[0]: tensor(attributes[0].t)}
        hashed = digest(
            "node",
            text(domain),
            text(node.op_type),
            text(node.overload),
            number(self.versions.get(domain, 0)),
            listed(sorted(map(self.attribute, attributes))),
            listed(self.hashes[name] if name else bytes(32) for name in node.input),
            listed(number(bool(name)) for name in node.output),
        )
        return {name: digest("output", hashed, number(index)) for index, name in enumerate(node.output)}

    def attribute(self, attribute):
        parts = [text(attribute.name), text(attribute.ref_attr_name), number(attribute.type)]
        if not attribute.ref_attr_name:
            value = onnx.helper.get_attribute_value(attribute)
            parts.append(self.value(AttributeProto.AttributeType.Name(attribute.type), value))
        return digest("attribute", *parts)

    def value(self, kind, value):
        one = {
            "FLOAT": lambda value: struct.pack("<f", value),
            "INT": number,
            "STRING": text,
            "TENSOR": tensor,
            "GRAPH": self.body,
            "SPARSE_TENSOR": sparse,
            "TYPE_PROTO": lambda value: text(value.SerializeToString(deterministic=True)),
        }
        return one[kind](value) if kind in one else listed(map(one[kind.removesuffix("S")], value))

    def body(self, graph):
        inner = Graph(self.versions, self.level + 1, self.hashes)
        n_inputs = inner.begin(graph)
        return digest("graph", number(n_inputs), listed(inner.hashes[info.name] for info in graph.output))


def versions(imports):
    return {plain(entry.domain): entry.version for entry in imports}


def function(proto):
    graph = Graph(versions(proto.opset_import))
    for index, name in enumerate(proto.input):
        graph.hashes[name] = graph.input(index, 0)
    defaults = sorted(map(graph.attribute, proto.attribute_proto))
    graph.nodes(proto.node)
    return digest(
        "function",
        text(plain(proto.domain)),
        text(proto.name),
        text(proto.overload),
        number(len(proto.input)),
        listed(map(text, proto.attribute)),
        listed(defaults),
        listed(graph.hashes[name] for name in proto.output),
    )


def trunk(model, output):
    graph = Graph(versions(model.opset_import))
    graph.begin(model.graph)
    return digest("trunk", listed(sorted(map(function, model.functions))), graph.hashes[output])


if __name__ == "__main__":
    print(trunk(onnx.load(sys.argv[1]), sys.argv[2]).hex())

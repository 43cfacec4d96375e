# SPDX-License-Identifier: Apache-2.0
"""Removes what a conversion operator by operator left superfluous. Each pass keeps what the graph computes."""

from onnx import NodeProto

TO_CHANNELS_FIRST, TO_CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def order_of(node: NodeProto) -> list[int] | None:
    return list(node.attribute[0].ints) if node.op_type == "Transpose" else None


def without(nodes: list[NodeProto], replacement: dict[str, str]) -> list[NodeProto]:
    """The nodes without those whose output has a replacement; who read that output reads the replacement."""
    kept = [node for node in nodes if node.output[0] not in replacement]
    for node in kept:
        for index, name in enumerate(node.input):
            while name in replacement:
                name = replacement[name]
            node.input[index] = name
    return kept


def bypass_identities(nodes: list[NodeProto], outputs: set[str]) -> list[NodeProto]:
    return without(nodes, {node.output[0]: node.input[0] for node in nodes
                           if node.op_type == "Identity" and node.output[0] not in outputs})


def cancel_transposes(nodes: list[NodeProto], outputs: set[str]) -> list[NodeProto]:
    """Channels last and at once first again is nothing at all."""
    producer = {node.output[0]: node for node in nodes}
    replacement = {}
    for node in nodes:
        before = producer.get(node.input[0])
        if (order_of(node) == TO_CHANNELS_FIRST and node.output[0] not in outputs
                and before is not None and order_of(before) == TO_CHANNELS_LAST):
            replacement[node.output[0]] = before.input[0]
    return without(nodes, replacement)


def take_channels_first(nodes: list[NodeProto], graph_input: str) -> list[NodeProto]:
    """Makes the graph take `graph_input` with the channels first: its readers must all transpose it so."""
    readers = [node for node in nodes if graph_input in node.input]
    if not all(order_of(node) == TO_CHANNELS_FIRST for node in readers):
        raise ValueError(f"{graph_input} is also read with the channels last")
    return without(nodes, {node.output[0]: graph_input for node in readers})


def drop_unused(nodes: list[NodeProto], outputs: set[str]) -> list[NodeProto]:
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if any(name in needed for name in node.output):
            kept.append(node)
            needed.update(node.input)
    return kept[::-1]

"""The devices of one accelerator type: a quota of them, on nodes that remember their images. It starts nothing.

The quota counts devices in use; nodes only tell whether an image has to be pulled.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from optimizer.simulation.cluster.options import StartOptions
from optimizer.simulation.ticks import to_ns


@dataclass(slots=True, eq=False)
class _Node:
    free: int
    there_ns: int
    images_ns: dict[str, int] = field(default_factory=dict)  # when each is there
    empty_since_ns: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Devices that a replica has.

    Attributes
    ----------
    begin_ns
        When its nodes and its image on them are there, so that it can begin to start [ns].
    """

    nodes: tuple[_Node, ...]
    devices: int
    begin_ns: int


class DevicePool:
    """All devices of one accelerator type.

    Parameters
    ----------
    quota
        How many there are, None for as many as asked for.
    options
        Size and memory of nodes.

    Attributes
    ----------
    used
        Devices in use.
    """

    def __init__(self, quota: int | None, options: StartOptions) -> None:
        self.quota = quota
        self.used = 0
        self._node_devices = options.devices_per_node
        self._idle_ns = to_ns(options.node_idle_s)
        self._provision_ns, self._pull_ns = to_ns(options.node_provision_s), to_ns(options.image_pull_s)
        self._nodes: list[_Node] = []

    def place(self, image: str, devices: int, now_ns: int, *, is_there: bool = False) -> Placement | None:
        """Return `devices` for a replica of `image`, None while the quota has no room.

        Nodes are filled in the order in which they were made; what needs more than one node gets empty ones. Where all
        `is_there` already, neither nodes nor images are waited for.
        """
        if self.quota is not None and self.used + devices > self.quota:
            return None
        self._drop_idle_nodes(now_ns)
        whole, rest = divmod(devices, self._node_devices)
        parts = [self._node_devices] * whole + ([rest] if rest else [])
        nodes = tuple([self._take(part, image, now_ns) for part in parts])
        if is_there:
            for node in nodes:
                node.there_ns = node.images_ns[image] = now_ns
        begin_ns = max(self._find_image_ns(node, image, now_ns) for node in nodes)
        self.used += devices
        return Placement(nodes, devices, max(begin_ns, now_ns))

    def give_back(self, placement: Placement, now_ns: int) -> None:
        """Take the devices of `placement` back."""
        left = placement.devices
        for node in placement.nodes:
            part = min(left, self._node_devices)
            node.free += part
            left -= part
            if node.free == self._node_devices:
                node.empty_since_ns = now_ns
        self.used -= placement.devices

    def _find_image_ns(self, node: _Node, image: str, now_ns: int) -> int:
        """Return when `image` is on `node` [ns]; who needs it first has it pulled."""
        return node.images_ns.setdefault(image, max(now_ns, node.there_ns) + self._pull_ns)

    def _take(self, devices: int, image: str, now_ns: int) -> _Node:
        """Return a node with room, one that has the image if there is one, and take the devices."""
        fitting = [node for node in self._nodes if node.free >= devices]
        node = next((node for node in fitting if image in node.images_ns), None) or next(iter(fitting), None)
        if node is None:
            node = _Node(self._node_devices, now_ns + self._provision_ns)
            self._nodes.append(node)
        node.free -= devices
        node.empty_since_ns = None
        return node

    def _drop_idle_nodes(self, now_ns: int) -> None:
        oldest_ns = now_ns - self._idle_ns
        self._nodes = [node for node in self._nodes if node.empty_since_ns is None or node.empty_since_ns >= oldest_ns]

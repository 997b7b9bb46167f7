"""Floor 2. Which congestion control the connections of one lab line use, at both of its ends.

By a route's `congctl`: a namespace may not take any that the host does not allow as a default, and
a host's default may be anything. It must not know what is measured.
"""

from tests.lab.network import OfficeNetwork


def use_congestion_control(network: OfficeNetwork, line_name: str, algorithm: str) -> None:
    """Make connections over that line begin with "cubic", "bbr", … from now on."""
    line = network.line(line_name)
    number = [one.interface for one in network.lines].index(line.interface) + 1
    gateway, wan = line.isp.addresses
    network.centre.ip(f"route replace 192.168.{number}.0/24 via {wan} congctl {algorithm}")
    network.office.ip(
        f"route replace default via {gateway} dev {line.interface} metric {number} "
        f"congctl {algorithm}",
        f"route replace default via {gateway} dev {line.interface} table {number} "
        f"congctl {algorithm}",
    )

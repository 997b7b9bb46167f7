#!/usr/bin/env bash
# One would guess: scapy's STAMP layer (`scapy.contrib.stamp`) writes and reads the flags of a TLV as RFC 8972 draws
# them: U (unrecognized) is the first bit of the octet on the wire, M (malformed) the second, I (integrity) the third.
# So a TLV with U alone begins with 0x80.
# What happens: the bits are in the reverse order. A TLV made with flags="U" begins with 0x01, and an octet of 0x80
# from a real implementation is read as a flag that the RFC reserves. U, M and I of other people's packets are
# neither seen nor set.
# Seen with scapy 2.8.0 (PyPI), Python 3.11; source: RFC 8972, section 4, figure 3.
# For a builder: hold STAMP TLVs against the RFC's figures byte by byte; a test whose both ends are scapy agrees
# with itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install scapy==2.8.0 2>/dev/null
cat > "$folder/flags.py" <<'PYTHON'
import logging
from importlib.metadata import version

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.contrib.stamp import STAMPTestTLV  # noqa: E402

print(f"scapy {version('scapy')}")
seen = {}
for name, rfc in (("U", 0x80), ("M", 0x40), ("I", 0x20)):
    written = bytes(STAMPTestTLV(flags=name, type=1, len=4, value=b"abcd"))
    seen[name] = written[0]
    print(f"flags={name!r}: first octet 0x{written[0]:02x}, RFC 8972 has 0x{rfc:02x}; {written.hex(' ')}")
read = STAMPTestTLV(bytes.fromhex("8001000461626364"))
print(f"0x80 on the wire (U) is read as flags {str(read.flags)!r}")
assert seen == {"U": 0x01, "M": 0x02, "I": 0x04}, seen
assert "U" not in str(read.flags)
PYTHON
"$folder/venv/bin/python" "$folder/flags.py"

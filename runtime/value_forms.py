"""Floor 1. What a text of the settings has to look like, in words: by the pattern of its type.

A message for a person who edits a file quotes no regular expression. A test compares these with
the types of every program's settings.
"""

from __future__ import annotations

from runtime.language import Phrase

_LETTERS = "a-z, 0-9"
UNKNOWN = Phrase(
    "có dạng hoặc ký tự không được phép", "has a form or characters that are not allowed"
)
_NAME = Phrase(
    f"cần tên gồm {_LETTERS} và -, tối đa 40 ký tự",
    f"expected a name of {_LETTERS} and -, up to 40",
)
_WEB_ADDRESS = Phrase(
    "cần địa chỉ bắt đầu bằng http:// hoặc https://",
    "expected an address that begins with http:// or https://",
)
_INTERFACE = Phrase(
    "cần tên cổng mạng như `ip link` hiển thị, ví dụ eth0",
    "expected an interface as `ip link` shows it, for example eth0",
)
FORMS = {
    r"^[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}\Z": Phrase(
        "cần dải địa chỉ IP, ví dụ 203.0.113.0/24 hoặc 2001:db8::/32",
        "expected a range of IP addresses, for example 203.0.113.0/24 or 2001:db8::/32",
    ),
    r"^[a-z0-9-]{1,40}\Z": _NAME,
    r"^[a-z][a-z0-9_]{0,59}\Z": Phrase(
        f"cần tên cơ sở dữ liệu gồm {_LETTERS} và _, bắt đầu bằng chữ cái, tối đa 60 ký tự",
        f"expected a database's name of {_LETTERS} and _, up to 60, that begins with a letter",
    ),
    r"^https?://[^\s/?#@]+/?\Z": Phrase(
        "cần địa chỉ máy chủ bắt đầu bằng http:// hoặc https://, không kèm đường dẫn hay tên đăng "
        "nhập",
        "expected a server's address that begins with http:// or https://, without path and login",
    ),
    r"^[a-z0-9-]{1,40}\.[a-z0-9-]{1,40}\Z": Phrase(
        f"cần hai tên nối bằng dấu chấm, gồm {_LETTERS} và -, ví dụ reader.vnpt",
        f"expected two names of {_LETTERS} and -, joined by a dot, for example reader.vnpt",
    ),
    r"^[a-zA-Z0-9_-]{1,64}$": Phrase(
        "cần chữ cái không dấu, chữ số, - và _, tối đa 64 ký tự",
        "expected letters of ASCII, digits, - and _, up to 64",
    ),
    r"^([01][0-9]|2[0-3]):[0-5][0-9]$": Phrase(
        "cần giờ và phút, mỗi phần hai chữ số, ví dụ 07:30",
        "expected hours and minutes, two digits each, for example 07:30",
    ),
    r"^[0-9]{5}\Z": Phrase(
        'cần mã chính thức của xã: năm chữ số trong dấu ngoặc kép, ví dụ "01969"',
        'expected the official code of a commune: five digits in quotes, for example "01969"',
    ),
    r"^[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$": Phrase(
        "cần tên miền, ví dụ chinhphu.vn", "expected a domain name, for example chinhphu.vn"
    ),
    r"^[^\s/]{1,15}$": _INTERFACE,
    r"^[a-z0-9_-]{1,15}$": Phrase(
        "cần tên thuật toán như nhân hệ điều hành gọi, ví dụ cubic hoặc bbr",
        "expected an algorithm's name as the kernel has it, for example cubic or bbr",
    ),
    r"^[a-z0-9@._-]{1,15}\Z": _INTERFACE,
    r"^[a-z][a-z0-9-]{0,30}\Z": Phrase(
        f"cần tên đăng nhập gồm {_LETTERS} và -, bắt đầu bằng chữ cái, tối đa 31 ký tự",
        f"expected a login of {_LETTERS} and -, up to 31, that begins with a letter",
    ),
    r"^\S{1,200}\Z": Phrase(
        "cần từ không có dấu cách, tối đa 200 ký tự",
        "expected a word without blanks, up to 200",
    ),
    r"^https?://": _WEB_ADDRESS,
    r"^https?://\S+\Z": _WEB_ADDRESS,
    r"^https?://[^\s/?#@]+([/?]\S*)?$": _WEB_ADDRESS,
    r"^https://[^\s/]+$": Phrase(
        "cần https:// và tên máy, không có đường dẫn, ví dụ https://speed.example.vn",
        "expected https:// and a host, without a path, for example https://speed.example.vn",
    ),
    r"^/\S*\Z": Phrase(
        "cần đường dẫn bắt đầu bằng / và không có dấu cách",
        "expected a path that begins with / and has no blanks",
    ),
    r"^/\S{1,1000}\Z": Phrase(
        "cần đường dẫn đầy đủ, bắt đầu bằng / và không có dấu cách",
        "expected a full path: it begins with / and has no blanks",
    ),
    r"^[0-9A-Za-z._-]{1,253}:[0-9]{1,5}\Z": Phrase(
        "cần tên máy và cổng, ví dụ mqtt.example.vn:8883",
        "expected host and port, for example mqtt.example.vn:8883",
    ),
    r"^(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z._-]{1,253})(:[0-9]{1,5})?\Z": Phrase(
        "cần tên máy hoặc địa chỉ IP, kèm cổng nếu khác `port`, ví dụ mqtt.example.vn:8883 hoặc "
        "[2001:db8::1]:8883",
        "expected a host, with its port where it is not `port`, such as mqtt.example.vn:8883 or "
        "[2001:db8::1]:8883",
    ),
    r"^[^@\s<>,;]+@[^@\s<>,;]+\Z": Phrase(
        "cần một địa chỉ thư điện tử, ví dụ can-bo@example.vn",
        "expected one mail address, for example staff@example.vn",
    ),
    r"^\d{4}-\d{2}-\d{2}$": Phrase(
        "cần ngày theo năm-tháng-ngày, ví dụ 2026-11-25",
        "expected a date as year-month-day, for example 2026-11-25",
    ),
}

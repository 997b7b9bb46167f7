"""Floor 1. What a check finds, in Vietnamese. Fields of report.json keep their names."""

from __future__ import annotations

import re

from verify.findings import Kind

KINDS = {Kind.AGREES: "khớp", Kind.DIFFERS: "KHÁC", Kind.UNKNOWN: "không thể biết"}
_BLOCK = r"block (\d+) to (\d+)"
# English sentence, Vietnamese sentence.
_SENTENCES = [
    (re.compile(english), vietnamese)
    for english, vietnamese in (
        # The files
        (
            r"the manifest names it, and it is not there",
            "manifest có nêu tệp này nhưng không thấy tệp",
        ),
        (
            r"it is there, and the manifest does not name it",
            "có tệp này nhưng manifest không nêu",
        ),
        (
            r"it is not the file of the manifest's SHA-256",
            "mã SHA-256 của tệp không phải mã ghi trong manifest",
        ),
        (
            r"each file has the SHA-256 that it states",
            "mọi tệp đều đúng mã SHA-256 ghi trong manifest",
        ),
        (
            r"whether it is the one that was handed over: .*",
            "có phải bản đã giao hay không: hãy so mã SHA-256 với công văn, hoặc dùng --digest",
        ),
        (
            r"its SHA-256 is not the one of --digest",
            "mã SHA-256 của manifest khác mã cho ở --digest",
        ),
        (
            r"whether it is the authority that the probes' owner has: .*",
            "có phải cơ quan cấp của chủ trạm hay không: hãy so mã SHA-256, hoặc dùng --authority",
        ),
        (
            r"the certificate (\S+) of (\S+) is not of the authority",
            r"chứng thư \1 của trạm \2 không do cơ quan này cấp",
        ),
        (
            r"the certificate (\S+) of (\S+) is of (.*)",
            r"chứng thư \1 ghi cho trạm \2 lại là của \3",
        ),
        # The chain
        (
            r"a line is neither a result nor a block",
            "có một dòng không phải kết quả cũng không phải khối chữ ký",
        ),
        (
            r"(\d+) results are not signed: numbers (.*)",
            r"\1 kết quả không có chữ ký: số thứ tự \2",
        ),
        (r"a result cannot be read", "có một kết quả không đọc được"),
        (r"result (\d+) is there twice or out of order", r"kết quả \1 bị lặp hoặc sai thứ tự"),
        (
            r"the centre has changed more of result (\d+) than a time or a flag",
            r"trung tâm đã sửa kết quả \1 nhiều hơn mức thời gian hoặc cờ",
        ),
        (r"a signature block cannot be read", "có một khối chữ ký không đọc được"),
        (
            rf"{_BLOCK} is there twice or out of order",
            r"khối chữ ký từ \1 đến \2 bị lặp hoặc sai thứ tự",
        ),
        (
            rf"{_BLOCK}: result (\d+) was signed and is left out",
            r"khối chữ ký từ \1 đến \2: kết quả \3 đã được ký nhưng bị bỏ ra",
        ),
        (
            rf"what the probe signed before {_BLOCK} is not in the bundle",
            r"những gì trạm ký trước khối từ \1 đến \2 không có trong bộ chứng cứ",
        ),
        (
            r"results (\d+) to (\d+) are missing: the probe has given them up, .*",
            r"thiếu các kết quả từ \1 đến \2: theo trung tâm, trạm đã bỏ chúng",
        ),
        (
            rf"a signed block between (\d+) and (\d+) is missing, .* before {_BLOCK} was changed",
            r"thiếu một khối đã ký từ \1 đến \2, hoặc nội dung trước khối từ \3 đến \4 đã bị sửa",
        ),
        (
            r"results (.*) are signed by a key of which there is no certificate",
            r"các kết quả \1 được ký bằng khóa không có chứng thư",
        ),
        (
            r"results (.*) are signed by a certificate that was not in force",
            r"các kết quả \1 được ký bằng chứng thư không còn hoặc chưa có hiệu lực",
        ),
        (
            rf"{_BLOCK} is not what the probe signed; the centre says so too, .*",
            r"khối từ \1 đến \2 không phải nội dung trạm đã ký; trung tâm cũng nêu vậy, không tính",
        ),
        (
            rf"{_BLOCK} is not what the probe signed",
            r"khối từ \1 đến \2 không phải nội dung trạm đã ký",
        ),
        (
            r"(\d+) signed results are there by their digest alone: .*",
            r"\1 kết quả đã ký chỉ có mã băm, không biết được là của đường truyền và ngày nào",
        ),
        (
            r"(\d+) results are in the chain, and what is shown of them cannot be proven: .*",
            r"\1 kết quả nằm trong chuỗi, nội dung chưa chứng minh được vì địa chỉ đã che bớt",
        ),
        # The statements of the centre
        (
            r"(\S+) with (\S+) of (\S+): (\d+) stated, (\d+) counted",
            r"phép đo \1 có cờ \2 của \3: trung tâm ghi \4, đếm được \5",
        ),
        (r"(\d+) results are not of the period", r"\1 kết quả nằm ngoài khoảng thời gian"),
        (
            r"(\d+) results arrived after the report was issued, .*",
            r"theo trung tâm, \1 kết quả đến sau khi phát hành báo cáo: không tính vào báo cáo",
        ),
        (r"the report has other thresholds", "báo cáo dùng ngưỡng khác"),
        (r"its (\S+) is not the question's", r"\1 của báo cáo khác với câu hỏi"),
        (
            r"it states that (\d+) results, of any day, were not in its figures yet .*",
            r"báo cáo ghi rằng lúc lập còn \1 kết quả (của bất kỳ ngày nào) chưa được tính",
        ),
        (
            r"since when (\S+) (\S+) is as it is",
            r"mục \1 \2 có nội dung này từ bao giờ",
        ),
        (
            r"(\S+) of (\S+) (\S+) is (.*), by its recorded changes (.*)",
            r"\1 của \2 \3 là \4, theo các lần thay đổi đã ghi là \5",
        ),
        (
            r"(\d+) entries are as their recorded changes have them",
            r"\1 mục khớp với các lần thay đổi đã ghi",
        ),
        # The report
        (
            r"(\S+) is (.*) in the report, (.*) by the results",
            r"\1 trong báo cáo là \2, tính từ kết quả là \3",
        ),
        (r"(\d+) of (\d+) figures of the report", r"\1 trên \2 số liệu của báo cáo"),
        (r"the report has this row twice", "báo cáo có dòng này hai lần"),
        (
            r"the report has a row that no result is of",
            "báo cáo có dòng mà không kết quả nào thuộc về",
        ),
        (
            r"the report has a row that no entry is of",
            "báo cáo có thông báo bảo trì mà không mục ghi nhận nào nêu",
        ),
        (
            r"it states nothing of planned maintenance",
            "báo cáo không nêu gì về bảo trì có kế hoạch",
        ),
        (r"it has no row of (.*)", r"báo cáo thiếu dòng của \1"),
        (r"its results are not in the bundle", "kết quả của tuần này không có trong bộ chứng cứ"),
        (
            r"none of its results is in the bundle any more",
            "kết quả của tuần này không còn trong bộ chứng cứ",
        ),
        (
            r"not all of its results are in the bundle",
            "bộ chứng cứ không có đủ kết quả của tháng này",
        ),
    )
]


_SUBJECTS = [
    (re.compile(english), vietnamese)
    for english, vietnamese in (
        (r"area", "toàn vùng"),
        (r"commune (\d+)", r"xã \1"),
        (r"commune (\d+) in the month", r"xã \1 trong tháng"),
        (r"commune_month", "số phép đo trong tháng của các xã"),
        (r"isp_plan (.*)", r"gói cước \1"),
        (r"family unstated", "không nêu họ địa chỉ"),
        (r"family (\S+)", r"họ địa chỉ \1"),
        (r"maintenance (\d+)", r"thông báo bảo trì số \1"),
        (r"the week from (\S+)", r"tuần từ \1"),
    )
]


def subject(english: str) -> str:
    """What a finding is of, in Vietnamese; names of files, epochs and lines stay."""
    return _translated(_SUBJECTS, english) or english


def sentence(english: str) -> str | None:
    """A finding's sentence in Vietnamese; None where there is none."""
    found = _translated(_SENTENCES, english)
    return found.replace("None", "không có") if found is not None else None


def _translated(table: list[tuple[re.Pattern[str], str]], english: str) -> str | None:
    for pattern, vietnamese in table:
        match = pattern.fullmatch(english)
        if match is not None:
            return match.expand(vietnamese)
    return None

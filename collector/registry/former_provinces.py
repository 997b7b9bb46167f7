"""Floor 1. The provinces of before 1 July 2025 (Nghị quyết 202/2025/QH15), still in use."""

from __future__ import annotations

from types import MappingProxyType

# The province of today, by code, that a former one is a part of.
FORMER_PROVINCES = MappingProxyType(
    {
        "Hà Giang": "08",
        "Yên Bái": "15",
        "Bắc Kạn": "19",
        "Bắc Giang": "24",
        "Vĩnh Phúc": "25",
        "Hòa Bình": "25",
        "Hải Dương": "31",
        "Thái Bình": "33",
        "Hà Nam": "37",
        "Nam Định": "37",
        "Quảng Bình": "44",
        # Renamed on 1 January 2025.
        "Thừa Thiên Huế": "46",
        "Quảng Nam": "48",
        "Kon Tum": "51",
        "Bình Định": "52",
        "Ninh Thuận": "56",
        "Phú Yên": "66",
        "Bình Thuận": "68",
        "Đắk Nông": "68",
        "Bình Phước": "75",
        "Bà Rịa – Vũng Tàu": "79",
        "Bình Dương": "79",
        "Long An": "80",
        "Tiền Giang": "82",
        "Bến Tre": "86",
        "Trà Vinh": "86",
        "Kiên Giang": "91",
        "Hậu Giang": "92",
        "Sóc Trăng": "92",
        "Bạc Liêu": "96",
    }
)

"""Floor 1. Labels of the maps."""

from __future__ import annotations

from runtime.language import Phrase

LABELS = {
    "map_title": Phrase(
        "Bản đồ các xã, phường; bảng có cùng nội dung",
        "Map of the communes; the table has the same content",
    ),
    "map_title_nation": Phrase(
        "Bản đồ các tỉnh, thành phố; bảng có cùng nội dung",
        "Map of the provinces; the table has the same content",
    ),
    "map_path": Phrase("Đang xem trên bản đồ", "Shown on the map"),
    "map_around": Phrase("quanh các trạm đo", "around the probes"),
    "map_skip": Phrase("Bỏ qua bản đồ", "Skip the map"),
    "map_colour": Phrase("Màu theo", "Colour by"),
    "colour_state": Phrase("tình trạng", "state"),
    "colour_plan": Phrase("tốc độ so với gói cước", "speed against plan"),
    "colour_loaded": Phrase("độ trễ khi tải", "latency under load"),
    "map_hoang_sa": Phrase("Quần đảo Hoàng Sa", "Hoàng Sa Islands"),
    "map_truong_sa": Phrase("Quần đảo Trường Sa", "Trường Sa Islands"),
    "map_no_lines": Phrase("chưa có đường truyền được đo", "no line is measured"),
    "map_no_figure": Phrase("chưa có số liệu", "no figure yet"),
    "map_lines": Phrase("đường truyền", "lines"),
    "map_unit_state": Phrase("đang tốt", "are well"),
    "map_unit_plan": Phrase("gói cước", "of the plan"),
    "map_unit_loaded": Phrase("khi tải", "under load"),
    "map_from": Phrase("từ", "from"),
    "map_below": Phrase("dưới", "below"),
    "map_count": Phrase("Số tỉnh hoặc xã", "How many provinces or communes"),
    "map_nation_state": Phrase(
        "Số trên mỗi tỉnh: tỷ lệ đường truyền đang tốt ngay lúc này. Bấm vào một tỉnh để xem từng "
        "xã.",
        "The number on a province: the share of its lines that are well now. Select a province for "
        "its communes.",
    ),
    "map_nation_plan": Phrase(
        "Số trên mỗi tỉnh: trung vị của các đường truyền, tốc độ tải xuống trung bình so với gói "
        "cước, trong khoảng thời gian đã chọn. Bấm vào một tỉnh để xem từng xã.",
        "The number on a province: the median of its lines, mean download against plan, over the "
        "chosen time. Select a province for its communes.",
    ),
    "map_communes_state": Phrase(
        "Mỗi ký hiệu là một xã, lấy theo đường truyền có tình trạng xấu nhất. Chấm nhỏ: xã chưa có "
        "trạm đo.",
        "Each symbol is a commune, by the worst state of its lines. Small dots: no probe yet.",
    ),
    "map_communes_plan": Phrase(
        "Mỗi ký hiệu là một xã, lấy theo đường truyền có tốc độ tải xuống trung bình thấp nhất so "
        "với gói cước, trong khoảng thời gian đã chọn. Chấm nhỏ: xã chưa có trạm đo.",
        "Each symbol is a commune, by its line with the lowest mean download against plan, over "
        "the chosen time. Small dots: no probe yet.",
    ),
    "map_nation_loaded": Phrase(
        "Số trên mỗi tỉnh: trung vị của các đường truyền, độ trễ trung bình lúc đang tải đầy "
        "đường truyền (chiều cao hơn), trong khoảng thời gian đã chọn. Bấm vào một tỉnh để xem "
        "từng xã.",
        "The number on a province: the median of its lines, mean latency while a transfer fills "
        "the line (the worse direction), over the chosen time. Select a province for its communes.",
    ),
    "map_communes_loaded": Phrase(
        "Mỗi ký hiệu là một xã, lấy theo đường truyền có độ trễ cao nhất lúc đang tải, trong "
        "khoảng thời gian đã chọn. Chấm nhỏ: xã chưa có trạm đo.",
        "Each symbol is a commune, by its line with the highest latency under load, over the "
        "chosen time. Small dots: no probe yet.",
    ),
    "map_source": Phrase(
        "Đường ranh giới tỉnh chỉ là gần đúng, để dễ nhìn: theo Natural Earth (tài sản công), ghép "
        "theo 34 tỉnh, thành phố và chỉnh theo tâm điểm các xã; không có giá trị pháp lý về địa "
        "giới.",
        "The provinces' outlines are approximate and for orientation alone: after Natural Earth "
        "(public domain), merged into the 34 provinces and corrected by the communes' centre "
        "points; they say nothing about legal boundaries.",
    ),
}

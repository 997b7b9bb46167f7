"""Floor 1. Labels of the pages about communes, probes and lines, of the campaign, and of open data.

`measurement` has those of results and of the live page, `staff` those of the pages for staff.
"""

from __future__ import annotations

from runtime.language import Phrase

LABELS = {
    # Navigation
    "menu": Phrase("Các trang", "Menu"),
    "nav": Phrase("Các trang", "Pages"),
    "nav_overview": Phrase("Tổng quan", "Overview"),
    "nav_campaign": Phrase("Chiến dịch đo", "Campaign"),
    "nav_isps": Phrase("So sánh nhà mạng", "ISPs compared"),
    "nav_system": Phrase("Tình trạng hệ thống", "System health"),
    "nav_live": Phrase("Trực tiếp", "Live"),
    "nav_public": Phrase("Công khai và số liệu mở", "Public and open data"),
    "nav_registry": Phrase("Sổ đăng ký", "Registry"),
    "nav_audit": Phrase("Nhật ký thao tác", "Audit trail"),
    "nav_alerts": Phrase("Cảnh báo", "Alerts"),
    "nav_reports": Phrase("Báo cáo", "Reports"),
    # Search
    "search": Phrase("Tìm", "Search"),
    "search_title": Phrase("Tìm xã, phường", "Find a commune"),
    "search_place": Phrase("Tên hoặc mã xã, phường", "Name or code of a commune"),
    "search_hits": Phrase("kết quả", "found"),
    "search_more": Phrase("hãy gõ thêm để thu hẹp", "type more to narrow it down"),
    "search_nothing": Phrase("Không tìm thấy", "Nothing was found for"),
    "search_how": Phrase(
        "Gõ tên xã, phường, một phần của tên, có dấu hay không dấu, có thể kèm tên tỉnh (phu thong "
        "thai nguyen), hoặc mã xã 5 chữ số (01969), hoặc tên trạm đo.",
        "Type a commune's name or part of it, with or without marks, with its province's name if "
        "you like (phu thong thai nguyen), its 5-digit code (01969), or the name of a probe.",
    ),
    "file_province_code": Phrase("Mã tỉnh", "Province code"),
    "file_lines_good": Phrase("Đường truyền đang tốt", "Lines that are good now"),
    "file_lines_planned": Phrase("Đường truyền có gói cước", "Lines with a plan"),
    "search_former": Phrase("nay gồm cả tỉnh cũ:", "now has the former province of"),
    "search_measured": Phrase("có trạm đo", "has a probe"),
    "search_unmeasured": Phrase("chưa có trạm đo", "no probe yet"),
    # States, verdicts, and the table of lines
    "state_good": Phrase("Tốt", "Good"),
    "state_degraded": Phrase("Chập chờn", "Degraded"),
    "state_down": Phrase("Mất kết nối", "Down"),
    "state_silent": Phrase("Mất liên lạc", "Silent"),
    "state_unknown": Phrase("Không rõ", "Unknown"),
    "state_never": Phrase("Chưa từng liên lạc", "Never contacted"),
    "state_note_good": Phrase(
        "kết nối tốt; tốc độ trung bình thấp hơn", "connection good; mean speed below"
    ),
    "of_the_plan": Phrase("gói cước", "of the plan"),
    "state_note_silent": Phrase(
        "trạm chưa gửi tin; số liệu là của thời gian trước đó",
        "no word from the probe; the figures are of the time before",
    ),
    "verdict_met": Phrase("Đạt", "Met"),
    "verdict_not_met": Phrase("Không đạt", "Not met"),
    "verdict_none": Phrase("Chưa kết luận", "Inconclusive"),
    "overview_title": Phrase(
        "Chất lượng Internet tại các xã, phường", "Internet quality in the communes"
    ),
    "filters": Phrase("Lọc", "Filters"),
    "show": Phrase("Xem", "Show"),
    "province": Phrase("Tỉnh, thành phố", "Province"),
    "all_provinces": Phrase("Cả nước", "The whole country"),
    "all_groups": Phrase("Mọi nhóm", "All groups"),
    "isp": Phrase("Nhà mạng", "ISP"),
    "all_isps": Phrase("Mọi nhà mạng", "All ISPs"),
    "period": Phrase("Thời gian", "Period"),
    "period_recent": Phrase("Gần đây", "Recent"),
    "period_chosen": Phrase("Đang xem", "Shown now"),
    "period_range": Phrase("Khoảng ngày khác", "Other range of days"),
    "from_day": Phrase("Từ ngày", "From"),
    "to_day": Phrase("Đến ngày", "To"),
    "month": Phrase("Tháng", "Month"),
    "state": Phrase("Tình trạng", "State"),
    "all_states": Phrase("Mọi tình trạng", "All states"),
    "view_lines": Phrase("Xem từng đường truyền", "Show each line"),
    "view_provinces": Phrase("Xem theo tỉnh", "Show provinces"),
    "rows_shown": Phrase("Dòng", "Rows"),
    "rows_of": Phrase("trong", "of"),
    "sort_by": Phrase("Sắp xếp", "Sort"),
    "days_1": Phrase("Hôm nay", "Today"),
    "days_7": Phrase("7 ngày qua", "Last 7 days"),
    "days_30": Phrase("30 ngày qua", "Last 30 days"),
    "days_90": Phrase("90 ngày qua", "Last 90 days"),
    "communes": Phrase("Xã, phường", "Communes"),
    "communes_measured": Phrase("Xã, phường có trạm đo", "Communes with a probe"),
    "lines": Phrase("Đường truyền", "Lines"),
    "mean_down": Phrase("Tải xuống, Mbit/s", "Download, Mbit/s"),
    "mean_up": Phrase("Tải lên, Mbit/s", "Upload, Mbit/s"),
    "mean_latency": Phrase("Độ trễ, ms", "Latency, ms"),
    "mean_loaded": Phrase("Trễ khi tải, ms", "Under load, ms"),
    "loss_percent": Phrase("Mất gói", "Loss"),
    "family": Phrase("Họ địa chỉ", "Address family"),
    "family_ipv4": Phrase("IPv4", "IPv4"),
    "family_ipv6": Phrase("IPv6", "IPv6"),
    "family_unstated": Phrase("không rõ", "not stated"),
    "families_title": Phrase("Theo IPv4 và IPv6", "By address family: IPv4 and IPv6"),
    "families_joined": Phrase(
        "Kết luận so với gói cước tính chung mọi mẫu của IPv4 và IPv6: QCVN 34:2022/BTTTT đánh giá "
        "dịch vụ, không tách theo họ địa chỉ. «Không rõ» là kết quả của trạm đo bản trước 0.2.0.",
        "A verdict about a plan joins the samples of IPv4 and IPv6: QCVN 34:2022/BTTTT assesses a "
        "service and knows no address family. “Not stated” are results of probes before 0.2.0.",
    ),
    "family_silent": Phrase("không trả lời", "did not answer"),
    "chart_speed_families": Phrase("Tải xuống theo IPv4 và IPv6", "Download by address family"),
    "chart_latency_families": Phrase("Độ trễ theo IPv4 và IPv6", "Latency by address family"),
    "availability": Phrase("Độ khả dụng", "Availability"),
    "unknown_minutes": Phrase("không rõ", "unknown"),
    "samples_of_target": Phrase("Mẫu / chỉ tiêu", "Samples / target"),
    "completeness": Phrase("Mức đầy đủ", "Completeness"),
    "state_now": Phrase("Tình trạng hiện nay", "Current state"),
    "place_and_office": Phrase("Xã, phường và trụ sở", "Commune and office"),
    "place_unknown": Phrase("Không rõ địa bàn", "Unknown place"),
    "not_registered": Phrase("chưa có trong sổ đăng ký", "not in the registry"),
    "no_lines": Phrase("Không có đường truyền nào.", "No lines."),
    "lines_caption": Phrase(
        "Từng đường truyền; bấm tên xã hoặc nhà mạng để xem chi tiết.",
        "Each line; select a commune or an ISP for details.",
    ),
    "by_province": Phrase(
        "Theo tỉnh, thành phố; bấm tên tỉnh để xem từng xã.",
        "By province; select one for its communes.",
    ),
    "below_plan": Phrase(
        "Đường truyền có trung bình dưới 80% gói cước / có gói cước",
        "Lines with a mean below 80% of the plan / lines with a plan",
    ),
    "overview_note": Phrase(
        "Tình trạng là của kết nối ngay lúc này; các cột số là của cả khoảng thời gian đã chọn. "
        "Tốc độ và độ trễ là trung bình cộng; tốc độ tính cả phiên (QCVN 34:2022/BTTTT); dòng nhỏ "
        "là tỷ lệ so với gói cước. «Đạt» hay «Không đạt» chỉ ghi khi có từ 1.000 mẫu và khoảng tin "
        "cậy 95% không chứa ngưỡng. Chỉ tiêu mẫu lấy theo 300 mẫu một xã mỗi tháng. «Mức đầy đủ» "
        "là phần lần đo tốc độ đã về so với kế hoạch đo.",
        "The state is the connection's at this moment; the figures are of the whole period. "
        "Speeds and latencies are arithmetic means; speeds are of whole transfers (QCVN "
        "34:2022/BTTTT); the share of the plan is in small print. “Met” or “Not met” is shown only "
        "with 1,000 samples or more, where the 95% interval does not contain the threshold. The "
        "target is based on 300 samples per commune and month. “Completeness” is the share of the "
        "probe's planned speed tests that were received.",
    ),
    # A commune, a probe, a line
    "samples": Phrase("mẫu", "samples"),
    "samples_head": Phrase("Mẫu", "Samples"),
    "week_running": Phrase("chưa hết tuần", "not over yet"),
    "samples_month": Phrase("Mẫu trong tháng", "Samples this month"),
    "enough": Phrase("đủ", "enough"),
    "not_enough_yet": Phrase("chưa đủ", "not enough yet"),
    "boxes": Phrase("Thiết bị đo", "Probes"),
    "public_page_of_commune": Phrase("Trang công khai của xã", "The commune's public page"),
    "ask_probe": Phrase("Yêu cầu trạm đo", "Send a command to the probe"),
    "identify": Phrase("Nhấp nháy đèn để tìm thiết bị", "Flash the LEDs to identify it"),
    "measure_now": Phrase("Đo ngay", "Measure now"),
    "kind": Phrase("Phép đo", "Measurement"),
    "kind_throughput": Phrase("Tốc độ (TCP)", "Throughput (TCP)"),
    "kind_http": Phrase("Tốc độ (HTTP)", "Throughput (HTTP)"),
    "kind_latency": Phrase("Độ trễ", "Latency"),
    "kind_dns": Phrase("Phân giải tên miền", "DNS"),
    "kind_web": Phrase("Trang web", "Web pages"),
    "asked_waiting": Phrase(
        "Đã gửi yêu cầu, đang chờ trạm trả lời", "Command sent, waiting for a reply"
    ),
    "asked_until_connected": Phrase(
        "Trạm chưa kết nối; yêu cầu sẽ được gửi ngay khi trạm kết nối",
        "The probe is not connected; the command is sent as soon as it is",
    ),
    "asked_not_connected": Phrase(
        "Trạm không kết nối kịp; yêu cầu đã hết hạn và chưa được gửi",
        "The probe did not connect in time; the command has expired and was never sent",
    ),
    "refusal_malformed": Phrase("yêu cầu sai dạng", "the command is malformed"),
    "refusal_not_allowed": Phrase("trạm không cho phép", "not allowed at this probe"),
    "refusal_expired": Phrase("yêu cầu đã hết hạn", "the command has expired"),
    "refusal_clock_unknown": Phrase("đồng hồ của trạm chưa đúng", "the probe's clock is not set"),
    "refusal_too_often": Phrase("yêu cầu quá nhiều trong một giờ", "too many within an hour"),
    "refusal_busy": Phrase("trạm đang bận", "the probe is busy"),
    "refusal_unknown_kind": Phrase("trạm không có phép đo này", "unknown measurement"),
    "refusal_unknown_line": Phrase("trạm không có đường truyền này", "unknown line"),
    "refusal_unknown_epoch": Phrase("trạm không có dãy kết quả này", "unknown epoch"),
    "refusal_data_used_up": Phrase("đã hết hạn mức dữ liệu", "the data budget is used up"),
    "refusal_faulty_configuration": Phrase(
        "cấu hình mới của trạm có lỗi", "the new configuration is faulty"
    ),
    "asked_no_answer": Phrase(
        "Trạm không trả lời; yêu cầu đã hết hạn", "No reply; the command has expired"
    ),
    "asked_accepted": Phrase("Trạm đã nhận yêu cầu, đang thực hiện", "Accepted, in progress"),
    "asked_refused": Phrase("Trạm từ chối", "Refused"),
    "asked_done": Phrase("Trạm đã thực hiện", "Done"),
    "box_now": Phrase("Thiết bị hiện nay", "Current probe status"),
    "heard": Phrase("Đang liên lạc", "In contact"),
    "never_heard": Phrase("Chưa từng liên lạc.", "Never contacted."),
    "clock": Phrase("Đồng hồ", "Clock"),
    "clock_good": Phrase("đã đồng bộ", "synchronised"),
    "clock_bad": Phrase("chưa đồng bộ", "not synchronised"),
    "power": Phrase("Nguồn và nhiệt", "Power and temperature"),
    "power_good": Phrase("bình thường", "normal"),
    "power_bad": Phrase(
        "giảm xung vì nóng hoặc yếu nguồn", "throttled: overheating or undervoltage"
    ),
    "temperature": Phrase("Nhiệt độ", "Temperature"),
    "disk_free": Phrase("Thẻ nhớ còn trống", "Disk free"),
    "memory_free": Phrase("Bộ nhớ còn trống", "Memory free"),
    "uptime": Phrase("Đã chạy", "Uptime"),
    "hours": Phrase("giờ", "hours"),
    "stored_through": Phrase("Đã lưu tới số", "Stored through number"),
    "missing_ranges": Phrase("số đoạn còn thiếu", "ranges missing"),
    "ceiling": Phrase("Trần của thiết bị,", "Host ceiling,"),
    "leds_now": Phrase("Đèn đang báo", "Current LED patterns"),
    "leds_note": Phrase("Theo tin gần nhất của trạm,", "As last reported by the probe,"),
    "leds_unknown": Phrase("Không rõ.", "Unknown."),
    "led_of_power": Phrase("Nguồn", "Power"),
    "led_of_centre": Phrase("Trung tâm", "Centre"),
    "led_colour_green": Phrase("đèn xanh", "green"),
    "led_colour_red": Phrase("đèn đỏ", "red"),
    "led_off": Phrase("tắt", "off"),
    "led_steady": Phrase("sáng đều", "steady"),
    "led_breathing": Phrase("sáng dần, tối dần", "breathing"),
    "led_slow_blink": Phrase("nháy chậm", "slow blink"),
    "led_fast_blink": Phrase("nháy nhanh", "fast blink"),
    "host_evidence": Phrase("Bằng chứng về thiết bị đo", "Host evidence"),
    "host_evidence_why": Phrase(
        "Cho thấy thiết bị đo có phải là giới hạn hay không trong lần đo gần nhất.",
        "Shows whether the probe host itself was the bottleneck in the last measurement.",
    ),
    "network_port": Phrase("Cổng mạng", "Network port"),
    "duplex_full": Phrase("song công", "full duplex"),
    "duplex_half": Phrase("bán song công", "half duplex"),
    "throttled": Phrase("Giảm xung", "Throttled"),
    "system": Phrase("Hệ điều hành, máy", "Kernel, machine"),
    "tool": Phrase("Công cụ", "Tool"),
    "yes": Phrase("có", "yes"),
    "no": Phrase("không", "no"),
    "unknown_short": Phrase("không rõ", "unknown"),
    "contract_date": Phrase("Hợp đồng ngày", "Contract date"),
    "chart_zoom": Phrase("Phóng to biểu đồ", "Zoom the charts"),
    "chart_plain": Phrase("Trang của đường truyền", "The line's page"),
    "chart_failed": Phrase("Không tải được số liệu:", "The data could not be loaded:"),
    "chart_table": Phrase("Số liệu của các biểu đồ", "The figures of the charts"),
    "chart_note": Phrase(
        "Kéo trên biểu đồ để chọn khoảng thời gian. Giữ Ctrl và lăn chuột để phóng to hoặc thu "
        "nhỏ; trên màn hình cảm ứng: vuốt ngang, chụm hai ngón. Khi biểu đồ được chọn bằng phím "
        "Tab: phím + và − phóng to, thu nhỏ, ← và → di chuyển, 0 trở lại toàn bộ. Khoảng không quá "
        "8 ngày được vẽ theo giờ, dài hơn thì theo ngày.",
        "Drag over a chart to choose a range. Hold Ctrl and scroll to zoom in or out; on a touch "
        "screen swipe sideways, or pinch. With a chart chosen by Tab: + and − zoom, ← and → move, "
        "0 goes back to the whole. Up to 8 days are drawn by hours, a longer range by days.",
    ),
    "zoom": Phrase("Phóng to, thu nhỏ", "Zoom"),
    "zoom_in": Phrase("Phóng to", "Zoom in"),
    "zoom_out": Phrase("Thu nhỏ", "Zoom out"),
    "zoom_earlier": Phrase("Sớm hơn", "Earlier"),
    "zoom_later": Phrase("Muộn hơn", "Later"),
    "zoom_reset": Phrase("Toàn bộ", "Whole period"),
    "hourly_means": Phrase("trung bình từng giờ", "means of each hour"),
    "daily_means": Phrase("trung bình từng ngày", "means of each day"),
    "time_from": Phrase("Từ lúc (giờ Việt Nam)", "From (Vietnam time)"),
    "time_to": Phrase("Đến lúc", "To"),
    "plan": Phrase("gói cước", "plan"),
    "against_thresholds": Phrase("So với ngưỡng", "Compared with the thresholds"),
    "thresholds_version": Phrase("bộ ngưỡng ngày", "thresholds of"),
    "indicator": Phrase("Chỉ tiêu", "Indicator"),
    "value": Phrase("Trung bình (so với gói)", "Mean (share of plan)"),
    "interval95": Phrase("Khoảng tin cậy 95%", "95% confidence interval"),
    "limit": Phrase("Ngưỡng", "Threshold"),
    "samples_of_needed": Phrase("Mẫu / cần có", "Samples / required"),
    "conclusion": Phrase("Nhận xét", "Assessment"),
    "source": Phrase("Nguồn", "Source"),
    "availability_percent": Phrase("Độ khả dụng, %", "Availability, %"),
    "why_no_samples": Phrase("Chưa có mẫu", "No samples"),
    "why_no_declared_speed": Phrase("Chưa có tốc độ công bố", "No declared speed"),
    "why_threshold_unverified": Phrase(
        "Ngưỡng chưa kiểm chứng, không kết luận", "Threshold not verified, not assessed"
    ),
    "why_insufficient_samples": Phrase("Chưa đủ mẫu để kết luận", "Insufficient samples"),
    "why_same_hour": Phrase(
        "Mẫu đều vào một giờ trong ngày", "All samples in the same hour of day"
    ),
    "why_insufficient_days": Phrase(
        "Chưa đủ 25 ngày có mẫu để kết luận", "Samples of less than 25 days"
    ),
    "why_one_line": Phrase(
        "Mới có số liệu của một đường truyền", "Only one of the lines has samples"
    ),
    "why_interval_contains_threshold": Phrase(
        "Khoảng tin cậy chứa ngưỡng, chưa kết luận", "The interval contains the threshold"
    ),
    "why_several_plans": Phrase("Nhiều gói cước khác nhau", "Several different plans"),
    "why_one_family": Phrase(
        "Riêng một họ địa chỉ: không kết luận", "One address family alone: no verdict"
    ),
    "why_supplementary": Phrase("Tham khảo, không có ngưỡng", "Supplementary, no threshold"),
    "chart_speed": Phrase("Tốc độ theo thời gian", "Speed over time"),
    "chart_latency": Phrase(
        "Độ trễ theo thời gian: khi rảnh và khi đang tải", "Latency over time: idle and loaded"
    ),
    "chart_loss": Phrase("Mất gói theo thời gian", "Loss over time"),
    "idle_latency": Phrase("Độ trễ khi rảnh", "Idle latency"),
    "loaded_latency": Phrase("Độ trễ khi đang tải xuống", "Latency under download"),
    "loaded_latency_down": Phrase("Độ trễ khi đang tải xuống, ms", "Latency under download, ms"),
    "loaded_latency_up": Phrase("Độ trễ khi đang tải lên, ms", "Latency under upload, ms"),
    "speed_down": Phrase("Tải xuống, Mbit/s", "Download, Mbit/s"),
    "speed_up": Phrase("Tải lên, Mbit/s", "Upload, Mbit/s"),
    "heat_title": Phrase(
        "Tải xuống theo giờ và thứ trong tuần, Mbit/s", "Download by hour and weekday, Mbit/s"
    ),
    "heat_note": Phrase(
        "Ô càng xanh thì càng nhanh so với chính đường truyền này; ô trống là chưa có mẫu.",
        "Darker blue means faster, relative to this line; an empty cell has no samples.",
    ),
    "hour": Phrase("Giờ", "Hour"),
    "monday": Phrase("Thứ Hai", "Monday"),
    "tuesday": Phrase("Thứ Ba", "Tuesday"),
    "wednesday": Phrase("Thứ Tư", "Wednesday"),
    "thursday": Phrase("Thứ Năm", "Thursday"),
    "friday": Phrase("Thứ Sáu", "Friday"),
    "saturday": Phrase("Thứ Bảy", "Saturday"),
    "sunday": Phrase("Chủ Nhật", "Sunday"),
    "no_samples": Phrase("chưa có mẫu", "no samples"),
    "spread_speed": Phrase(
        "Phân bố tốc độ tải xuống, Mbit/s", "Distribution of download speed, Mbit/s"
    ),
    "spread_latency": Phrase("Phân bố độ trễ", "Distribution of latency"),
    "percentiles": Phrase("Phân vị", "Percentiles"),
    "median": Phrase("Trung vị", "Median"),
    "validity": Phrase("Tính hợp lệ của các lần đo", "Validity of the measurements"),
    "valid": Phrase("Hợp lệ", "Valid"),
    "attempted": Phrase("Đã đo", "Attempted"),
    "skipped": Phrase("Bỏ qua", "Skipped"),
    "reasons": Phrase("Lý do không đo được", "Reasons"),
    "outages": Phrase("Các khoảng mất kết nối", "Outages"),
    "from": Phrase("Từ", "From"),
    "minutes_down": Phrase("Phút mất kết nối", "Minutes down"),
    "minutes_unknown": Phrase("Phút không rõ", "Minutes unknown"),
    "fault_at": Phrase("Vị trí sự cố", "Fault location"),
    "fault_now": Phrase("Vị trí sự cố", "Fault location"),
    "seen_at": Phrase("quan sát lúc", "observed at"),
    "outage_open": Phrase("chưa ghi nhận kết thúc", "end not reported yet"),
    "no_outages": Phrase("Không ghi nhận mất kết nối.", "No outages recorded."),
    # Who carries a line
    "operator_title": Phrase("Đường truyền đi qua nhà mạng nào", "Who carries the line"),
    "operator_address": Phrase("Địa chỉ công cộng", "Public address"),
    "operator_network": Phrase("Mạng của", "Network of"),
    "operator_nat": Phrase("Kiểu NAT", "NAT"),
    "operator_first": Phrase("Thấy từ", "Seen from"),
    "operator_last": Phrase("Lần cuối", "Last seen"),
    "operator_none": Phrase(
        "Trạm đo chưa cho biết địa chỉ công cộng.", "The probe has stated no public address yet."
    ),
    "operator_masked": Phrase(
        "Địa chỉ được rút gọn (IPv4 bỏ octet cuối, IPv6 chỉ để 48 bit đầu): cán bộ đăng nhập và có "
        "quyền thì xem được đầy đủ.",
        "Addresses are shortened (IPv4 without its last octet, IPv6 to its first 48 bits); users "
        "who have signed in and have the permission see them whole.",
    ),
    # The campaign
    "campaign_title": Phrase("Theo dõi, đôn đốc chiến dịch đo", "The campaign: monitor and urge"),
    "campaign_lead": Phrase(
        "Mỗi trụ sở đo ít nhất 2 lần một tuần trên mỗi đường truyền (Công văn 1770/UBND-VHTT); mỗi "
        "xã cần 300 mẫu một tháng để được đánh giá.",
        "Each office measures at least twice a week on each line (letter 1770/UBND-VHTT); a "
        "commune needs 300 samples a month to be rated.",
    ),
    "week": Phrase("Tuần", "Week"),
    "change_title": Phrase("So với kỳ trước", "Against the period before"),
    "change_before": Phrase("Kỳ trước", "Before"),
    "change_now": Phrase("Kỳ này", "Now"),
    "change_difference": Phrase("Chênh lệch (khoảng tin cậy 95%)", "Difference (95% interval)"),
    "change_up": Phrase("tăng rõ rệt", "clearly higher"),
    "change_down": Phrase("giảm rõ rệt", "clearly lower"),
    "change_none": Phrase("không khác rõ rệt", "no clear difference"),
    "change_unknown": Phrase(
        "mỗi kỳ cần mẫu trải ít nhất 25 ngày để kết luận", "each period needs samples of 25 days"
    ),
    "file_first_day": Phrase("Từ ngày", "First day"),
    "file_last_day": Phrase("Đến ngày", "Last day"),
    "file_commune": Phrase("Xã, phường, đặc khu", "Commune"),
    "file_loss": Phrase("Mất gói (0 đến 1)", "Loss (0 to 1)"),
    "file_availability": Phrase("Độ khả dụng (0 đến 1)", "Availability (0 to 1)"),
    "file_completeness": Phrase("Mức đầy đủ (0 đến 1)", "Completeness (0 to 1)"),
    "file_needed": Phrase("Số mẫu cần", "Samples needed"),
    "file_name": Phrase("Tên", "Name"),
    "file_code": Phrase("Mã", "Code"),
    "file_kind": Phrase("Loại", "Kind"),
    "file_tenant": Phrase("Đơn vị quản lý", "Tenant"),
    "file_isp_id": Phrase("Mã nhà mạng", "ISP's id"),
    "file_technology": Phrase("Công nghệ", "Technology"),
    "file_change": Phrase("Thay đổi", "Change"),
    "file_problem": Phrase("Vấn đề", "Problem"),
    "file_area_id": Phrase("Mã phạm vi", "Area's id"),
    "file_source": Phrase("Nguồn", "Source"),
    "file_number": Phrase("Số", "Number"),
    "download_xlsx": Phrase("Tải về XLSX (bảng tính)", "Download as XLSX (spreadsheet)"),
    "download_csv": Phrase("CSV (phần mềm)", "CSV (programs)"),
    "offices": Phrase("Trụ sở", "Offices"),
    "office": Phrase("Trụ sở", "Office"),
    "offices_below": Phrase("Trụ sở dưới mức tối thiểu", "Offices below the minimum"),
    "communes_below": Phrase("Xã chưa đủ mẫu tháng", "Communes short of samples,"),
    "urge_list": Phrase(
        "Cần đôn đốc: trụ sở đo chưa đủ", "To follow up: offices below the minimum"
    ),
    "scrolls_sideways": Phrase(
        "Bảng rộng hơn màn hình: vuốt ngang để xem hết.",
        "The table is wider than the screen: swipe sideways for the rest.",
    ),
    "table_pages": Phrase("Các trang của bảng", "Pages of the table"),
    "first_of": Phrase("hiển thị", "shown"),
    "measured_per_line": Phrase("Số lần đo / tối thiểu", "Measurements / minimum"),
    "nobody_to_urge": Phrase("Mọi trụ sở đều đã đo đủ.", "Every office meets the minimum."),
    "progress_title": Phrase(
        "Tiến độ: trụ sở đạt mức tối thiểu, theo tuần",
        "Progress: offices meeting the minimum, by week",
    ),
    "short_list": Phrase("Xã chưa đủ mẫu trong tháng", "Communes short of samples in"),
    "nothing_short": Phrase("Mọi xã đều đã đủ mẫu.", "Every commune has enough samples."),
    "campaign_note": Phrase(
        "Đếm các lần đo tốc độ thành công của trạm đo (iperf3 và HTTP), như trong báo cáo tuần; "
        "không cộng vào số mẫu của VNNIC.",
        "The probes' successful speed tests (iperf3 and HTTP), as in the weekly report; never "
        "added to VNNIC's own count.",
    ),
    # ISPs compared
    "isps_title": Phrase("So sánh nhà mạng", "ISPs compared"),
    "isps_lead": Phrase(
        "Chỉ xét những xã có đường truyền của từ hai nhà mạng; từng cặp nhà mạng so ở cùng xã, "
        "cùng giờ của tuần. Không xếp hạng.",
        "Only communes with lines of two or more ISPs; two ISPs are compared in the same communes "
        "and the same hours of the week. No ranking.",
    ),
    "isps_pooled": Phrase(
        "Bảng này là trung bình cộng của mọi mẫu ở mọi giờ: đường truyền đo nhiều lần hơn thì tính "
        "nặng hơn. Khoảng tin cậy tính cả chênh lệch giữa các đường truyền. Muốn so hai nhà mạng, "
        "xem «Cùng xã, cùng giờ» bên dưới.",
        "These are means over all samples of all hours: a line that was measured more often weighs "
        "more. The interval has the differences between lines in it. To compare two ISPs, see "
        "“Same communes, same hours” below.",
    ),
    "isps_same_communes": Phrase(
        "Các xã có từ hai nhà mạng trở lên", "Communes with two or more ISPs"
    ),
    "by_name": Phrase("Xếp theo tên.", "Sorted by name."),
    "no_shared_commune": Phrase(
        "Chưa có xã nào đo từ hai nhà mạng.", "No commune has measurements of two ISPs yet."
    ),
    "same_hours": Phrase("Cùng xã, cùng giờ", "Same communes, same hours"),
    "same_hours_caption": Phrase(
        "Chênh lệch tốc độ tải xuống trung bình, Mbit/s, lấy theo từng ô (xã, thứ, giờ); "
        "khoảng tin cậy tính theo chênh lệch giữa các xã.",
        "Mean difference in download speed, Mbit/s, over cells of commune, weekday and hour; the "
        "interval is between communes.",
    ),
    "pair": Phrase("Hai nhà mạng", "Pair"),
    "cells": Phrase("Số ô", "Cells"),
    "difference": Phrase("Chênh lệch, Mbit/s", "Difference, Mbit/s"),
    "too_few_communes": Phrase("Chưa đủ 3 xã để so", "Fewer than 3 communes"),
    "faster_here": Phrase("nhanh hơn ở các xã này", "was faster in these communes"),
    "not_told_apart": Phrase("Chưa thấy khác biệt rõ", "No significant difference"),
    "choose_smaller": Phrase(
        "Hãy chọn một tỉnh hoặc một nhóm để so theo giờ; số đường truyền tối đa:",
        "Choose a province or a group to compare by hour; maximum number of lines:",
    ),
    "isps_note": Phrase(
        "Hai nhà mạng có thể bán gói cước khác nhau ở cùng một xã: chênh lệch tốc độ không nói lên "
        "ai cung cấp đúng cam kết; xem tỷ lệ so với gói cước ở trang tổng quan.",
        "Two ISPs may sell different plans in one commune: a difference in speed does not show "
        "which one delivers what it declared; for the share of the plan see the overview.",
    ),
    # The health of the system
    "centre_health": Phrase("Tình trạng của trung tâm", "The centre itself"),
    "centre_health_lead": Phrase(
        "Trung tâm tự kiểm tra. Số liệu này cũng có ở /metrics; mục nào hỏng quá 10 phút thì gửi "
        "cảnh báo.",
        "The centre checks itself; /metrics has the same figures, and what is bad for 10 minutes "
        "becomes an alert.",
    ),
    "check": Phrase("Mục", "Check"),
    "check_finding": Phrase("Hiện trạng", "Found"),
    "check_limit": Phrase("Ngưỡng", "Limit"),
    "check_action": Phrase("Việc cần làm", "What to do"),
    "check_good": Phrase("Tốt", "Good"),
    "check_attention": Phrase("Cần xem", "Attention"),
    "check_bad": Phrase("Hỏng", "Bad"),
    "check_unknown": Phrase("Chưa biết", "Not known"),
    "versions": Phrase("Phiên bản phần mềm của các trạm", "Software versions of the probes"),
    "version_newest": Phrase("(mới nhất)", "(the newest)"),
    "version_unknown": Phrase("không rõ", "not stated"),
    "silent_probes": Phrase("Trạm mất liên lạc", "Silent probes"),
    "probes_with_gaps": Phrase("Trạm còn thiếu kết quả", "Probes with gaps"),
    "probes_with_backlog": Phrase("Trạm tồn đọng trên 100 kết quả", "Backlog above 100 results"),
    "clock_faults": Phrase("Đồng hồ chưa đồng bộ", "Clock not synchronised"),
    "power_faults": Phrase("Nguồn yếu hoặc quá nóng", "Undervoltage or overheating"),
    "shared_names": Phrase("Hai thiết bị dùng chung một tên", "Names used by two boxes"),
    "returns_within_an_hour": Phrase(
        "lần giành lại kết nối trong một giờ; tìm thiết bị thứ hai (thẻ nhớ sao chép?)",
        "returns within an hour; find the second box (a cloned card?)",
    ),
    "client_id_taken": Phrase(
        "Một chương trình khác kết nối bằng đúng tên của bộ thu này và giành kết nối của nó: dừng "
        "chương trình đó, hoặc cấp cho mỗi bộ thu một tài khoản và một client_id riêng.",
        "Another program connects under this collector's name and takes its connection: stop it, "
        "or give each collector a user and a client_id of its own.",
    ),
    "leases": Phrase("Bộ thu nào đang phụ trách", "Which collector holds what"),
    "lease": Phrase("Đơn vị", "Tenant"),
    "lease_maintenance": Phrase("Tổng hợp và bảo trì kho", "Roll-ups and maintenance"),
    "lease_every_tenant": Phrase("Mọi đơn vị", "Every tenant"),
    "lease_holder": Phrase("Bộ thu", "Collector"),
    "lease_here": Phrase("chính bộ thu này", "this one"),
    "lease_nobody": Phrase("chưa bộ thu nào", "nobody"),
    "why": Phrase("Lý do", "Reason"),
    "not_heard": Phrase("không nhận được tin", "no contact"),
    "missing_results": Phrase("Còn thiếu", "Missing"),
    "results_missing": Phrase("kết quả còn thiếu", "results missing"),
    "none_here": Phrase("Không có", "None"),
    "rejected_messages": Phrase("Thông điệp MQTT bị từ chối", "Rejected messages"),
    "topic": Phrase("Chủ đề MQTT", "MQTT topic"),
    "rejected_too_large": Phrase("quá lớn", "too large"),
    "rejected_too_many": Phrase("gửi quá nhiều", "rate limit exceeded"),
    "rejected_too_many_targets": Phrase(
        "quá nhiều đường truyền hoặc đích đo", "too many lines or targets"
    ),
    "rejected_too_scattered": Phrase("số thứ tự rời rạc quá mức", "sequence numbers too scattered"),
    "rejected_number_reused": Phrase(
        "số thứ tự đã thuộc về kết quả khác", "number of another result"
    ),
    "rejected_unstorable": Phrase("không lưu được", "could not be stored"),
    "rejected_not_json": Phrase("không phải JSON", "not JSON"),
    "rejected_not_zlib": Phrase("dữ liệu nén bị hỏng", "damaged compression"),
    "rejected_decompressed_too_large": Phrase("giải nén ra quá lớn", "too large once decompressed"),
    "rejected_schema": Phrase("sai cấu trúc", "schema violation"),
    "rejected_topic": Phrase("sai chủ đề", "wrong topic"),
    "rejected_identity": Phrase("sai danh tính", "wrong identity"),
    "rejected_kind": Phrase("sai loại phép đo", "wrong kind"),
    "certificates": Phrase(
        "Chứng thư của trung tâm, và của các trạm sắp đến hạn (60 ngày)",
        "Certificates of the centre, and of probes that expire within 60 days",
    ),
    "file": Phrase("Tệp", "File"),
    "certificate": Phrase("Tệp hoặc trạm", "File or probe"),
    "ends_at": Phrase("Hết hạn", "Expires"),
    "days_left": Phrase("Còn (ngày)", "Days left"),
    "no_certificates": Phrase("Cấu hình không dùng chứng thư.", "No certificates are configured."),
    "system_note": Phrase(
        "Trạm bị coi là mất liên lạc sau 15 phút không có tin. Trạm tự báo hạn chứng thư của mình; "
        "danh sách đầy đủ: tramdo-authority list.",
        "A probe is silent after 15 minutes without a message. Each probe reports when its "
        "certificate expires; for the full list: tramdo-authority list.",
    ),
    # Public page and open data
    "public_title": Phrase("Chất lượng Internet công khai", "Internet quality, for everybody"),
    "public_half": Phrase("một nửa ở giữa:", "middle half:"),
    "public_areas": Phrase("Số liệu từng nơi", "Figures by place"),
    "public_list_units": Phrase("tải xuống, Mbit/s · độ trễ, ms", "download, Mbit/s · latency, ms"),
    "public_median": Phrase(
        "Số của mỗi nơi là trung vị: một nửa số đường truyền đạt từ mức đó trở lên. Số liệu không "
        "dùng để xếp hạng và không kết luận nhà mạng có đạt gói cước hay không.",
        "The figure of a place is the median: half of its lines reached that or more. The figures "
        "rank nobody, and are no verdict on whether an ISP kept its contract.",
    ),
    "public_trend": Phrase("Tốc độ tải xuống qua các tháng, Mbit/s", "Download by month, Mbit/s"),
    "public_trend_note": Phrase(
        "Trung vị của các đường truyền trong từng tháng; tháng này tính đến hôm nay.",
        "The median of the lines in each month; this month up to today.",
    ),
    "public_method": Phrase("Số liệu được đo thế nào?", "How is it measured?"),
    "public_method_how": Phrase(
        "Một máy đo nhỏ đặt tại trụ sở xã, cắm dây vào từng đường truyền, tự đo nhiều lần mỗi "
        "ngày tới máy chủ trong nước, vào các giờ khác nhau.",
        "A small device in the commune office is wired to each line and measures by itself, "
        "several times a day at different hours, to servers in the country.",
    ),
    "public_method_what": Phrase(
        "Tốc độ là trung bình cộng của cả lần đo (QCVN 34:2022/BTTTT). Độ trễ là thời gian gói tin "
        "đi và về, càng thấp càng tốt. Khoảng tin cậy 95% cho biết số trung bình chắc chắn đến "
        "đâu; chỉ có khi đã đo ít nhất 25 ngày.",
        "A speed is the arithmetic mean over whole transfers (QCVN 34:2022/BTTTT). Latency is the "
        "time of a packet there and back, the lower the better. The 95 % interval says how certain "
        "a mean is; it needs at least 25 days.",
    ),
    "public_method_not": Phrase(
        "Đây là đường truyền của cơ quan, đo bằng dây: wifi hay điện thoại ở nhà có thể khác. "
        "Số liệu để tham khảo, không thay thế phép đo kiểm theo quy chuẩn.",
        "These are lines of offices, measured by wire: Wi-Fi or a phone at home may differ. The "
        "figures are indicative and do not replace a regulatory measurement.",
    ),
    "public_latency_alone": Phrase("Độ trễ", "Latency"),
    "public_of_plan": Phrase("gói cước", "of the plan of"),
    "public_samples": Phrase("Số lần đo tốc độ", "Speed tests"),
    "card_link": Phrase("Bản in dán bảng tin", "Card for the notice board"),
    "card_print": Phrase(
        "In trang này (Ctrl+P) trên một tờ A4 và dán lên bảng tin; phần đầu trang không in ra.",
        "Print this page (Ctrl+P) on a sheet of A4 and pin it up; its head is not printed.",
    ),
    "card_back": Phrase("Về trang của xã", "Back to the commune's page"),
    "card_address": Phrase("Số liệu mới nhất tại", "Latest figures at"),
    "open_data": Phrase("Số liệu mở", "Open data"),
    "open_data_lead": Phrase(
        "30 ngày gần nhất, từng đường truyền, không có thông tin cá nhân.",
        "The last 30 days, by line, without personal data.",
    ),
    "open_lines": Phrase("từng đường truyền, cho phần mềm", "by line, for programs"),
    "open_xlsx": Phrase("từng đường truyền, cho bảng tính", "by line, for spreadsheets"),
    "open_codes": Phrase(
        "Mã xã có số 0 ở đầu (01969), số thập phân có dấu chấm: mở CSV bằng bảng tính thì mã mất "
        "số 0 và số có thể bị đọc sai. Dùng bảng tính thì lấy tệp XLSX.",
        "Commune codes begin with a zero (01969) and decimals have a point: a spreadsheet that "
        "opens the CSV file loses the zero and may misread numbers. For spreadsheets take XLSX.",
    ),
    "open_communes": Phrase("bản đồ điểm các xã", "communes as points"),
    "open_months_title": Phrase("Số liệu mở theo tháng", "Open data by month"),
    "open_months_short": Phrase("từng kết quả đo, có chữ ký", "every result, signed"),
    "open_months_lead": Phrase(
        "Mọi kết quả đo của mỗi tháng đã khép lại, theo tỉnh và loại phép đo. Không có tên trạm, "
        "địa chỉ mạng hay tên người. Ai cũng có thể tải và dùng lại.",
        "Every result of each closed month, by province and kind, without names of probes, network "
        "addresses or people; free to download and reuse.",
    ),
    "open_months": Phrase("Các tháng đã công bố", "Published months"),
    "open_published": Phrase("Công bố", "Published"),
    "open_results": Phrase("Kết quả", "Results"),
    "open_files": Phrase("Tệp", "Files"),
    "open_size": Phrase("Dung lượng", "Size"),
    "open_formats": Phrase("Định dạng", "Formats"),
    "open_no_months": Phrase("Chưa có tháng nào được công bố.", "No month is published yet."),
    "open_signed": Phrase(
        "Tệp datapackage.json của mỗi tháng ghi mã băm của mọi tệp trong tháng và được trung tâm "
        "ký. Có Parquet bên cạnh CSV nếu trung tâm cài DuckDB. Kiểm tra:",
        "The datapackage.json of a month has the digests of all its files and is signed by the "
        "centre. There is Parquet beside CSV where the centre has DuckDB. To check:",
    ),
    "open_index": Phrase("Danh sách các tháng, cho phần mềm", "List of months, for programs"),
    "open_dictionary": Phrase("Từ điển dữ liệu", "Data dictionary"),
    "open_dictionary_lead": Phrase(
        "Ô trống là không biết, không bao giờ là 0. Thời điểm theo UTC.",
        "An empty cell is unknown, never 0. Times are UTC.",
    ),
    "open_key": Phrase("Khóa công khai của trung tâm", "The centre's public key"),
    "open_column": Phrase("Cột", "Column"),
    "open_type": Phrase("Kiểu", "Type"),
    "open_unit": Phrase("Đơn vị", "Unit"),
    "open_meaning": Phrase("Ý nghĩa", "Meaning"),
    "open_api": Phrase("mô tả giao diện lập trình", "API description"),
    "licence": Phrase("Giấy phép", "Licence"),
    "public_of": Phrase("Chất lượng Internet tại", "Internet quality in"),
    "public_down": Phrase("Tải xuống", "Download"),
    "public_up_alone": Phrase("Tải lên", "Upload"),
    "more_detail": Phrase("Xem chi tiết", "More details"),
    "embed_title": Phrase(
        "Đưa vào trang thông tin điện tử của xã", "Embed in the commune's portal"
    ),
    "embed_lead": Phrase(
        "Chép đoạn mã này vào trang của xã. Khung tự cập nhật, không dùng cookie, không tải gì từ "
        "nơi khác.",
        "Copy this code into the commune's page. The block updates itself, sets no cookies and "
        "loads nothing from other hosts.",
    ),
    "embed_code": Phrase("Mã nhúng", "Embed code"),
}

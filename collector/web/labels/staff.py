"""Floor 1. Labels of the pages for staff: sign-in, alerts, reports, audit trail, registry.

A test checks that the label tables have no key in common.
"""

from __future__ import annotations

from runtime.language import Phrase

LABELS = {
    # Alerts
    "alert": Phrase("Cảnh báo", "Alert"),
    "alerts_open": Phrase("Đang diễn ra", "Open now"),
    "alerts_ended": Phrase("Đã kết thúc", "Ended"),
    "alerts_all": Phrase("Tất cả", "All"),
    "all_kinds": Phrase("Mọi loại cảnh báo", "All alerts"),
    "began_at": Phrase("Bắt đầu", "Began"),
    "ended_at": Phrase("Kết thúc", "Ended"),
    "alerts_note": Phrase(
        "Mỗi cảnh báo được gửi một lần khi bắt đầu và một lần khi kết thúc, qua thư điện tử và "
        "webhook nếu đã cài đặt.",
        "Each alert is sent once when it begins and once when it ends, by mail and webhook where "
        "these are configured.",
    ),
    # Reports
    "report_and_period": Phrase("Báo cáo và kỳ", "Report and period"),
    "draft_only": Phrase("chưa hết, chỉ xem nháp", "not over, draft only"),
    "report_which_area": Phrase(
        "Có nhiều địa bàn tên như vậy, hãy ghi mã:", "Several areas have this name, give the code:"
    ),
    "report_type": Phrase("Loại báo cáo", "Report type"),
    "report_weekly": Phrase("Báo cáo tuần", "Weekly report"),
    "report_monthly": Phrase("Báo cáo tháng", "Monthly report"),
    "report_bulletin": Phrase("Bản tin", "Bulletin"),
    "area": Phrase("Địa bàn", "Area"),
    "all_probes": Phrase("Toàn bộ các trạm đo", "All probes"),
    "format": Phrase("Định dạng", "Format"),
    "usual": Phrase("Mặc định", "Default"),
    "view_draft": Phrase("Xem bản nháp", "View draft"),
    "issue": Phrase("Phát hành", "Issue"),
    "issue_number": Phrase("Lần phát hành", "Issue no."),
    "issued_at": Phrase("Phát hành lúc", "Issued at"),
    "revised": Phrase("sửa đổi", "revised"),
    "changed_since": Phrase("số liệu đã thay đổi, ngày", "figures changed since, on"),
    "files": Phrase("Tệp", "Files"),
    "reports_no_lines": Phrase(
        "Sổ đăng ký chưa có đường truyền nào nên chưa lập được báo cáo.",
        "The registry has no lines yet, so no report can be made.",
    ),
    "reports_issued": Phrase("Báo cáo đã phát hành", "Issued reports"),
    "no_reports": Phrase("Chưa phát hành báo cáo nào.", "No report has been issued yet."),
    "reports_lead": Phrase(
        "Chọn loại và kỳ báo cáo; gõ địa bàn: nhóm, tỉnh, tên hoặc mã xã. Bản nháp chỉ để xem; bản "
        "phát hành được lưu lại ở mọi định dạng.",
        "Choose report and period; type an area: a group, a province, a commune's name or code. A "
        "draft is for viewing only; an issued report is archived in every format.",
    ),
    # What is due
    "nav_due": Phrase("Việc cần làm", "What is due"),
    "due_lead": Phrase(
        "Những việc của tuần này và tuần sau: báo cáo cần phát hành, tuần đo kết thúc, chứng thư "
        "hết hạn, bảo trì đã báo trước, lịch tạm ngừng thông báo và gói cước có hiệu lực.",
        "This week and next: reports to issue, campaign weeks that end, certificates that expire, "
        "planned maintenance, silences that end and plans that take effect.",
    ),
    "due_overdue": Phrase("Quá hạn", "Overdue"),
    "due_this_week": Phrase("Tuần này", "This week"),
    "due_next_week": Phrase("Tuần sau", "Next week"),
    "due_day": Phrase("Ngày", "Day"),
    "due_what": Phrase("Việc", "What"),
    "due_kind": Phrase("Loại", "Kind"),
    "due_nothing": Phrase("Không có việc nào.", "Nothing is due."),
    "due_done": Phrase("Đã xong", "Done"),
    "due_late": Phrase("Quá hạn", "Overdue"),
    "due_today": Phrase("Hôm nay", "Today"),
    "due_open": Phrase("Sắp tới", "To come"),
    "due_kind_report": Phrase("Phát hành báo cáo", "Report to issue"),
    "due_kind_mailing": Phrase("Gửi báo cáo tự động", "Report by e-mail"),
    "due_kind_campaign": Phrase("Chiến dịch đo", "Campaign"),
    "due_kind_certificate": Phrase("Chứng thư số", "Certificate"),
    "due_kind_maintenance": Phrase("Bảo trì đã báo trước", "Planned maintenance"),
    "due_kind_silence": Phrase("Tạm ngừng thông báo", "Silence"),
    "due_kind_contract": Phrase("Gói cước", "Plan"),
    "due_last_issued_by": Phrase("lần trước do", "last issued by"),
    "due_mail": Phrase("Trung tâm gửi", "The centre mails the"),
    "due_campaign": Phrase("Hết tuần đo", "End of campaign week"),
    "due_certificate": Phrase("Chứng thư hết hạn", "Certificate expires"),
    "due_certificate_action": Phrase("gia hạn trước ngày này", "renew before this day"),
    "due_maintenance": Phrase("Bảo trì", "Maintenance"),
    "due_silence": Phrase("Hết tạm ngừng thông báo", "Silence ends"),
    "due_contract": Phrase("Gói cước mới có hiệu lực", "New plan takes effect"),
    "calendar": Phrase("Lịch để đăng ký theo dõi", "Calendar to subscribe to"),
    "calendar_lead": Phrase(
        "Chương trình lịch (điện thoại, Outlook, Thunderbird, Google) đọc được các việc này qua "
        "một đường dẫn bí mật. Ai có đường dẫn thì xem được những gì bạn xem; thu hồi nếu lộ.",
        "Calendar programs (phones, Outlook, Thunderbird, Google) read this list by a secret link. "
        "Whoever has the link sees what you see; revoke it when it has become known.",
    ),
    "calendar_make": Phrase("Tạo đường dẫn", "Make a link"),
    "calendar_make_new": Phrase(
        "Tạo đường dẫn mới, bỏ đường dẫn cũ", "Make a new link, end the old"
    ),
    "calendar_revoke": Phrase("Thu hồi đường dẫn", "Revoke the link"),
    "calendar_made_at": Phrase("Đường dẫn đang dùng được tạo lúc", "The present link was made at"),
    "calendar_none": Phrase("Chưa có đường dẫn nào.", "There is no link."),
    "calendar_link": Phrase(
        "Đường dẫn (chỉ hiện một lần, hãy chép lại)", "The link (shown once, copy it now)"
    ),
    # Reports by e-mail
    "mailings": Phrase("Gửi báo cáo qua thư điện tử", "Reports by e-mail"),
    "mailings_lead": Phrase(
        "Trung tâm tự gửi báo cáo sau khi hết tuần hoặc hết tháng, mỗi nơi nhận một thư riêng, và "
        "gửi lại khi máy chủ thư từ chối tạm thời. Mỗi kỳ chỉ gửi một lần.",
        "The centre mails the report after its week or month has ended, a mail to each recipient, "
        "and tries again while the mail server refuses it for now. Each period is sent once.",
    ),
    "mailings_no_server": Phrase(
        "Chưa cấu hình máy chủ thư ([alerts.mail] của collector.toml) nên chưa gửi được.",
        "No mail server is configured ([alerts.mail] of collector.toml): nothing is sent.",
    ),
    "mailing_new": Phrase("Đặt lịch gửi", "Set a schedule"),
    "mailing_caption": Phrase("Lịch gửi", "Schedules"),
    "mailing_none": Phrase("Chưa đặt lịch nào.", "No schedule is set."),
    "mailing_day": Phrase("Ngày gửi", "Day"),
    "mailing_days_week": Phrase("Báo cáo tuần: trong tuần sau", "Weekly report: of the week after"),
    "mailing_days_month": Phrase(
        "Báo cáo tháng, bản tin: trong tháng sau", "Monthly report, bulletin: of the month after"
    ),
    "mailing_day_of_month": Phrase("Ngày", "Day"),
    "mailing_time": Phrase("Giờ gửi", "Time"),
    "mailing_as": Phrase("Hình thức", "As"),
    "mailing_issue": Phrase("Phát hành rồi gửi", "Issue it"),
    "mailing_draft": Phrase("Chỉ gửi bản nháp", "Draft only"),
    "mailing_recipients": Phrase(
        "Nơi nhận (mỗi dòng một địa chỉ)", "Recipients (an address a line)"
    ),
    "mailing_when": Phrase("Thời điểm gửi", "When"),
    "mailing_next": Phrase("Lần tới", "Next"),
    "mailing_stopped": Phrase("Đã tạm ngừng", "Stopped"),
    "mailing_running": Phrase("Đang chạy", "Running"),
    "mailing_stop": Phrase("Tạm ngừng", "Stop"),
    "mailing_resume": Phrase("Tiếp tục", "Resume"),
    "mailing_send_now": Phrase("Gửi ngay", "Send now"),
    "mailing_remove": Phrase("Xóa lịch", "Remove"),
    "mailing_author": Phrase("Người đặt", "Set by"),
    "mailing_actions": Phrase("Thao tác", "Actions"),
    "deliveries": Phrase("Các lần gửi", "Deliveries"),
    "deliveries_none": Phrase("Chưa gửi thư nào.", "Nothing was sent yet."),
    "delivery_recipient": Phrase("Nơi nhận", "Recipient"),
    "delivery_detail": Phrase("Chi tiết", "Details"),
    "delivery_attempts": Phrase("lần thử", "attempts"),
    "delivery_waiting": Phrase("Chờ gửi", "Waiting"),
    "delivery_sending": Phrase("Đang gửi", "Sending"),
    "delivery_sent": Phrase("Đã gửi", "Sent"),
    "delivery_failed": Phrase("Không gửi được", "Failed"),
    "delivery_uncertain": Phrase("Không rõ đã đến chưa", "Uncertain"),
    "delivery_why_stopped": Phrase("lịch đã tạm ngừng", "the schedule was stopped"),
    "delivery_why_interrupted": Phrase(
        "bộ thu dừng giữa chừng; không tự gửi lại để khỏi gửi hai lần",
        "the collector ended meanwhile; not sent again, so that nobody gets it twice",
    ),
    "mailing_refused_nobody": Phrase("Hãy ghi ít nhất một nơi nhận.", "State a recipient."),
    "mailing_refused_too_many": Phrase(
        "Quá nhiều nơi nhận; nhiều nhất là", "Too many recipients; at most"
    ),
    "mailing_refused_address": Phrase("Không phải địa chỉ thư điện tử:", "Not an e-mail address:"),
    "mailing_refused_day": Phrase(
        "Ngày gửi không hợp với loại báo cáo: báo cáo tuần chọn thứ, báo cáo tháng và bản tin chọn "
        "ngày 1–28.",
        "The day does not fit the report: a weekday for a weekly one, the 1st to the 28th for the "
        "others.",
    ),
    "mailing_refused_time": Phrase("Giờ gửi có dạng 08:00.", "The time has the form 08:00."),
    "reports_sign_in": Phrase(
        "Đăng nhập với vai trò trung tâm để lập và phát hành báo cáo.",
        "Sign in with the role centre to view drafts and issue reports.",
    ),
    "report_refused_period": Phrase(
        "Kỳ báo cáo không đúng: hãy viết tuần (2026-W30) hoặc tháng (2026-07).",
        "Invalid period: enter a week (2026-W30) or a month (2026-07).",
    ),
    "report_refused_format": Phrase(
        "Loại báo cáo này không có định dạng đã chọn: bản tin chỉ có TXT và JSON, các báo cáo khác "
        "không có TXT.",
        "This report is not made in that format: a bulletin is TXT or JSON, others are never TXT.",
    ),
    "report_refused_week": Phrase(
        "Báo cáo tuần chỉ lập cho trọn một tuần, từ thứ Hai đến Chủ Nhật (ví dụ 2026-W30).",
        "A weekly report covers one whole week, Monday to Sunday (2026-W30).",
    ),
    "report_refused_month": Phrase(
        "Báo cáo tháng chỉ lập cho trọn một tháng (ví dụ 2026-07).",
        "A monthly report covers one whole month (2026-07).",
    ),
    "report_refused_not_over": Phrase(
        "Kỳ báo cáo chưa kết thúc: có thể xem bản nháp, chưa thể phát hành.",
        "The period is not over yet: a draft can be viewed, but not issued.",
    ),
    "report_refused_too_long": Phrase(
        "Báo cáo quá dài để lập tệp PDF: hãy chọn địa bàn nhỏ hơn, hoặc định dạng XLSX, CSV.",
        "Too many rows for a PDF: choose a smaller area, or XLSX or CSV.",
    ),
    "report_refused_area": Phrase(
        "Địa bàn này chưa có đường truyền nào trong sổ đăng ký.",
        "Unknown area, or it has no line in the registry.",
    ),
    # Signing in
    "sign_in": Phrase("Đăng nhập", "Sign in"),
    "sign_out": Phrase("Đăng xuất", "Sign out"),
    "sign_in_why": Phrase(
        "Chỉ cần đăng nhập khi yêu cầu trạm đo, sửa sổ đăng ký hoặc lập báo cáo. Xem số liệu thì "
        "không cần.",
        "Signing in is needed only to send a probe a command, edit the registry or make reports; "
        "not to view the pages.",
    ),
    "sign_in_wrong": Phrase("Tên hoặc mật khẩu không đúng.", "Wrong name or password."),
    "sign_in_wait": Phrase(
        "Đã thử sai nhiều lần. Hãy thử lại sau", "Too many failed attempts. Try again in"
    ),
    "minutes": Phrase("phút", "minutes"),
    "name": Phrase("Tên đăng nhập", "Name"),
    "password": Phrase("Mật khẩu", "Password"),
    "refused": Phrase("Không thực hiện được", "Request failed"),
    "typed": Phrase("Nội dung bạn đã nhập", "What you wrote"),
    "typed_hint": Phrase(
        "Chưa lưu được. Hãy chép lại nội dung dưới đây trước khi rời trang này.",
        "It was not saved. Copy it from here before you leave this page.",
    ),
    "typed_text": Phrase("Nội dung", "Text"),
    "typed_reason": Phrase("Nội dung, lý do", "What is done, reason"),
    "typed_note": Phrase("Lý do sửa hoặc rút", "Why it is corrected or withdrawn"),
    "typed_recipients": Phrase("Địa chỉ nhận", "Recipients"),
    "typed_place": Phrase("Nơi", "Place"),
    "typed_area": Phrase("Địa bàn", "Area"),
    "typed_office": Phrase("Cơ quan", "Office"),
    "typed_commune": Phrase("Xã, phường, đặc khu", "Commune"),
    "typed_line": Phrase("Đường truyền", "Line"),
    "typed_isp": Phrase("Nhà mạng", "ISP"),
    "typed_starts": Phrase("Từ lúc", "From"),
    "typed_ends": Phrase("Đến lúc", "Until"),
    "typed_from": Phrase("Từ lúc", "From"),
    "typed_to": Phrase("Đến lúc", "Until"),
    "refused_without": Phrase(
        "Mở lại trang này, bỏ các lựa chọn", "Open this page without the choices"
    ),
    "refused_period": Phrase(
        "Khoảng ngày không đúng: ngày đầu không được sau ngày cuối, và dài nhất 366 ngày.",
        "The days are not valid: the first one is not after the last, and they are 366 at most.",
    ),
    "refused_range": Phrase(
        "Khoảng thời gian không đúng: lúc đầu phải trước lúc cuối từ 6 giờ đến 366 ngày.",
        "The range is not valid: it begins 6 hours to 366 days before it ends.",
    ),
    "refused_choice": Phrase(
        "Lựa chọn này không có, hoặc không còn trong sổ đăng ký:",
        "There is no such choice, or it is no longer in the registry:",
    ),
    "refused_not_begun": Phrase("Những ngày này chưa đến.", "These days have not begun."),
    "refused_400": Phrase("Yêu cầu không đúng.", "The request is invalid."),
    "refused_401": Phrase("Hãy đăng nhập trước.", "Sign in first."),
    "refused_403": Phrase(
        "Tài khoản này không được phép làm việc đó, hoặc trang đã mở quá lâu: hãy tải lại trang "
        "rồi thử lại.",
        "This account is not permitted to do that, or the page was open for too long: reload it "
        "and try again.",
    ),
    "refused_404": Phrase("Không tìm thấy trang này.", "Page not found."),
    "refused_405": Phrase(
        "Địa chỉ này không nhận yêu cầu kiểu đó.", "This address takes no request of that kind."
    ),
    "refused_409": Phrase(
        "Có người vừa thay đổi mục này: hãy tải lại trang rồi làm lại.",
        "Somebody has changed this meanwhile: reload the page, then try again.",
    ),
    "refused_413": Phrase("Tệp gửi lên quá lớn.", "The file is too large."),
    "refused_422": Phrase("Nội dung gửi lên chưa hợp lệ.", "What was sent is not valid."),
    "refused_500": Phrase(
        "Hệ thống gặp lỗi khi lập trang này. Hãy thử lại; nếu vẫn lỗi, đề nghị báo người quản trị.",
        "The centre failed to make this page. Try again; if it fails again, contact its operator.",
    ),
    "refused_503": Phrase(
        "Hiện chưa thực hiện được, hãy thử lại sau.", "Temporarily unavailable; try again later."
    ),
    # Bundles of evidence
    "evidence_title": Phrase("Bộ chứng cứ cho nhà mạng", "Evidence for the ISP"),
    "evidence_take": Phrase("Tải bộ chứng cứ", "Download evidence"),
    "evidence_of": Phrase("Kết quả đo của các ngày", "Results of the days"),
    "evidence_addresses": Phrase(
        "giữ nguyên địa chỉ công cộng (khi giao cho chính nhà mạng)",
        "with whole public addresses (for the ISP itself)",
    ),
    "evidence_every_line": Phrase(
        "kèm kết quả của mọi đường truyền tại trạm", "with the results of every line of the probe"
    ),
    "evidence_note": Phrase(
        "Tệp ZIP có nguyên văn kết quả kèm chữ ký của trạm đo, để nhà mạng tự kiểm tra bằng "
        "tramdo-verify. Mỗi lần tải đều được ghi vào nhật ký cùng mã SHA-256 của manifest.json; "
        "hãy ghi mã đó vào công văn gửi kèm. Có thể mất vài phút.",
        "A ZIP with the results as the probe signed them, which the ISP checks by tramdo-verify. "
        "Each download is in the audit trail with the SHA-256 of manifest.json; put it into the "
        "letter that goes with the file. It may take some minutes.",
    ),
    # The audit trail
    "audit_caption": Phrase("Số thao tác, mới nhất ở trên", "Actions, newest first"),
    "audit_find": Phrase("Tìm người, việc, đối tượng", "Find a user, an action, a subject"),
    "audit_sign_in": Phrase("Đăng nhập", "Signed in"),
    "audit_sign_in_refused": Phrase("Đăng nhập bị từ chối", "Sign-in refused"),
    "audit_sign_out": Phrase("Đăng xuất", "Signed out"),
    "audit_refused": Phrase("Bị từ chối vì không có quyền", "Refused: no permission"),
    "audit_edit_registry": Phrase("Sửa sổ đăng ký", "Changed the registry"),
    "audit_issue_paper": Phrase("Phát hành báo cáo", "Issued a report"),
    "audit_take_evidence": Phrase("Tải bộ chứng cứ", "Took a bundle of evidence"),
    "audit_acknowledge": Phrase("Nhận xử lý cảnh báo", "Acknowledged an alert"),
    "audit_note": Phrase("Ghi chú về cảnh báo", "Wrote a note on an alert"),
    "audit_silence": Phrase("Tạm ngừng thông báo", "Silenced alerts"),
    "audit_end_silence": Phrase("Thông báo trở lại", "Ended a silence"),
    "audit_measure": Phrase("Yêu cầu đo ngay", "Asked for a measurement"),
    "audit_identify": Phrase("Yêu cầu trạm đo nháy đèn", "Asked a probe to blink"),
    "audit_note_line": Phrase("Ghi chú về đường truyền", "Wrote a note on a line"),
    "audit_correct_note": Phrase("Sửa ghi chú về đường truyền", "Corrected a note on a line"),
    "audit_withdraw_note": Phrase("Rút ghi chú về đường truyền", "Withdrew a note on a line"),
    "audit_maintenance_announced": Phrase(
        "Ghi nhận bảo trì có kế hoạch", "Entered planned maintenance"
    ),
    "audit_maintenance_corrected": Phrase(
        "Sửa bảo trì có kế hoạch", "Corrected planned maintenance"
    ),
    "audit_maintenance_withdrawn": Phrase(
        "Rút bảo trì có kế hoạch", "Withdrew planned maintenance"
    ),
    "audit_add_mailing": Phrase("Đặt lịch gửi báo cáo", "Set a schedule of mails"),
    "audit_stop_mailing": Phrase("Dừng lịch gửi báo cáo", "Stopped a schedule of mails"),
    "audit_resume_mailing": Phrase("Gửi báo cáo trở lại theo lịch", "Resumed a schedule of mails"),
    "audit_send_mailing": Phrase("Gửi báo cáo ngay", "Sent a report by e-mail now"),
    "audit_remove_mailing": Phrase("Xóa lịch gửi báo cáo", "Removed a schedule of mails"),
    "audit_make_calendar_link": Phrase("Tạo đường dẫn lịch", "Made a calendar link"),
    "audit_revoke_calendar_link": Phrase("Hủy đường dẫn lịch", "Revoked a calendar link"),
    "audit_people_add": Phrase("Thêm hoặc sửa người dùng", "Added or changed a user"),
    "audit_people_disable": Phrase("Khóa người dùng", "Disabled a user"),
    "audit_rollup_rebuild": Phrase("Tổng hợp lại số liệu", "Rebuilt roll-ups"),
    "at": Phrase("Thời điểm", "Time"),
    "who": Phrase("Người thực hiện", "User"),
    "address": Phrase("Địa chỉ mạng", "Address"),
    "action": Phrase("Thao tác", "Action"),
    "subject": Phrase("Đối tượng", "Subject"),
    "detail": Phrase("Chi tiết", "Details"),
    "nothing_yet": Phrase("Chưa có gì.", "Nothing yet."),
    # The registry
    "registry_lead": Phrase(
        "Trạm đo, đường truyền, gói cước (Mbit/s), nhóm xã. Sửa ngay trong ô hoặc tải tệp TOML, "
        "CSV hay XLSX lên; hệ thống kiểm tra toàn bộ trước, cho xem thay đổi, rồi mới áp dụng.",
        "Probes, lines, plans (Mbit/s), groups. Edit here or upload a TOML, CSV or XLSX file; the "
        "whole registry is validated first, the changes are shown, and only then applied.",
    ),
    "registry_applied": Phrase("Đã áp dụng số thay đổi", "Changes applied"),
    "registry_problems": Phrase(
        "Chưa áp dụng gì. Số lỗi cần sửa", "Nothing was applied. Errors to correct"
    ),
    "registry_meanwhile": Phrase(
        "Người khác vừa thay đổi sổ đăng ký. Hãy xem lại những gì sẽ thay đổi rồi mới áp dụng.",
        "The registry was changed by somebody else in the meantime. Review the changes again, then "
        "apply.",
    ),
    "registry_changes": Phrase("Sẽ thay đổi", "Pending changes"),
    "registry_same": Phrase("Không có gì thay đổi.", "No changes."),
    "registry_file": Phrase("Tệp TOML, CSV hoặc XLSX", "TOML, CSV or XLSX file"),
    "registry_text": Phrase("Nội dung sổ đăng ký (TOML)", "The registry as text (TOML)"),
    "registry_check": Phrase("Kiểm tra", "Check"),
    "registry_apply": Phrase("Áp dụng", "Apply"),
    "registry_download": Phrase("Tải sổ đăng ký về", "Download the registry"),
    "registry_example": Phrase(
        "Sổ đăng ký còn trống: chưa lập được báo cáo, chưa so được với tốc độ công bố. Mẫu để chép "
        "và sửa; lệnh tramdo-fleet registry tạo tệp này từ danh sách máy của Ansible.",
        "The registry is empty: no reports can be made and no speed compared with a declared one. "
        "Copy and edit this sample; tramdo-fleet registry generates it from an Ansible inventory.",
    ),
    "registry_offices": Phrase("Trụ sở có trạm đo", "Offices with a probe"),
    "registry_find": Phrase("Tên trụ sở, xã hoặc trạm", "Office, commune or probe"),
    "registry_add": Phrase("Thêm trạm đo vào sổ", "Add a probe"),
    "registry_lines": Phrase(
        "Đường truyền, gói tải xuống/lên, Mbit/s", "Lines, plan down/up, Mbit/s"
    ),
    "registry_installed": Phrase("Ngày lắp", "Installed on"),
    "registry_edit": Phrase("Sửa trong sổ đăng ký", "Edit in the registry"),
    "registry_document": Phrase("Cả sổ đăng ký (tệp)", "The whole registry (file)"),
    "registry_back": Phrase("Về danh sách trụ sở", "Back to the list of offices"),
    "registry_list_lead": Phrase(
        "Chọn một trụ sở để đổi gói cước, chuyển xã, thêm đường truyền hoặc ngừng dùng trạm. Hệ "
        "thống cho xem thay đổi trước rồi mới áp dụng.",
        "Choose an office to change a plan, move a probe, add a line or retire it. Changes are "
        "shown before they are applied.",
    ),
    "registry_too_large": Phrase(
        "Sổ đăng ký lớn hơn 64 kB: hãy tải tệp về sửa rồi tải lên, hoặc sửa từng trụ sở.",
        "The registry is larger than 64 kB: download it, edit it and upload it, or edit one office "
        "at a time.",
    ),
    "registry_review": Phrase("Xem thay đổi", "Review changes"),
    "registry_retire": Phrase("Ngừng dùng trạm này", "Retire this probe"),
    "registry_retire_note": Phrase(
        "Trạm và các đường truyền ra khỏi sổ đăng ký và các báo cáo; kết quả đã đo vẫn được lưu.",
        "The probe and its lines leave the registry and the reports; stored results are kept.",
    ),
    "registry_move_note": Phrase(
        "Gõ tên hoặc mã xã. Chuyển trạm sang xã khác thì số liệu đã đo cũng tính cho xã mới.",
        "Type the name or code. When a probe is moved, its earlier figures move with it.",
    ),
    "registry_plan_note": Phrase(
        "Đổi gói cước: ghi tốc độ mới và ngày gói bắt đầu có hiệu lực. Để trống mã đường truyền để "
        "bỏ đường truyền; đường truyền mới để trống mã thì lấy mã của nhà mạng.",
        "To change a plan, enter the new speeds and the day on which it takes effect. Leave a "
        "line's id empty to remove it; a new line without an id gets the ISP's.",
    ),
    "registry_newest": Phrase("Thay đổi mới nhất", "Newest changes"),
    "registry_older": Phrase("Thay đổi cũ hơn", "Older changes"),
    "registry_done": Phrase("Đã áp dụng thay đổi.", "The change was applied."),
    "registry_empty": Phrase(
        "Sổ đăng ký còn trống. Thêm trạm đo đầu tiên, hoặc tải tệp lên ở trang «Cả sổ đăng ký».",
        "The registry is empty. Add the first probe, or upload a file on “The whole registry”.",
    ),
    "registry_all_changes": Phrase("Mọi thay đổi đã áp dụng", "All changes"),
    "tenant": Phrase("Đơn vị (tenant)", "Tenant"),
    "line_id": Phrase("Mã đường truyền", "Line id"),
    "isp_of_line": Phrase("Nhà mạng", "ISP"),
    "plan_down": Phrase("Gói tải xuống, Mbit/s", "Plan down, Mbit/s"),
    "plan_up": Phrase("Gói tải lên, Mbit/s", "Plan up, Mbit/s"),
    "plan_from": Phrase("Gói có hiệu lực từ", "Plan in force from"),
    "technology": Phrase("Công nghệ", "Technology"),
    "technology_fibre": Phrase("cáp quang", "fibre"),
    "technology_cable": Phrase("cáp đồng trục", "cable"),
    "technology_dsl": Phrase("xDSL", "DSL"),
    "technology_fixed_wireless": Phrase("vô tuyến cố định", "fixed wireless"),
    "technology_satellite": Phrase("vệ tinh", "satellite"),
    "technology_other": Phrase("khác", "other"),
    "registry_former_codes": Phrase(
        "Mã xã cũ trong tệp, được hiểu là mã hiện nay",
        "Former codes of communes in the file, taken as the present ones",
    ),
    "thing_commune_table": Phrase("Bảng xã, phường mới từ ngày", "Newer table of communes of"),
    "thing_commune": Phrase("Xã, phường", "Commune"),
    "thing_isp": Phrase("Nhà mạng", "ISP"),
    "thing_group": Phrase("Nhóm", "Group"),
    "thing_probe": Phrase("Trạm đo", "Probe"),
    "thing_line": Phrase("Đường truyền", "Line"),
    "thing_of": Phrase("của", "of"),
    "plan_since": Phrase("từ", "from"),
    "field_id": Phrase("mã", "id"),
    "field_name": Phrase("tên", "name"),
    "field_prefixes": Phrase("dải địa chỉ", "prefixes"),
    "field_communes": Phrase("các xã", "communes"),
    "field_tenant": Phrase("đơn vị", "tenant"),
    "field_probe": Phrase("trạm", "probe"),
    "field_commune": Phrase("xã", "commune"),
    "field_office": Phrase("trụ sở", "office"),
    "field_installed_on": Phrase("ngày lắp", "installed on"),
    "field_isp": Phrase("nhà mạng", "ISP"),
    "field_plan_down_bps": Phrase("tốc độ gói tải xuống", "plan download"),
    "field_plan_up_bps": Phrase("tốc độ gói tải lên", "plan upload"),
    "field_contract_date": Phrase("gói có hiệu lực từ", "plan in force from"),
    "field_technology": Phrase("công nghệ", "technology"),
    "field_place": Phrase("thứ tự", "order"),
    "field_code": Phrase("mã", "code"),
    "field_kind": Phrase("loại", "kind"),
    "field_province_code": Phrase("mã tỉnh", "province code"),
    "field_province_name": Phrase("tỉnh", "province"),
    "field_latitude": Phrase("vĩ độ", "latitude"),
    "field_longitude": Phrase("kinh độ", "longitude"),
    "field_valid_from": Phrase("có từ", "valid from"),
    "field_valid_to": Phrase("đến", "valid to"),
    "registry_record": Phrase("Các thay đổi đã áp dụng", "Change history"),
    "before": Phrase("Trước", "Before"),
    "after": Phrase("Sau", "After"),
}

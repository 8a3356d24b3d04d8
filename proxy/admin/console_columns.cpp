#include "proxy/admin/console_command.h"

namespace sallyport::proxy::admin {

std::vector<console_column> columns_of(const command& c) {
    using enum console_type;
    if (!c.sqlstate.empty()) return {};
    switch (c.what) {
        case verb::show_holds:
            return {{"id", int8},
                    {"kind", text},
                    {"state", text},
                    {"user", text},
                    {"target", text},
                    {"rule", text},
                    {"votes", text},
                    {"may_vote", boolean},
                    {"opened_at", timestamptz},
                    {"expires_at", timestamptz},
                    {"reason", text},
                    {"statement", text}};
        case verb::show_hold:
            return {{"field", text}, {"value", text}};
        case verb::approve:
        case verb::deny:
        case verb::request_hold:
        case verb::escalate:
        case verb::reassign:
        case verb::request_opt_out:
        case verb::approve_opt_out:
        case verb::deny_opt_out:
        case verb::revoke_opt_out:
        case verb::break_glass:
        case verb::extend_opt_out:
        case verb::withdraw_vote:
        case verb::withdraw_opt_out_vote:
        case verb::sign_off:
        case verb::finding:
        case verb::set_flag:
        case verb::set_lock:
        case verb::lift_flag:
        case verb::kill:
            return {{"id", int8}, {"result", text}, {"message", text}};
        case verb::show_opt_outs:
            return {{"id", int8},          {"state", text},       {"rule", text},
                    {"user", text},        {"target", text},      {"votes", text},
                    {"may_vote", boolean}, {"from", timestamptz}, {"until", timestamptz},
                    {"uses", int8},        {"max_uses", int8},    {"ticket", text},
                    {"reason", text},      {"kind", text},        {"scope", text}};
        case verb::show_reviews:
            return {{"opt_out", int8},       {"state", text},      {"kind", text},
                    {"rule", text},          {"user", text},       {"uses", int8},
                    {"due_at", timestamptz}, {"overdue", boolean}, {"may_review", boolean},
                    {"reviewer", text},      {"note", text}};
        case verb::show_flags:
            return {{"id", int8},      {"kind", text},    {"about", text},
                    {"subject", text}, {"live", boolean}, {"until", timestamptz},
                    {"set_by", text},  {"reason", text},  {"lifted_by", text}};
        case verb::show_sessions:
            return {{"id", int8},
                    {"user", text},
                    {"address", text},
                    {"application", text},
                    {"target", text},
                    {"state", text},
                    {"started_at", timestamptz},
                    {"hold", int8},
                    {"grant", text},
                    {"server_pid", int8},
                    {"tls", boolean},
                    {"statement", text}};
        case verb::show_rules:
            return {{"id", text},      {"tier", int8},      {"effect", text},    {"on", text},
                    {"do", text},      {"approvers", text}, {"approvals", int8}, {"opt_out", text},
                    {"message", text}, {"note", text},      {"uses", int8}};
        case verb::show_stats:
            return {{"holds_pending", int8},
                    {"opt_outs_requested", int8},
                    {"opt_outs_live", int8},
                    {"sessions", int8},
                    {"healthy", boolean}};
        case verb::show_deliveries:
            return {{"channel", text},
                    {"to", text},
                    {"state", text},
                    {"waiting", int8},
                    {"delivered", int8},
                    {"failures", int8},
                    {"given_up", int8},
                    {"failing_since", timestamptz},
                    {"last_delivered", timestamptz},
                    {"error", text}};
        case verb::show_version:
            return {{"version", text}};
        case verb::help:
            return {{"command", text}, {"does", text}};
        case verb::driver_select:
            return {{c.word, c.word == "?column?"            ? int8
                             : c.word == "pg_is_in_recovery" ? boolean
                                                             : text}};
        case verb::driver_show:
            return {{c.word, text}};
        case verb::nothing:
        case verb::reload:
        case verb::driver_command:
        case verb::count_:
            break;
    }
    return {};
}

}  // namespace sallyport::proxy::admin

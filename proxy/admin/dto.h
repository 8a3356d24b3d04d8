#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/admin/authority.h"
#include "proxy/admin/desk.h"
#include "proxy/admin/token_desk.h"

/// JSON of the API ⇄ values. The wire format of the API is defined here and nowhere else.
///
/// Text that is not UTF-8 (a statement in another encoding) is shown with U+FFFD in place of the
/// bad bytes, and the exact bytes are beside it as NAME_base64. Times are RFC 3339 in UTC; a time
/// that has not come is null.
namespace sallyport::proxy::admin {

/// A request's body, or one sentence that says what is wrong with it.
template <class T>
struct parsed {
    T value{};
    std::string error;  ///< "" exactly when `value` counts
};

struct credentials {
    std::string user;
    std::string password;  ///< wiped by the caller
};
struct reason_body {
    std::string reason;
};

// Bodies: one JSON object; unknown and doubled members are errors, "" stands for {}.
[[nodiscard]] parsed<credentials> parse_login(std::string_view body);
/// {reason?, pass?, for?}
[[nodiscard]] parsed<hold_ballot> parse_approval(std::string_view body);
[[nodiscard]] parsed<hold_wish> parse_hold_wish(std::string_view body);
[[nodiscard]] parsed<assignment_wish> parse_assignment(std::string_view body);
/// {reason}; `needed` no: {reason?}
enum class reason_is : std::uint8_t { optional, needed };
[[nodiscard]] parsed<reason_body> parse_reason(std::string_view body, reason_is needed);
/// {rule, for, reason, ticket?, target?, from?, group?, application?, on?, do?, shape?,
/// break_glass?}
[[nodiscard]] parsed<opt_out_wish> parse_opt_out(std::string_view body);
/// {for, reason, ticket?}
[[nodiscard]] parsed<extension_wish> parse_extension(std::string_view body);
/// {note?}; `needed`: {note}
[[nodiscard]] parsed<reason_body> parse_note(std::string_view body, reason_is needed);
/// {principal | application | address | target | rule, for, reason}: exactly one of the five.
[[nodiscard]] parsed<policy::flag_request> parse_flag(std::string_view body, policy::flag_kind k);
/// {as?, groups?, on, sql?, application?, address?}
[[nodiscard]] parsed<explain_question> parse_explain(std::string_view body);
/// {policy}: its text
[[nodiscard]] parsed<std::string> parse_candidate(std::string_view body);
/// {name, scopes, for, owner?}
[[nodiscard]] parsed<token_wish> parse_token(std::string_view body);
/// {}
[[nodiscard]] parsed<reason_body> parse_nothing(std::string_view body);

// Answers. Each is one JSON object as text.
[[nodiscard]] std::string holds_json(const std::vector<policy::hold>& holds, const actor& reader);
/// `with_transaction`: its member `transaction` is there, null for none.
enum class with_transaction : std::uint8_t { no, yes };
[[nodiscard]] std::string hold_json(const policy::hold& h, const actor& reader,
                                    with_transaction w = with_transaction::no,
                                    const std::optional<open_transaction>& open = {});
[[nodiscard]] std::string opt_outs_json(const std::vector<policy::opt_out>& all,
                                        const actor& reader, const policy::rule_set* rules);
[[nodiscard]] std::string opt_out_json(const policy::opt_out& o, const actor& reader,
                                       const policy::rule_set* rules);
[[nodiscard]] std::string reviews_json(const std::vector<policy::review>& all, const actor& reader,
                                       const policy::rule_set* rules, policy::instant now);
[[nodiscard]] std::string flags_json(const std::vector<policy::flag>& all, policy::instant now);
[[nodiscard]] std::string sessions_json(const std::vector<session_info>& all);
/// `uses`: since the start; `now`: whether an exception's `review_by` has passed.
[[nodiscard]] std::string rules_json(const policy::rule_set& rules, const rule_counts& uses = {},
                                     policy::instant now = {},
                                     const std::map<std::string, rule_hits>& hits = {});
[[nodiscard]] std::string audit_json(const std::vector<audit::parsed_line>& newest_first);
[[nodiscard]] std::string story_json(const audit::story_subject& s, const audit::story& found);
[[nodiscard]] std::string verification_json(const verification::state& v);
/// A problem with `faults` when nothing was reloaded.
[[nodiscard]] std::string reload_json(const reload_answer& r);
[[nodiscard]] std::string answer_json(const approval::answer& a);
/// `token` is "" except right after login.
[[nodiscard]] std::string login_json(const actor& a, const std::string& token,
                                     const std::string& csrf, policy::instant expires_at,
                                     policy::instant now);
[[nodiscard]] std::string new_token_json(const store::api_token& t, const std::string& text);
[[nodiscard]] std::string tokens_json(const std::vector<store::api_token>& all,
                                      policy::instant now);
[[nodiscard]] std::string health_json(const std::vector<std::pair<std::string, bool>>& checks,
                                      const std::vector<std::string>& notes);
[[nodiscard]] std::string event_json(const approval::steward::change_event& e);

}  // namespace sallyport::proxy::admin

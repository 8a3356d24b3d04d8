#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/notice.h"
#include "proxy/notify/settings.h"

/// Notices as text for people and as bodies of requests. Pure. Nothing in them acts: control
/// characters and direction marks are written out everywhere; in chat messages mentions, links and
/// markup of others stand as plain characters.
namespace sallyport::proxy::notify {

/// "alice waits for approval on shop (hold 7)": who and what, in one line.
[[nodiscard]] std::string headline(const policy::notice& n);
/// Label and value of what else is known, in reading order, the statement last and whole.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> facts_of(const policy::notice& n);
/// Where to act on it: BASE/holds/7, BASE/opt-outs/3, BASE/reviews/4, BASE/flags, BASE.
[[nodiscard]] std::string link_to(const std::string& base, const policy::notice& n);

/// The body in a channel's form; `key` is the delivery's.
[[nodiscard]] std::string render(form f, const policy::notice& n, const std::string& key,
                                 const std::string& base);

/// Text of others in a chat message: visible, no mentions, no live links.
[[nodiscard]] std::string tame(std::string_view text);
/// … for Slack's text objects besides: &, < and > as entities, so that nothing is parsed.
[[nodiscard]] std::string slack_text(std::string_view text);
/// At most `characters`, cut with an ellipsis.
[[nodiscard]] std::string cut_text(std::string_view text, std::size_t characters);

}  // namespace sallyport::proxy::notify

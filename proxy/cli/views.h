#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

/// Answers of the API as text for people. Pure; total: members that are missing or of another type
/// than expected are left out.
namespace sallyport::proxy::cli {

struct screen {
    std::size_t width = 100;
    long long now_ms = 0;  ///< since the epoch, UTC
    bool colours = false;
};

[[nodiscard]] std::string show_holds(const std::string& json, const screen& s);
[[nodiscard]] std::string show_hold(const std::string& json, const screen& s);
[[nodiscard]] std::string show_opt_outs(const std::string& json, const screen& s);
[[nodiscard]] std::string show_opt_out(const std::string& json, const screen& s);
[[nodiscard]] std::string show_sessions(const std::string& json, const screen& s);
[[nodiscard]] std::string show_rules(const std::string& json, const screen& s);
[[nodiscard]] std::string show_reviews(const std::string& json, const screen& s);
[[nodiscard]] std::string show_flags(const std::string& json, const screen& s);
[[nodiscard]] std::string show_deliveries(const std::string& json, const screen& s);
[[nodiscard]] std::string show_report(const std::string& json, const screen& s);
[[nodiscard]] std::string show_story(const std::string& json, const screen& s);
[[nodiscard]] std::string show_tokens(const std::string& json, const screen& s);
[[nodiscard]] std::string show_me(const std::string& json, const screen& s);
/// The sentence of an answer: "Hold 7 is approved."
[[nodiscard]] std::string show_answer(const std::string& json, const screen& s);
/// The same JSON, indented, in ASCII alone: safe on any terminal.
[[nodiscard]] std::string pretty(const std::string& json);

/// A problem's detail and next step; a sentence of our own when the body is none.
struct problem_text {
    std::string detail;
    std::string next;
};
[[nodiscard]] problem_text read_problem(unsigned status, const std::string& json);

/// A string member of a JSON object, "" if there is none. Not made visible.
[[nodiscard]] std::string member(const std::string& json, const std::string& name);

/// The numbers of the holds in a list, as text.
[[nodiscard]] std::vector<std::string> hold_ids(const std::string& json);

// Bodies of requests.
[[nodiscard]] std::string login_body(const std::string& user, const std::string& password);
/// Members with an empty value are left out.
[[nodiscard]] std::string body(const std::vector<std::pair<std::string, std::string>>& members);
/// … and with these lists and flags.
struct more_members {
    std::vector<std::pair<std::string, std::vector<std::string>>> lists;
    std::vector<std::string> true_ones;
};
[[nodiscard]] std::string body(const std::vector<std::pair<std::string, std::string>>& members,
                               const more_members& more);

}  // namespace sallyport::proxy::cli

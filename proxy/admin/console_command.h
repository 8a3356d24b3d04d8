#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/opt_out.h"
#include "proxy/console.h"

/// The language of the console: text to command. Pure.
namespace sallyport::proxy::admin {

enum class verb : std::uint8_t {
    nothing,  ///< an empty statement, or only comments
    show_holds,
    show_hold,
    approve,
    deny,
    request_hold,
    escalate,
    reassign,
    show_opt_outs,
    request_opt_out,
    approve_opt_out,
    deny_opt_out,
    revoke_opt_out,
    break_glass,
    extend_opt_out,
    withdraw_vote,
    withdraw_opt_out_vote,
    show_reviews,
    sign_off,
    finding,
    show_flags,
    set_flag,
    set_lock,
    lift_flag,
    show_sessions,
    kill,
    show_rules,
    show_stats,
    show_deliveries,
    show_version,
    reload,
    help,
    // What drivers say by themselves.
    driver_select,   ///< SELECT 1, SELECT version() …: one row known beforehand
    driver_show,     ///< SHOW server_version …
    driver_command,  ///< SET, BEGIN, COMMIT …: nothing to do
    count_
};

struct command {
    verb what = verb::nothing;
    std::uint64_t id = 0;
    bool all = false;
    std::optional<std::string> reason;
    std::optional<policy::pass_scope> pass;
    std::optional<policy::milliseconds> for_;
    std::string rule;
    std::string ticket;
    std::string target;
    policy::opt_out_scope scope;  ///< APPLICATION, ON, DO, SHAPE
    std::string group;
    std::optional<policy::instant> from;
    std::optional<policy::flag_on> about;  ///< PRINCIPAL, APPLICATION, ADDRESS, TARGET, RULE …
    std::string subject;                   ///< … and what stood behind it; whom TO names
    std::string word;                      ///< driver_*: column name
    std::string value;                     ///< driver_*: its value; STATEMENT
    std::string tag;                       ///< CommandComplete
    // An error: sqlstate non-empty, the rest above does not count.
    std::string sqlstate;
    std::string message;
    std::string hint;
};

/// Keywords in any case, '…' literals with '' doubled, "…" names, -- and /* */ comments, one
/// optional ';' at the end. Total: any bytes give a command or an error.
[[nodiscard]] command parse_command(std::string_view text);

/// Columns of a command's rows, empty when it has none.
[[nodiscard]] std::vector<console_column> columns_of(const command& c);

/// One line of HELP for each command.
struct help_line {
    std::string form;
    std::string does;
};
[[nodiscard]] std::vector<help_line> help_lines();

}  // namespace sallyport::proxy::admin

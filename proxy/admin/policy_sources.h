#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

/// What the API tells of a policy beyond its rules.
namespace sallyport::proxy::admin {

/// Decisions of one rule since the proxy's start, as `/metrics` counts them. A statement that is
/// held counts again as `pass` when it is let go.
struct rule_hits {
    std::uint64_t allow = 0;
    std::uint64_t pass = 0;
    std::uint64_t bypass = 0;
    std::uint64_t hold = 0;
    std::uint64_t refuse = 0;
    std::uint64_t deny = 0;
};

/// A policy that somebody thinks of.
struct policy_candidate {
    std::string text;         ///< YAML
    bool with_audit = false;  ///< its reader may see what the log has
};

struct policy_sources {
    std::function<std::map<std::string, rule_hits>()> hits;         ///< by rule id; never blocks
    std::function<std::string()> findings;                          ///< JSON; may block
    std::function<std::string(const policy_candidate&)> candidate;  ///< JSON; may block for seconds
};

}  // namespace sallyport::proxy::admin

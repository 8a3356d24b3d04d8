#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/commands.h"
#include "policy/facts.h"
#include "policy/rule.h"
#include "policy/types.h"

/// Rules in the form in which decide() reads them: per target, with resources resolved.
namespace sallyport::policy {

/// One rule as seen from one target.
struct compiled_rule {
    std::uint32_t index = 0;  ///< in rule_set::rules
    int tier = 0;
    policy::effect effect = policy::effect::allow;
    kind_mask kinds = 0;
    std::vector<const command_word*> commands;
    bool any_action = false;    ///< no `do:`
    bool whole_target = false;  ///< no `on:`, or a resource that is the whole target
    bool everybody = false;     ///< `who:` and `when:` hold for all, always, and it has no end
    bool log = false;
    std::vector<relation_pattern> patterns;  ///< of all its resources on this target
    bool observe = false;
    bool exception = false;
};

/// The rules of one target, and which of them can speak of what: a statement is held against those
/// alone, however many there are.
/// INVARIANT: every list is in the order of rule_set::rules, thus ascending in tier. The others
/// are lists of places in `rules`.
struct compiled_target {
    struct name_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view s) const noexcept {
            return std::hash<std::string_view>{}(s);
        }
    };
    using places = std::vector<std::uint32_t>;
    using by_text = std::unordered_map<std::string, places, name_hash, std::equal_to<>>;

    std::vector<compiled_rule> rules;
    places whole;       ///< those that speak of the target as such, or of `*.*`
    places schemas;     ///< those with a pattern `schema.*`
    by_text by_schema;  ///< the same, by the schema
    by_text by_name;    ///< those with a pattern that names the table
};

struct compiled_rules {
    std::map<std::string, compiled_target, std::less<>> by_target;
    compiled_target elsewhere;  ///< for targets that no resource names

    [[nodiscard]] const compiled_target& of(std::string_view target) const noexcept;
};

/// The places of the rules that can match a use of a relation (null: the target as such), in order.
/// `search_path` as in match_context. A value: a copy goes on from where it was made. The target
/// outlives it.
class rule_walk {
  public:
    rule_walk(const compiled_target& t, const relation_use* use,
              const std::vector<std::string>* search_path) noexcept;
    [[nodiscard]] bool done() const noexcept { return at_ == end_; }
    [[nodiscard]] std::uint32_t at() const noexcept { return at_; }
    void advance() noexcept;

  private:
    static constexpr std::size_t path_max = 5;  // of a longer one, every schema counts
    void add(const compiled_target::by_text& from, std::string_view text) noexcept;
    void find() noexcept;
    std::array<std::span<const std::uint32_t>, 3 + path_max> lists_;
    std::size_t count_ = 0;
    bool every_ = false;
    std::uint32_t at_ = 0;
    std::uint32_t end_ = 0;
};

[[nodiscard]] std::shared_ptr<const compiled_rules> compile(const rule_set& p);

/// Who asks, as `who` and patterns need it.
struct match_context {
    const policy::principal* principal = nullptr;
    std::string_view application;
    std::string_view address;
    const std::vector<std::string>* search_path = nullptr;  ///< empty or null: not known
};

/// Whether a `who:` speaks of the one who asks; unknown when the address cannot be read.
[[nodiscard]] truth matches(const who& w, const match_context& c) noexcept;

/// Whether patterns cover the use of a relation. For an allow rule everything that the use could
/// mean must be covered (`effect` allow), otherwise it is enough that something is.
[[nodiscard]] bool covers(const std::vector<relation_pattern>& patterns, const relation_use& use,
                          effect e, const match_context& c) noexcept;

/// Parses `schema.name(column, …)`; false, with `why`, if malformed. Names fold as in PostgreSQL.
[[nodiscard]] bool parse_relation_pattern(std::string_view text, relation_pattern& out,
                                          std::string& why);
[[nodiscard]] std::string to_string(const relation_pattern& p);

}  // namespace sallyport::policy

#pragma once

#include <functional>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "policy/load.h"

/// Reading YAML into typed structs with all faults at once: shared by the policy, the configuration
/// and the users file.
namespace sallyport::policy {

/// What a text may cost before it is refused.
struct yaml_limits {
    std::size_t bytes_max = 8u << 20;
    int depth_max = 32;  ///< nested maps and lists
    std::size_t nodes_max = 1'000'000;
};

/// One file being read. Collects faults; never throws for content.
class yaml_reader {
  public:
    /// Reads a text; what is no single UTF-8 document of plain maps, lists and scalars within the
    /// limits (a syntax error, a duplicate key, an anchor, an alias, a tag, a NUL …) becomes a
    /// fault and root() is then null.
    yaml_reader(std::string file, std::string_view text, yaml_limits limits = {});

    [[nodiscard]] const YAML::Node& root() const noexcept { return root_; }
    [[nodiscard]] bool ok() const noexcept { return faults_.empty(); }
    [[nodiscard]] std::vector<fault>& faults() noexcept { return faults_; }

    /// Records a fault at a node's position.
    void fail(const YAML::Node& at, std::string what, std::string code = {});
    void fail_at(YAML::Mark at, std::string what, std::string code = {});

    /// Checks that `map` is a map with only these keys; an unknown key is a fault that names the
    /// nearest known one. False if it is no map.
    bool keys(const YAML::Node& map, std::string_view where,
              std::initializer_list<std::string_view> known);

    /// The member, whose isDefined() is false if there is none; never adds it to the map.
    [[nodiscard]] static YAML::Node member(const YAML::Node& map, const char* key);
    /// A list of strings or one string, each with its node; what is something else is a fault.
    [[nodiscard]] std::vector<std::pair<YAML::Node, std::string>> list(const YAML::Node& map,
                                                                       const char* key);

    /// Typed members; absent → nullopt without a fault, wrong type or range → fault and nullopt.
    std::optional<std::string> text(const YAML::Node& map, const char* key);
    std::optional<bool> boolean(const YAML::Node& map, const char* key);
    std::optional<std::int64_t> integer(const YAML::Node& map, const char* key, std::int64_t min,
                                        std::int64_t max);
    /// "15s", "30m", "4h", "7d", "500ms"; > 0.
    std::optional<milliseconds> duration(const YAML::Node& map, const char* key);
    /// "4MiB", "1GiB", "64KiB", "100"; bytes.
    std::optional<std::uint64_t> bytes(const YAML::Node& map, const char* key);
    /// A list of strings, or one string; duplicates are faults.
    std::vector<std::string> texts(const YAML::Node& map, const char* key);
    /// One of `words`; anything else is a fault with the nearest word.
    std::optional<std::string> word(const YAML::Node& map, const char* key,
                                    std::initializer_list<std::string_view> words);

  private:
    bool acceptable(std::string_view text, const yaml_limits& limits);
    void find_duplicates(const YAML::Node& node);

    std::string file_;
    YAML::Node root_;
    std::vector<fault> faults_;
};

/// The nearest of `known` to `word` by edit distance, "" if none is near.
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& known);
/// The `did you mean` that fits behind a sentence: " (did you mean dba?)", or "" if nothing is
/// near.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       const std::vector<std::string>& known);
/// Parses a duration as yaml_reader::duration does; also for CLI and API.
[[nodiscard]] std::optional<milliseconds> parse_duration(std::string_view text);
[[nodiscard]] std::string format_duration(milliseconds d);

}  // namespace sallyport::policy

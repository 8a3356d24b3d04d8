#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/audit/chain.h"

/// The records of one hold or one opt-out, and a bundle of them that others can verify. What a
/// bundle is stands in README.md beside this.
namespace sallyport::proxy::audit {

inline constexpr std::size_t story_records_max = 10'000;
inline constexpr std::size_t story_bytes_max = 16u << 20;
inline constexpr std::size_t bundle_bytes_max = 32u << 20;
inline constexpr std::size_t bundle_header_bytes_max = 1u << 20;

struct story_subject {
    enum class kind : std::uint8_t { hold, opt_out };
    kind what = kind::hold;
    std::uint64_t id = 0;
    friend bool operator==(const story_subject&, const story_subject&) = default;
};
/// "hold 7", "opt_out 3".
[[nodiscard]] std::string to_string(const story_subject& s);

/// Picks the records of one subject from a log that is shown to it in order: those that name it,
/// those of a pass that the hold granted, and what was tried on it by way of an admin surface.
class story_filter {
  public:
    explicit story_filter(story_subject s);
    [[nodiscard]] bool takes(const parsed_line& line);

  private:
    [[nodiscard]] bool names(const parsed_line& line) const;
    story_subject subject_;
    std::string id_;
    std::set<std::string> passes_;
};

struct story {
    std::vector<parsed_line> records;  ///< oldest first
    bool cut = false;                  ///< there are more than story_records_max, or -bytes_max
};

/// Looks through the whole log. Errors: std::runtime_error when it cannot be read, or not until
/// `give_up_at`.
[[nodiscard]] story read_story(const std::string& directory, const story_subject& s,
                               std::chrono::steady_clock::time_point give_up_at);

/// Signs a message; see signing_key::sign().
using signer = std::function<std::string(std::string_view)>;

/// The story as a bundle, "" when there is no record of the subject. `key_id`: of the key that
/// signs. Errors: std::runtime_error, also when it would be larger than bundle_bytes_max.
[[nodiscard]] std::string make_bundle(const std::string& directory, const story_subject& s,
                                      policy::instant now, const std::string& key_id,
                                      const signer& sign,
                                      std::chrono::steady_clock::time_point give_up_at);

struct bundle_report {
    std::string fault;  ///< "" exactly when everything is as it was written
    story_subject subject;
    std::string made_at;
    std::vector<parsed_line> records;  ///< of the story, oldest first
    std::uint64_t lines = 0;           ///< all that the bundle carries
    std::uint64_t head_sequence = 0;   ///< of the log when it was made
    std::string head_hash;
};
/// Needs nothing but the bundle and the key. Never throws for what is in the bundle.
/// Errors: std::runtime_error if the key cannot be read as one.
[[nodiscard]] bundle_report verify_bundle(std::string_view text, std::string_view public_key_pem);

}  // namespace sallyport::proxy::audit

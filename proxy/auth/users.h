#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/load.h"
#include "policy/types.h"
#include "proxy/auth/scram.h"

/// users.yaml: who exists, how she proves it, in which groups she is.
namespace sallyport::proxy::auth {

struct user {
    policy::principal principal;
    std::optional<scram_verifier> scram;         ///< absent: cannot log in by password
    std::string certificate;                     ///< normalised subject DN, "" = none
    std::optional<policy::instant> valid_until;  ///< exclusive; absent: no end
    [[nodiscard]] bool valid_at(policy::instant now) const noexcept {
        return !valid_until || now < *valid_until;
    }
};

/// All users of one load, immutable. Pointers are valid as long as the directory.
class user_directory {
  public:
    [[nodiscard]] const user* find(std::string_view name) const;
    /// By a certificate's subject in any spelling that normalise_dn() makes equal.
    [[nodiscard]] const user* find_certificate(std::string_view dn) const;
    [[nodiscard]] const std::map<std::string, user, std::less<>>& all() const noexcept {
        return users_;
    }
    /// The iteration count most users have: what mock exchanges show.
    [[nodiscard]] std::uint32_t usual_iterations() const noexcept { return usual_iterations_; }
    [[nodiscard]] std::set<std::string> names() const;
    [[nodiscard]] std::set<std::string> groups() const;

    user_directory() = default;
    explicit user_directory(std::vector<user> users);
    user_directory(const user_directory&) = delete;
    user_directory& operator=(const user_directory&) = delete;

  private:
    std::map<std::string, user, std::less<>> users_;
    std::map<std::string, const user*, std::less<>> by_certificate_;
    std::uint32_t usual_iterations_ = scram_iterations_default;
};
using user_directory_ptr = std::shared_ptr<const user_directory>;

struct loaded_users {
    user_directory_ptr users;             ///< null when there are faults
    std::vector<policy::fault> faults;    ///< in file order
    std::vector<policy::fault> warnings;  ///< file permissions, look-alike names
};

/// Reads users.yaml; every fault at once, never throws for content.
[[nodiscard]] loaded_users load_users(const std::string& path);
[[nodiscard]] loaded_users load_users_text(std::string_view text, const std::string& path);

/// A distinguished name in one spelling: RFC 2253 order, no blanks around separators, attribute
/// types in upper case, escaped UTF-8 (\C3\A9) as UTF-8. "" if it is no DN.
[[nodiscard]] std::string normalise_dn(std::string_view dn);

/// Why a name cannot be a user's, "" if it can: 1-63 bytes of UTF-8, no control characters, no
/// comma (lists of persons are comma-separated), no blank at either end, none of the reserved
/// words.
[[nodiscard]] std::string user_name_fault(std::string_view name);
/// The same for a group's name, without reserved words.
[[nodiscard]] std::string group_name_fault(std::string_view name);

}  // namespace sallyport::proxy::auth

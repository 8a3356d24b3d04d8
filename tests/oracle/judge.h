#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "policy/catalog/resolve.h"
#include "policy/catalog/snapshot.h"
#include "tests/oracle/server_session.h"

/// Our facts of a text against what the server did.
namespace sallyport::tests::oracle {

class judge {
  public:
    explicit judge(policy::catalog::snapshot_ptr snapshot);

    [[nodiscard]] const policy::catalog::snapshot& snapshot() const noexcept { return *snapshot_; }
    [[nodiscard]] policy::catalog::resolution resolve(
        const std::string& sql, const policy::catalog::session_names& names) const;

    /// A relation that the server touched and the facts do not have, or not as written.
    [[nodiscard]] std::optional<std::string> missed(const policy::facts& f,
                                                    const std::vector<touch>& touched) const;
    /// A relation in the facts that the server did not touch, without a reason that is allowed
    /// (tests/README.md).
    [[nodiscard]] std::optional<std::string> needless(
        const policy::facts& f, const std::vector<touch>& touched,
        const policy::catalog::own_objects* own) const;
    /// The server refused a role without rights on the columns `secret`, and the facts do not say
    /// that one is used.
    [[nodiscard]] std::optional<std::string> missed_column(const policy::facts& f,
                                                           const answer& said) const;

  private:
    [[nodiscard]] std::string name_of(std::size_t relation) const;
    [[nodiscard]] bool may_be_needless(const std::string& place) const;
    [[nodiscard]] bool is_sibling(std::uint32_t oid, const policy::facts& f) const;
    [[nodiscard]] bool has_key_with(std::uint32_t oid, const policy::facts& f) const;

    policy::catalog::snapshot_ptr snapshot_;
    std::unordered_map<std::uint32_t, std::size_t> by_oid_;
    std::unordered_map<std::string, std::uint32_t> by_name_;
    std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> keys_;    // both ways
    std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> family_;  // inheritance
};

[[nodiscard]] bool opaque(const policy::facts& f);
/// Relations and reasons, for people.
[[nodiscard]] std::string describe(const policy::facts& f);

}  // namespace sallyport::tests::oracle

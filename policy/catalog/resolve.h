#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/catalog/snapshot.h"
#include "policy/facts.h"

namespace sallyport::policy::catalog {

/// Objects that a session made itself and that no snapshot can have: temporary ones, and what an
/// open transaction has created. Each stands for everything that its definition reached.
class own_objects {
  public:
    /// The name of what any statement may run: a cast, say.
    static constexpr std::string_view anywhere = "";

    /// Notes what a statement defines, with what it reaches. `s`: its resolved facts.
    void note(const statement_facts& s);
    void clear() noexcept {
        by_name_.clear();
        kept_ = 0;
        schemas_moved_ = lost_ = false;
    }
    /// A schema has another name than a snapshot says: a qualified one may be of any.
    [[nodiscard]] bool schemas_moved() const noexcept { return schemas_moved_; }
    /// What defined or changed something of that name, in order; null: nothing did.
    [[nodiscard]] const std::vector<statement_facts>* find(std::string_view name) const;
    [[nodiscard]] bool empty() const noexcept { return by_name_.empty(); }
    /// There was more of it than is kept.
    [[nodiscard]] bool lost() const noexcept { return lost_; }

  private:
    std::unordered_map<std::string, std::vector<statement_facts>> by_name_;
    std::size_t kept_ = 0;
    bool schemas_moved_ = false;
    bool lost_ = false;
};

/// What is known of a session when one of its statements is looked at.
struct session_names {
    /// Effective search_path, in order: current_schemas(true). Null: not known, so a bare name may
    /// be in any schema.
    const std::vector<std::string>* path = nullptr;
    /// Relations of the session's temporary schema, as of when the path was asked for; null: not
    /// known.
    const std::vector<std::string>* temporary = nullptr;
    /// DDL of the open transaction may have taken away what a name stood for: any schema of the
    /// path may have it.
    bool own_ddl = false;
    /// See code_effect::retells: what is read or written may be any column.
    bool retold = false;
    const own_objects* own = nullptr;
    /// standard_conforming_strings has been on since the session began.
    bool strings_conform = true;
    /// rule_set::harmless, sorted; null: nothing is.
    const std::vector<std::string>* harmless = nullptr;
};

struct resolution {
    facts_ptr facts;
    bool path_matters = false;  ///< with the path known, less may be reached
    bool unknown_name = false;  ///< a name that the snapshot does not have
    /// See reach::literals_run_code: the statement may run something as soon as it is parsed.
    bool literals_run_code = false;
};

/// Adds to the facts of a text everything that it reaches by way of the catalog: each relation by
/// its schema, with its road in `place`; reasons of opacity for what cannot be followed; and takes
/// away those that the catalog has answered. Pure; costs a look-up for each name.
/// Errors: a name that neither the snapshot nor the session has makes the statement opaque, and
/// sets `unknown_name`.
[[nodiscard]] resolution resolve(const facts& f, const snapshot& s, const session_names& names);

/// True if running the statements may leave bare names with another meaning: the path is set, or
/// what it finds is defined anew.
[[nodiscard]] bool changes_path(const facts& resolved) noexcept;

}  // namespace sallyport::policy::catalog

#pragma once

#include <string_view>
#include <vector>

#include "policy/catalog/resolve.h"

/// What `a.b` may be besides a column. Internal to policy/catalog.
namespace sallyport::policy::catalog {

/// The attributes of a statement that may be calls: of what is not known to have such a column.
class attribute_calls {
  public:
    /// `names`: of the session that runs the statement; null: of a body, whoever runs it.
    attribute_calls(const statement_facts& s, const snapshot& map, const session_names* names);

    [[nodiscard]] const std::vector<const attribute_use*>& calls() const noexcept { return calls_; }
    /// The use of a relation, of all its columns if one of the calls may get a whole row of it.
    [[nodiscard]] relation_use widened(relation_use u) const;

  private:
    [[nodiscard]] bool is_column(const attribute_use& a) const;
    [[nodiscard]] bool may_be_temporary(const attribute_use& a) const;
    [[nodiscard]] bool shows_row_of(const attribute_use& a, const relation_use& u) const;

    const snapshot& map_;
    const session_names* names_;
    std::vector<const attribute_use*> calls_;
};

/// DROP … IF EXISTS of functions or types whose names nothing has.
[[nodiscard]] bool drops_nothing(const statement_facts& s, const snapshot& map,
                                 const own_objects* own);
/// A relation that the statement names has such a column.
[[nodiscard]] bool names_column(const statement_facts& s, const snapshot& map,
                                std::string_view column);

}  // namespace sallyport::policy::catalog

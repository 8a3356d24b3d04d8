#pragma once

#include <functional>
#include <string>
#include <vector>

#include "policy/catalog/snapshot.h"
#include "policy/facts.h"

/// What DDL on one object does to others, and to the names of the session. Internal to
/// policy/catalog.
namespace sallyport::policy::catalog {

/// DROP … CASCADE takes along the views over a relation and its partitions, those over them, the
/// policies that look into it, and the defaults that a sequence gives.
/// `other`: a relation that goes, or changes; `function`: a function that goes.
void dependents_of_drop(const snapshot& s, const std::vector<index>& dropped,
                        const std::function<void(index other)>& other,
                        const std::function<void(index function)>& function);

/// Relations whose foreign keys stand on what ALTER TABLE takes apart of this one.
[[nodiscard]] std::vector<index> keys_on(const snapshot& s, index relation,
                                         const std::vector<std::string>& taken_apart);

/// The statement creates it: it is nowhere yet.
[[nodiscard]] bool makes(const statement_facts& s, const relation_use& u);
/// CREATE OPERATOR, AGGREGATE … of a function whose arguments say what it does: by the name that it
/// makes, none of them can be looked at.
[[nodiscard]] bool hides_arguments(const statement_facts& s, const std::string& function);
/// A qualified name of a relation that is there: may the session have defined it anew by `own`, or
/// given its name to another?
[[nodiscard]] bool may_be(const statement_facts& own, const relation_use& u);
/// What using `u` in `s` does to `made`, which `own` has defined or altered: what was altered is
/// used under another name, or by way of another.
[[nodiscard]] std::vector<verb> verbs_of_own(const statement_facts& own, const relation_use& made,
                                             const statement_facts& s, const relation_use& u);

}  // namespace sallyport::policy::catalog

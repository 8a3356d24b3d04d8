#include "policy/catalog/resolve.h"

#include "policy/catalog/resolver.h"

namespace sallyport::policy::catalog {

resolution resolve(const facts& f, const snapshot& s, const session_names& names) {
    resolution out;
    auto resolved = std::make_shared<facts>();
    resolved->literal_sensitive = f.literal_sensitive;
    resolved->syntax_error = f.syntax_error;
    resolved->shape = f.shape;
    resolved->parameter_types = f.parameter_types;
    resolved->redacted = f.redacted;
    resolved->statements.reserve(f.statements.size());
    session_names now = names;
    own_objects own;
    for (const auto& one : f.statements) {
        resolved->statements.push_back(resolver{one, f.parameter_types, s, now, out}.run());
        if (f.statements.size() == 1) break;
        now.temporary = nullptr;  // it may have dropped one
        // What one statement of a text changes holds for those behind it.
        if (!resolved->statements.back().settings.empty() || one.may_end_settings())
            now.path = nullptr;
        const auto effects = resolved->statements.back().effects;
        now.own_ddl = now.own_ddl || (effects & code_effect::takes_names) != 0;
        now.retold = now.retold || (effects & code_effect::retells) != 0;
        if (!one.has(kind::ddl) && !one.has(kind::grant)) continue;
        if (now.own != &own && now.own != nullptr) own = *now.own;
        now.own_ddl = true;
        now.own = &own;
        own.note(resolved->statements.back());
    }
    if (f.statements.size() > 1 && now.path == nullptr && names.path != nullptr)
        out.path_matters = false;  // asking the server would not tell
    out.facts = std::move(resolved);
    return out;
}

}  // namespace sallyport::policy::catalog

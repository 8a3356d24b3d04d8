#include <algorithm>
#include <array>

#include "policy/catalog/resolver.h"

/// What the session itself has made or changed, which no snapshot can have.
namespace sallyport::policy::catalog {

namespace {

constexpr std::size_t text_bytes_max = 1'000'000;  // behind one statement

/// The statement stores, renames or gives away code, and runs none of it.
bool only_stores(const std::string& command) noexcept {
    static constexpr std::array commands{std::string_view{"alter aggregate"},
                                         std::string_view{"alter function"},
                                         std::string_view{"alter policy"},
                                         std::string_view{"alter procedure"},
                                         std::string_view{"alter routine"},
                                         std::string_view{"alter trigger"},
                                         std::string_view{"alter view"},
                                         std::string_view{"comment"},
                                         std::string_view{"create aggregate"},
                                         std::string_view{"create cast"},
                                         std::string_view{"create domain"},
                                         std::string_view{"create event trigger"},
                                         std::string_view{"create function"},
                                         std::string_view{"create operator"},
                                         std::string_view{"create policy"},
                                         std::string_view{"create procedure"},
                                         std::string_view{"create rule"},
                                         std::string_view{"create table"},
                                         std::string_view{"create trigger"},
                                         std::string_view{"create type"},
                                         std::string_view{"create view"},
                                         std::string_view{"grant"},
                                         std::string_view{"revoke"}};
    return std::ranges::binary_search(commands, command) || command.starts_with("drop ");
}

/// What has a new name by the statement is code, and may be defined anew by that name.
bool may_rename_code(const std::string& command) noexcept {
    static constexpr std::array commands{
        std::string_view{"alter aggregate"}, std::string_view{"alter domain"},
        std::string_view{"alter function"},  std::string_view{"alter operator"},
        std::string_view{"alter procedure"}, std::string_view{"alter routine"},
        std::string_view{"alter type"}};
    return std::ranges::binary_search(commands, command);
}

}  // namespace

const std::vector<statement_facts>& resolver::own_of(std::string_view name) const {
    static const std::vector<statement_facts> none;
    const auto* own = names_.own == nullptr ? nullptr : names_.own->find(name);
    return own == nullptr ? none : *own;
}

bool resolver::inherit_all(std::string_view name, const relation_use& u) {
    const auto& all = own_of(name);
    if (!u.name.empty())
        for (const auto& own : all)
            inherit(own, u);
    else if (!all.empty() && inherited_.emplace(name).second)
        to_inherit_.emplace_back(name);
    return !all.empty();
}

void resolver::inherit_what_is_left() {
    while (!to_inherit_.empty()) {
        const auto name = std::move(to_inherit_.back());
        to_inherit_.pop_back();
        for (const auto& own : own_of(name))
            inherit(own, {});
    }
}

/// What the definition of an object of the session reached, its use reaches; and what others
/// have made of that since.
void resolver::inherit(const statement_facts& own, const relation_use& u) {
    read_literals(s_.literals_run_code());
    inherit_relations(own, u);
    inherit_code(own);
    keep(u);
}

void resolver::inherit_relations(const statement_facts& own, const relation_use& u) {
    // Written through a view, what it shows is written.
    const bool through =
        u.how == access::write && std::ranges::any_of(own.relations, [&](const auto& made) {
            return made.name == u.name && std::string_view{made.place}.ends_with("create view");
        });
    for (const auto& made : own.relations) {
        if (made.name == u.name && made.schema == u.schema) continue;
        relation_use use = made;
        use.place =
            "defined by " + (own.command.empty() ? "the session" : own.command) + ": " + use.place;
        auto now = s_.relations_once_named(made.schema, made.name);
        for (const index i : s_.relations(made.name))
            if (s_.schema_of(s_.source().relations[i]) == made.schema) now.push_back(i);
        for (const index i : now)
            for (const verb v : verbs_of_own(own, made, in_, u))
                add_use(i, v, use);
        // Code names it, and may do anything with it.
        if (u.name.empty() && made.how == access::write)
            for (const index i : now) {
                relation_use read = use;
                read.how = access::read;
                read.by_code = true;
                add_use(i, verb::read, read);
            }
        if (through && made.how == access::read)
            for (const index i : now) {
                relation_use written = use;
                written.how = access::write;
                written.columns.clear();
                for (const verb v : verbs_of(in_, u))
                    add_use(i, v, written);
            }
        keep(std::move(use));
    }
}

void resolver::inherit_code(const statement_facts& own) {
    const auto* const path = std::exchange(path_, nullptr);
    const std::string place = "defined by " + own.command;
    const auto code = [&](late_name::of what, const std::vector<function_use>& uses) {
        for (const auto& u : uses) {
            named(what, u.schema, u.name, place);
            inherit_all(u.name, {});
        }
    };
    code(late_name::of::function, own.functions);
    code(late_name::of::type, own.types);
    code(late_name::of::operator_, own.operators);
    for (const auto& m : own.mentions)
        inherit_all(m.name, {});
    if (may_rename_code(own.command))
        for (const auto& name : own.new_names)
            inherit_all(name, {});
    path_ = path;
    for (const auto& why : own.opaque_reasons)
        opaque(why);
    if (only_stores(in_.command)) return;
    for (const auto& why : own.when_called)
        opaque(why);
}

void resolver::shown_to_code(std::string_view schema, const std::string& name) {
    relation_use row;
    row.schema = schema;
    row.name = name;
    row.place = "shown to code of this transaction";
    row.by_code = true;
    keep(std::move(row));
}

/// A name in a body may have been nobody's until now.
void resolver::inherit_from_text(index f) {
    const auto& row = s_.source().functions[f];
    if (row.atomic || (row.language != "sql" && row.language != "plpgsql")) return;
    if (!texts_seen_.insert(f).second) return;
    text_bytes_ += row.source.size();
    if (text_bytes_ > text_bytes_max)
        return opaque("it calls more code than is followed behind what the transaction defined");
    if (!each_word(row.source, [this](std::string_view word) { inherit_all(word, {}); }))
        opaque("names in a form that is not read, in " + call_place(f));
}

void resolver::inherit_on_the_way(const reach& r, const relation_use* of) {
    if (!names_.own_ddl || names_.own == nullptr || names_.own->empty()) return;
    const auto& rows = s_.source();
    bool changed = false;
    for (const index f : r.functions) {
        changed = inherit_all(rows.functions[f].name, {}) || changed;
        inherit_from_text(f);
    }
    for (const index t : r.types)
        changed = inherit_all(rows.types[t].name, {}) || changed;
    for (const auto& x : r.relations) {
        const auto& row = rows.relations[x.relation];
        if (tables_seen_.insert(x.relation).second)
            for (const auto& own : own_of(row.name))
                inherit_code(own);
        if (changed && x.how == access::write && !x.road.empty())
            shown_to_code(s_.schema_of(row), row.name);
    }
    if (changed && of != nullptr && of->how == access::write) shown_to_code(of->schema, of->name);
}

}  // namespace sallyport::policy::catalog

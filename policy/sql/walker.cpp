#include "policy/sql/walker.h"

#include <algorithm>

#include "policy/sql/command_name.h"
#include "policy/sql/identifier.h"

namespace sallyport::policy::sql {
namespace {

constexpr int depth_max = 8'000;   // levels of Node; the complexity scan allows fewer
constexpr int text_depth_max = 3;  // query text in query text
constexpr std::size_t opaque_reasons_max = 8;

/// CREATE TEMPORARY … puts a bare name into the session's own schema.
std::string schema_of(const PgQuery__RangeVar& rv) {
    if (rv.schemaname != nullptr && *rv.schemaname != '\0') return cut_identifier(rv.schemaname);
    return rv.relpersistence != nullptr && *rv.relpersistence == 't' ? "pg_temp" : "";
}

/// What a statement in a body means while the body is only stored: names, but no effect on the
/// session.
statement_facts definition_of(statement_facts s) {
    s.settings.clear();
    s.names.clear();
    std::erase_if(s.kinds, [](kind k) {
        return k == kind::session_setting || k == kind::session_identity || k == kind::cursor ||
               k == kind::prepared || k == kind::transaction;
    });
    return s;
}

/// Sets a member for the time of a visit.
template <class T>
class restore {
  public:
    restore(T& member, T value) : member_(member), old_(std::exchange(member, value)) {}
    ~restore() { member_ = old_; }
    restore(const restore&) = delete;
    restore& operator=(const restore&) = delete;

  private:
    T& member_;
    T old_;
};

}  // namespace

with_scope::with_scope(const PgQuery__WithClause& with, const with_scope* outer)
    : outer_(outer), visible_(with.n_ctes) {
    for (std::size_t i = 0; i < with.n_ctes; ++i)
        if (with.ctes[i]->node_case == PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR)
            names_.emplace(with.ctes[i]->common_table_expr->ctename, i);
}

bool with_scope::has(std::string_view name) const {
    for (const with_scope* s = this; s != nullptr; s = s->outer_) {
        const auto at = s->names_.find(name);
        if (at != s->names_.end() && at->second < s->visible_) return true;
    }
    return false;
}

void walker::run(const PgQuery__Node& root) {
    const ProtobufCMessage* m = inside(root);
    const statement_entry* e = m == nullptr ? nullptr : find_statement(root.node_case);
    if (e == nullptr) {
        out_.command = m == nullptr ? "unknown" : std::string{case_name(root.node_case)};
        sensitive_ = true;
        opaque("statement type " + out_.command + " is not known to the analysis");
        return;
    }
    out_.command = command_name(*m, e->command);
    columns_.emplace(*m);
    statement(*e, *m);
    run_pending();
    settle_kinds(out_);
}

void walker::statement(const statement_entry& e, const ProtobufCMessage& m) {
    for (const kind k : e.kinds)
        add_kind(k);
    if (!e.plain) sensitive_ = true;
    const restore<const char*> named{command_, e.command.data()};
    (this->*e.visit)(m);
}

void walker::message(const ProtobufCMessage& m) {
    if (m.descriptor == &pg_query__node__descriptor) {
        node(reinterpret_cast<const PgQuery__Node*>(&m));
        return;
    }
    expression(case_of(m), m);
}

void walker::node(const PgQuery__Node* n) {
    if (n == nullptr) return;
    const ProtobufCMessage* m = inside(*n);
    // What the parser cannot serialise arrives as a Node with nothing set.
    if (m == nullptr)
        opaque("syntax that the parser does not name");
    else
        expression(n->node_case, *m);
}

void walker::nodes(std::size_t n, PgQuery__Node* const* list) {
    for (std::size_t i = 0; i < n; ++i)
        node(list[i]);
}

void walker::members(const ProtobufCMessage& m, std::initializer_list<std::size_t> except) {
    for_each_member(m, except, [this](const ProtobufCMessage& member) { message(member); });
}

void walker::expression(node_case c, const ProtobufCMessage& m) {
    if (depth_ >= depth_max) {
        opaque("nested too deeply");
        return;
    }
    const restore<int> deeper{depth_, depth_ + 1};
    if (const statement_entry* e = find_statement(c)) {
        inner_command(command_name(m, e->command));
        statement(*e, m);
        return;
    }
    switch (c) {
        case PG_QUERY__NODE__NODE_STRING:
        case PG_QUERY__NODE__NODE_A_CONST:
        case PG_QUERY__NODE__NODE_LOCKING_CLAUSE:  // names items of FROM, not relations
            return;
        case PG_QUERY__NODE__NODE_COLUMN_REF:
            column_reference(reinterpret_cast<const PgQuery__ColumnRef&>(m));
            return;
        case PG_QUERY__NODE__NODE_RANGE_VAR:
            relation(reinterpret_cast<const PgQuery__RangeVar&>(m), access_, place_);
            return;
        case PG_QUERY__NODE__NODE_FUNC_CALL:
            function_call(reinterpret_cast<const PgQuery__FuncCall&>(m));
            return;
        case PG_QUERY__NODE__NODE_A_EXPR:
            operator_expression(reinterpret_cast<const PgQuery__AExpr&>(m));
            return;
        case PG_QUERY__NODE__NODE_TYPE_CAST:
            type_cast(reinterpret_cast<const PgQuery__TypeCast&>(m));
            return;
        case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
            range_function(reinterpret_cast<const PgQuery__RangeFunction&>(m));
            return;
        case PG_QUERY__NODE__NODE_CONSTRAINT:
            constraint(reinterpret_cast<const PgQuery__Constraint&>(m));
            return;
        case PG_QUERY__NODE__NODE_TABLE_LIKE_CLAUSE:
            target(reinterpret_cast<const PgQuery__TableLikeClause&>(m).relation, access::read,
                   "like");
            return;
        case PG_QUERY__NODE__NODE_TYPE_NAME:
            type_name(reinterpret_cast<const PgQuery__TypeName&>(m));
            return;
        case PG_QUERY__NODE__NODE_OBJECT_WITH_ARGS:
            object_with_args(reinterpret_cast<const PgQuery__ObjectWithArgs&>(m));
            return;
        case PG_QUERY__NODE__NODE_DEF_ELEM:
            definition_element(reinterpret_cast<const PgQuery__DefElem&>(m));
            return;
        default:
            names_in_expression(c, m);
            if (!is_known_expression(c)) {
                opaque("syntax " +
                       std::string{c == PG_QUERY__NODE__NODE__NOT_SET ? m.descriptor->name
                                                                      : case_name(c)} +
                       " is not known to the analysis");
                return;
            }
    }
    members(m);
}

void walker::target(const PgQuery__RangeVar* rv, access how, const char* place,
                    std::vector<std::string> columns) {
    if (rv == nullptr) return;
    // A target is never a common table expression, whatever WITH says.
    relation({schema_of(*rv), cut_identifier(rv->relname), how, std::move(columns), place});
}

void walker::target_read(const PgQuery__RangeVar* rv, const char* place) {
    if (rv != nullptr) target(rv, access::read, place, columns_->read(*rv));
}

void walker::target_written(const PgQuery__RangeVar* rv, const char* place) {
    if (rv != nullptr) target(rv, access::write, place, columns_->written(*rv));
}

void walker::relation(const PgQuery__RangeVar& rv, access how, const char* place) {
    std::string schema = schema_of(rv);
    if (schema.empty() && scope_ != nullptr && scope_->has(rv.relname)) return;
    relation({std::move(schema), cut_identifier(rv.relname), how, columns_->read(rv), place,
              rv.inh == 0});
}

void walker::relation(relation_use use) {
    if (use.how == access::write && use.name == "pg_settings" &&
        (use.schema.empty() || use.schema == "pg_catalog")) {
        setting_changed("", "", false, true);
        opaque("an UPDATE of pg_settings changes settings that the text does not name");
    }
    std::string key = use.schema;
    key += '\0';
    key += use.name;
    key += '\0';
    key += use.how == access::write ? 'w' : 'r';
    key += use.place;
    const auto [at, added] = seen_relations_.emplace(std::move(key), out_.relations.size());
    if (added) {
        out_.relations.push_back(std::move(use));
        return;
    }
    out_.relations[at->second].only = out_.relations[at->second].only && use.only;
    auto& known = out_.relations[at->second].columns;
    if (known.empty() || use.columns.empty()) {
        known.clear();
        return;
    }
    for (auto& c : use.columns)
        if (std::ranges::find(known, c) == known.end()) known.push_back(std::move(c));
    if (known.size() > 1) std::erase(known, no_column);
}

void walker::relation_text(std::string_view text, access how, const std::string& place) {
    sensitive_ = true;
    const auto parts = split_qualified_name(text);
    const bool is_oid =
        !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
    if (!parts || is_oid) {
        opaque(place + ": the text names no table that can be told");
        return;
    }
    relation({parts->size() > 1 ? (*parts)[parts->size() - 2] : "", parts->back(), how, {}, place});
}

void walker::add_kind(kind k) {
    if (!out_.has(k)) out_.kinds.push_back(k);
}

void walker::opaque_without_catalog(std::string reason) {
    // INVARIANT: never all the reasons that are kept, so that one that stays is never left out.
    auto& reasons = out_.opaque_without_catalog;
    if (reasons.size() < opaque_reasons_max / 2 &&
        out_.opaque_reasons.size() < opaque_reasons_max &&
        std::ranges::find(reasons, reason) == reasons.end())
        reasons.push_back(reason);
    opaque(std::move(reason));
}

void walker::opaque(std::string reason) {
    add_kind(kind::opaque);
    auto& reasons = out_.opaque_reasons;
    if (reasons.size() < opaque_reasons_max && std::ranges::find(reasons, reason) == reasons.end())
        reasons.push_back(std::move(reason));
}

void walker::cursor_or_statement(name_use::action what, std::string_view name, facts_ptr inner) {
    out_.names.push_back({what, cut_identifier(name), std::move(inner)});
}

facts_ptr walker::inner_facts(const PgQuery__Node* query) {
    auto f = std::make_shared<facts>();
    f->statements.emplace_back();
    if (query == nullptr) {
        f->statements.back().kinds = {kind::opaque};
        f->statements.back().opaque_reasons = {"no inner statement"};
        return f;
    }
    walker inner{f->statements.back(), text_depth_};
    inner.depth_ = depth_;
    inner.run(*query);
    f->literal_sensitive = inner.literal_sensitive();
    return f;
}

void walker::run_pending() {
    // Not during the walk: the parser needs the stack that the walk stands on.
    const auto texts = std::exchange(pending_, {});
    if (texts.size() > pending_texts_max) {
        opaque("too many query texts in one statement");
        return;
    }
    for (const auto& p : texts) {
        sensitive_ = true;
        if (text_depth_ >= text_depth_max) {
            opaque("query text inside query text, too deep");
            return;
        }
        const facts_ptr f = analyse_text(p.text, text_depth_ + 1);
        for (const auto& s : f->statements)
            merge(p.defines ? definition_of(s) : s, "text of " + p.function);
    }
}

void walker::inner_command(std::string_view name) {
    auto& known = out_.inner_commands;
    if (std::ranges::find(known, name) == known.end()) known.emplace_back(name);
}

void walker::merge(const statement_facts& inner, const std::string& where) {
    inner_command(inner.command);
    for (const auto& name : inner.inner_commands)
        inner_command(name);
    for (const kind k : inner.kinds)
        add_kind(k);
    for (auto use : inner.relations) {
        use.place = where + ": " + use.place;
        relation(std::move(use));
    }
    for (const auto& f : inner.functions)
        function({f.schema, f.name});
    for (const auto& o : inner.operators)
        operator_name({o.schema, o.name});
    for (const auto& t : inner.types)
        type({t.schema, t.name});
    for (const auto& a : inner.attributes)
        attribute(a);
    for (const auto& x : inner.mentions)
        mention(x);
    for (const auto& r : inner.opaque_without_catalog)
        opaque_without_catalog(where + ": " + r);
    for (const auto& s : inner.settings)
        out_.settings.push_back(s);
    for (const auto& n : inner.names)
        out_.names.push_back(n);
    for (const auto& r : inner.opaque_reasons)
        opaque(where + ": " + r);
}

}  // namespace sallyport::policy::sql

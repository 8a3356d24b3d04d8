#include "policy/sql/functions_table.h"
#include "policy/sql/identifier.h"
#include "policy/sql/walker.h"

/// The names of functions, operators, types and attributes that a statement uses.
namespace sallyport::policy::sql {
namespace {

template <class T>
const T& as(const ProtobufCMessage& m) noexcept {
    return reinterpret_cast<const T&>(m);
}

function_use use_of(const std::vector<std::string_view>& name) {
    return {name.size() > 1 ? cut_identifier(name[name.size() - 2]) : "",
            cut_identifier(name.back())};
}

}  // namespace

/// True when `use` was not named before and there is room for it among the `known`.
bool walker::first_time(char kind, const function_use& use, std::size_t known) {
    std::string key{kind};
    key += use.schema;
    key += '\0';
    key += use.name;
    if (known < names_max) return seen_names_.insert(std::move(key)).second;
    if (!seen_names_.contains(key)) opaque("too many names in one statement");
    return false;
}

void walker::function(const std::vector<std::string_view>& name) {
    if (name.empty()) return;
    function_use use = use_of(name);
    if (first_time('f', use, out_.functions.size())) out_.functions.push_back(std::move(use));
}

void walker::operator_name(const std::vector<std::string_view>& name) {
    if (name.empty()) return;
    function_use use = use_of(name);
    if (first_time('o', use, out_.operators.size())) out_.operators.push_back(std::move(use));
}

void walker::type(const std::vector<std::string_view>& name) {
    if (name.empty()) return;
    function_use use = use_of(name);
    if (first_time('t', use, out_.types.size())) out_.types.push_back(std::move(use));
}

void walker::attribute(attribute_use use) {
    if (is_telling_attribute(use.name))
        opaque_without_catalog(use.name + " may be called by a dot");
    std::string of = use.schema;
    of += '\0';
    of += use.relation;
    if (first_time('a', {std::move(of), use.name}, out_.attributes.size()))
        out_.attributes.push_back(std::move(use));
}

void walker::mention(const function_use& use) {
    if (first_time('m', use, out_.mentions.size())) out_.mentions.push_back(use);
}

void walker::named_operator(std::size_t n, PgQuery__Node* const* name) {
    operator_name(strings_of(n, name));
}

void walker::type_name(const PgQuery__TypeName& t) {
    const auto names = strings_of(t.n_names, t.names);
    if (t.pct_type != 0) {
        // `table.column%TYPE`; the grammar takes a single name too, the server does not.
        if (names.size() > 1)
            relation({names.size() > 2 ? cut_identifier(names[names.size() - 3]) : "",
                      cut_identifier(names[names.size() - 2]),
                      access::read,
                      {cut_identifier(names.back())},
                      "%type"});
    } else if (!is_builtin_type(&t)) {
        type(names);
    }
    members(t.base);
}

/// The grammar reads the value of an option as a type when it looks like one: `(fastupdate = off)`.
void walker::definition_element(const PgQuery__DefElem& e) {
    const std::string_view name = e.defname == nullptr ? "" : e.defname;
    const bool is_type = e.arg != nullptr && e.arg->node_case == PG_QUERY__NODE__NODE_TYPE_NAME;
    if (!is_type || name == "as") members(e.base);
}

void walker::column_reference(const PgQuery__ColumnRef& c) {
    const auto names = strings_of(c.n_fields, c.fields);
    // "" stands for a star.
    if (names.size() < 2 || names.back().empty() || columns_->is_column(c)) return;
    attribute_use use{cut_identifier(names.back()), "", ""};
    const PgQuery__RangeVar* table = columns_->owner(c);
    const bool bare = table != nullptr && (table->schemaname == nullptr || *table->schemaname == 0);
    // A common table expression may have any columns.
    if (table != nullptr && !(bare && scope_ != nullptr && scope_->has(table->relname))) {
        use.relation = cut_identifier(table->relname);
        if (!bare) use.schema = cut_identifier(table->schemaname);
    }
    attribute(std::move(use));
}

void walker::selections(const PgQuery__AIndirection& i) {
    for (std::size_t k = 0; k < i.n_indirection; ++k)
        if (const std::string_view name = string_of(i.indirection[k]); !name.empty())
            attribute({cut_identifier(name), "", ""});
}

/// Operators and functions that stand in a tree without a call.
void walker::names_in_expression(node_case c, const ProtobufCMessage& m) {
    switch (c) {
        case PG_QUERY__NODE__NODE_SUB_LINK: {
            const auto& s = as<PgQuery__SubLink>(m);
            if (s.n_oper_name > 0)
                named_operator(s.n_oper_name, s.oper_name);
            else if (s.sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK)
                operator_name({"="});
            return;
        }
        case PG_QUERY__NODE__NODE_SORT_BY:
            named_operator(as<PgQuery__SortBy>(m).n_use_op, as<PgQuery__SortBy>(m).use_op);
            return;
        case PG_QUERY__NODE__NODE_CASE_EXPR:
            if (as<PgQuery__CaseExpr>(m).arg != nullptr) operator_name({"="});
            return;
        case PG_QUERY__NODE__NODE_JOIN_EXPR:
            if (as<PgQuery__JoinExpr>(m).is_natural != 0 ||
                as<PgQuery__JoinExpr>(m).n_using_clause > 0)
                operator_name({"="});
            return;
        case PG_QUERY__NODE__NODE_A_INDIRECTION:
            selections(as<PgQuery__AIndirection>(m));
            return;
        case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE: {
            // A sampling method is a function, found like any other.
            const auto& s = as<PgQuery__RangeTableSample>(m);
            function(strings_of(s.n_method, s.method));
            return;
        }
        default:
            return;
    }
}

}  // namespace sallyport::policy::sql

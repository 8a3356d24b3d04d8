#include <algorithm>
#include <unordered_set>

#include "policy/sql/identifier.h"
#include "policy/sql/walker.h"

/// Which columns of its one table a statement mentions.
namespace sallyport::policy::sql {
namespace {

/// Collects column names; every trap ends the collection.
class collector {
  public:
    collector(const PgQuery__RangeVar& table, bool names_are_columns)
        : table_(table),
          names_are_columns_(names_are_columns),
          has_alias_(table.alias != nullptr),
          visible_(has_alias_ ? table.alias->aliasname : table.relname) {}

    bool message(const ProtobufCMessage& m) {
        if (m.descriptor == &pg_query__node__descriptor) {
            const auto& n = reinterpret_cast<const PgQuery__Node&>(m);
            const ProtobufCMessage* in = inside(n);
            return in == nullptr || expression(n.node_case, *in);
        }
        return expression(case_of(m), m);
    }
    bool members(const ProtobufCMessage& m) {
        bool sure = true;
        for_each_member(m, {},
                        [&](const ProtobufCMessage& member) { sure = sure && message(member); });
        return sure;
    }
    std::vector<std::string> take() {
        if (columns_.empty()) columns_.emplace_back(no_column);
        return std::move(columns_);
    }

  private:
    bool expression(node_case c, const ProtobufCMessage& m) {
        switch (c) {
            case PG_QUERY__NODE__NODE_STRING:
            case PG_QUERY__NODE__NODE_A_CONST:
            case PG_QUERY__NODE__NODE_TYPE_NAME:
            case PG_QUERY__NODE__NODE_LOCKING_CLAUSE:
                return true;
            case PG_QUERY__NODE__NODE_RANGE_VAR:
                return is_table(m);
            case PG_QUERY__NODE__NODE_COLUMN_REF:
                return column(reinterpret_cast<const PgQuery__ColumnRef&>(m));
            case PG_QUERY__NODE__NODE_RES_TARGET: {
                const auto& t = reinterpret_cast<const PgQuery__ResTarget&>(m);
                if (names_are_columns_ && t.name != nullptr && *t.name != '\0') add(t.name);
                return members(m);
            }
            case PG_QUERY__NODE__NODE_INDEX_ELEM: {
                const auto& e = reinterpret_cast<const PgQuery__IndexElem&>(m);
                if (e.name != nullptr && *e.name != '\0') add(e.name);
                return members(m);
            }
            case PG_QUERY__NODE__NODE_SELECT_STMT: {
                // The VALUES of an INSERT are a SELECT without any relation.
                const auto& s = reinterpret_cast<const PgQuery__SelectStmt&>(m);
                return s.n_values_lists > 0 && s.with_clause == nullptr && members(m);
            }
            case PG_QUERY__NODE__NODE_SUB_LINK:
            case PG_QUERY__NODE__NODE_JOIN_EXPR:
            case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
            case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
            case PG_QUERY__NODE__NODE_RANGE_TABLE_FUNC:
            case PG_QUERY__NODE__NODE_WITH_CLAUSE:
            case PG_QUERY__NODE__NODE_INTO_CLAUSE:
                return false;
            default:
                return members(m);
        }
    }
    [[nodiscard]] bool is_table(const ProtobufCMessage& m) const {
        return &m == &table_.base && (!has_alias_ || table_.alias->n_colnames == 0);
    }
    bool column(const PgQuery__ColumnRef& ref) {
        const auto names = strings_of(ref.n_fields, ref.fields);
        // "" stands for a star: all columns.
        if (std::ranges::find(names, std::string_view{}) != names.end()) return false;
        switch (names.size()) {
            case 1:
                if (names[0] == visible_ || names[0] == table_.relname || names[0] == "excluded")
                    return false;
                break;
            case 2:
                if (names[0] != visible_ && names[0] != "excluded") return false;
                break;
            case 3:
                if (has_alias_ || names[0] != table_.schemaname || names[1] != visible_)
                    return false;
                break;
            default:
                return false;
        }
        add(names.back());
        return true;
    }
    void add(std::string_view name) {
        std::string cut = cut_identifier(name);
        if (seen_.insert(cut).second) columns_.push_back(std::move(cut));
    }

    const PgQuery__RangeVar& table_;
    bool names_are_columns_;
    bool has_alias_;
    std::string_view visible_;
    std::vector<std::string> columns_;
    std::unordered_set<std::string> seen_;
};

}  // namespace

std::optional<std::vector<std::string>> mentioned_columns(const ProtobufCMessage& m,
                                                          const PgQuery__RangeVar& table,
                                                          bool names_are_columns) {
    collector c{table, names_are_columns};
    if (!c.members(m)) return std::nullopt;
    return c.take();
}

bool reads_a_column(const ProtobufCMessage& m) {
    bool found = false;
    for_each_member(m, {}, [&found](const ProtobufCMessage& member) {
        if (found) return;
        const ProtobufCMessage* in = &member;
        if (member.descriptor == &pg_query__node__descriptor)
            in = inside(reinterpret_cast<const PgQuery__Node&>(member));
        if (in == nullptr) return;
        found = in->descriptor == &pg_query__column_ref__descriptor ||
                in->descriptor == &pg_query__sub_link__descriptor || reads_a_column(*in);
    });
    return found;
}

}  // namespace sallyport::policy::sql

#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "policy/sql/tree.h"

/// Which columns of each table a statement mentions, from the text alone.
namespace sallyport::policy::sql {

/// Columns by the place in the tree that names the table. A superset: an unqualified name counts
/// for every table whose columns can be seen where it stands, a star or a whole row for all columns
/// of what it names. What is mentioned anywhere counts (WHERE and ORDER BY tell of values, too),
/// except by the star of EXISTS (SELECT * …). Attributes that turn out to be functions of the row
/// (facts.h) are the catalog's to tell.
/// Shape: an empty list means all columns or unknown; no_column alone, none. `m` must outlive it.
/// Bounded: a statement that mentions too much has all columns everywhere.
/// Source: PostgreSQL 15 src/backend/parser/parse_relation.c, parse_clause.c.
class column_map {
  public:
    explicit column_map(const ProtobufCMessage& statement);

    /// Of a table in FROM, or of a target as far as it is read.
    [[nodiscard]] std::vector<std::string> read(const PgQuery__RangeVar& table) const;
    /// The table that stands before the dot of `a.b`; null: that is not certain.
    [[nodiscard]] const PgQuery__RangeVar* owner(const PgQuery__ColumnRef& ref) const;
    /// The text itself gives what stands before the dot of `a.b` such a column.
    [[nodiscard]] bool is_column(const PgQuery__ColumnRef& ref) const;
    /// Of the target of INSERT, UPDATE or MERGE.
    [[nodiscard]] std::vector<std::string> written(const PgQuery__RangeVar& table) const;

  private:
    using map = std::unordered_map<const PgQuery__RangeVar*, std::vector<std::string>>;
    friend class column_pass;

    map read_;
    map written_;
    std::unordered_map<const PgQuery__ColumnRef*, const PgQuery__RangeVar*> owners_;
    std::unordered_set<const PgQuery__ColumnRef*> certain_;
};

/// True if some expression below reads a column.
[[nodiscard]] bool reads_a_column(const ProtobufCMessage& m);

}  // namespace sallyport::policy::sql

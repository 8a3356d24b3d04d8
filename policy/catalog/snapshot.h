#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "policy/catalog/rows.h"
#include "policy/facts.h"

namespace sallyport::policy::catalog {

using index = std::uint32_t;  ///< into the rows of one kind

/// What a statement does to a relation, as far as different things follow from it.
enum class verb : std::uint8_t { read, insert, update, remove, truncate, define, count_ };
inline constexpr std::size_t verb_count = static_cast<std::size_t>(verb::count_);

/// A relation that naming something brings along.
struct reached {
    index relation = 0;
    access how = access::read;
    bool same_columns = false;         ///< the columns of the use itself (partitions, parents)
    std::vector<std::string> columns;  ///< else these; empty: all, or unknown
    bool inherits = false;             ///< reached as a child of the thing itself: not by ONLY
    bool by_code = false;              ///< a function, type or operator stands on the road
    /// Only if the use itself touches one of these columns; empty: always.
    std::vector<std::string> if_columns;
    std::string road;  ///< "view public.v3 → view public.v2"; "" for the thing itself
};

/// A name in a body that the server resolves when it runs, by the search_path of then.
struct late_name {
    enum class of : std::uint8_t { relation, function, type, operator_, any };
    of what = of::any;
    std::string name;
    verb how = verb::read;  ///< of a relation; `any` may do everything
    std::vector<std::string> columns;
    std::string road;
    /// Only a temporary relation of the session is meant: these stand before a fixed path, too.
    bool temporary = false;
};

/// Why it is not known what an object reaches.
struct doubt {
    std::string why;
    /// What a policy can list to say that it is harmless: "language:plperl", "extension:ip4r",
    /// "function:public.f", "server:archive". See rule_set::harmless.
    std::vector<std::string> unless;
    friend bool operator==(const doubt&, const doubt&) = default;
};

inline constexpr const char* any_schema = "*";

/// Everything that naming one object reaches, itself included.
struct reach {
    std::vector<reached> relations;
    std::vector<late_name> late;
    std::vector<doubt> opaque;  ///< reasons, with their roads
    /// On the way, itself included: what a session makes of them now is not in the snapshot.
    std::vector<index> functions;
    std::vector<index> types;
    /// Put in force by SET clauses of functions on the way; any_schema among them: the path may be
    /// another one than the session's when the names are looked up.
    std::vector<std::string> schemas;
    bool changes_settings = false;  ///< may change search_path, role, or how SQL is read
    /// The code on the way has a backslash in a plain string: read as if
    /// standard_conforming_strings were on wherever it runs.
    bool strings_matter = false;
    /// A type on the way runs code of the database's own when a literal of it is read (CHECK of a
    /// domain), which a server does as soon as it parses the statement.
    bool literals_run_code = false;
    std::uint8_t effects = 0;  ///< of the code on the way, see code_effect
};

/// One database's catalog, understood: immutable, shared between threads.
class snapshot {
  public:
    [[nodiscard]] const rows& source() const noexcept { return rows_; }

    [[nodiscard]] std::span<const index> relations(std::string_view name) const noexcept;
    [[nodiscard]] std::span<const index> functions(std::string_view name) const noexcept;
    [[nodiscard]] std::span<const index> types(std::string_view name) const noexcept;
    [[nodiscard]] std::span<const index> operators(std::string_view name) const noexcept;
    [[nodiscard]] bool has_schema(std::string_view name) const noexcept;
    [[nodiscard]] bool is_builtin_function(std::string_view name) const noexcept;
    [[nodiscard]] std::string_view schema_of(const relation_row& r) const noexcept;
    [[nodiscard]] std::string_view schema_of(const function_row& f) const noexcept;
    [[nodiscard]] std::string_view schema_of(const type_row& t) const noexcept;
    [[nodiscard]] std::string_view schema_of(const operator_row& o) const noexcept;

    [[nodiscard]] const reach& of_relation(index i, verb v) const noexcept;
    /// What reading a view reaches when only some of its columns are read: [0] none of them, [k]
    /// the k-th. Empty: it is no view, or its columns are not told apart.
    [[nodiscard]] std::span<const reach> of_outputs(index i) const noexcept;
    [[nodiscard]] const reach& of_function(index i) const noexcept;
    [[nodiscard]] const reach& of_type(index i) const noexcept;
    [[nodiscard]] const reach& of_operator(index i) const noexcept;
    /// What any statement may reach: casts and comparisons of the server's own types.
    [[nodiscard]] const reach& everywhere() const noexcept { return everywhere_; }
    /// Functions that DDL fires.
    [[nodiscard]] std::span<const index> event_triggers() const noexcept { return event_triggers_; }
    [[nodiscard]] std::span<const index> type_of(oid id) const noexcept;
    /// Types whose names are those of the server's own, which a path may put before these.
    [[nodiscard]] std::span<const index> namesakes() const noexcept { return namesakes_; }
    /// See reach::literals_run_code; false: that of nothing is set.
    [[nodiscard]] bool literals_run_code() const noexcept { return literals_run_code_; }
    /// A function of that name may be called with one argument, so by `a.b`.
    [[nodiscard]] bool has_function_of_one(std::string_view name) const noexcept;
    /// Every relation of that name (and schema, unless "") has the column, and there is one.
    [[nodiscard]] bool has_column(std::string_view schema, std::string_view relation,
                                  std::string_view column) const noexcept;
    /// Columns that a generated column of the relation is made of; empty: it is none.
    [[nodiscard]] std::span<const std::string> made_of(index relation,
                                                       std::string_view column) const noexcept;
    /// Names that the relation had in earlier snapshots ("pii.customers"): rules that spoke of it
    /// still do.
    [[nodiscard]] std::span<const relation_name> former_names(index relation) const noexcept;
    /// Adds those that columns of it had.
    void add_former_names(index relation, std::vector<std::string>& columns) const;
    /// What a later snapshot of the same database has to know of this one.
    [[nodiscard]] past_names past() const;
    /// Those that had this name in an earlier snapshot.
    [[nodiscard]] std::vector<index> relations_once_named(std::string_view schema,
                                                          std::string_view name) const;

    /// See build().
    snapshot(rows r, const past_names& before);

  private:
    friend class graph;
    using by_name = std::unordered_map<std::string_view, std::vector<index>>;

    [[nodiscard]] std::span<const std::string> former_names(index relation,
                                                            std::string_view column) const;
    [[nodiscard]] std::string_view schema_name(oid schema) const noexcept;
    void index_rows();
    void remember(const past_names& before);

    rows rows_;
    std::unordered_map<oid, std::string_view> schema_names_;
    by_name relations_by_name_;
    by_name functions_by_name_;
    by_name types_by_name_;
    by_name operators_by_name_;
    bool literals_run_code_ = false;
    std::vector<index> event_triggers_;
    std::vector<index> namesakes_;
    std::unordered_map<oid, index> relations_by_oid_;
    std::unordered_map<oid, index> functions_by_oid_;
    std::unordered_map<oid, index> types_by_oid_;
    std::unordered_set<oid> row_types_;
    std::unordered_map<oid, index> builtins_by_oid_;
    std::unordered_map<index, std::vector<relation_name>> former_names_;
    std::unordered_map<std::string, std::vector<std::string>> former_columns_;  // "oid.column"
    std::unordered_map<std::string, std::vector<std::string>> made_of_;         // "oid.column"
    std::vector<reach> relation_reach_;  // relation * verb_count + verb
    std::unordered_map<index, std::vector<reach>> output_reach_;
    std::vector<reach> function_reach_;
    std::vector<reach> type_reach_;
    std::vector<reach> operator_reach_;
    reach everywhere_;
};
using snapshot_ptr = std::shared_ptr<const snapshot>;

/// Computes what naming each object reaches. Parses the bodies of views and functions: call it on a
/// thread whose stack PostgreSQL's grammar cannot exhaust (sql::big_stack_bytes). `before`: names
/// of the snapshot that this one replaces; those of another database count for nothing. Never
/// throws for content: what cannot be understood is opaque, with its reason.
[[nodiscard]] snapshot_ptr build(rows r, const past_names& before = {});

}  // namespace sallyport::policy::catalog

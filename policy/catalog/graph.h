#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "policy/catalog/snapshot.h"

namespace sallyport::policy::catalog {

/// Where the names of a text are looked up.
struct naming {
    enum class how : std::uint8_t {
        qualified,  ///< the server printed it under an empty search_path: bare names are its own
        fixed,      ///< under `path`
        late        ///< under the path of whoever runs it
    };
    how mode = how::late;
    std::vector<std::string> path;
};

/// What naming each object of a snapshot reaches: a graph of direct uses, closed. Internal to
/// policy/catalog; lives only while a snapshot is built.
class graph {
  public:
    explicit graph(snapshot& s);
    void close();

  private:
    using node = std::uint32_t;
    struct edge {
        node to = 0;
        bool inherits = false;      ///< from a table to one that inherits from it
        bool only_itself = false;   ///< `to` counts, what it reaches does not
        bool same_columns = false;  ///< of a relation: the columns of what names this one
        std::vector<std::string> columns;
        std::vector<std::string> if_columns;
    };
    struct own {
        std::vector<edge> edges;
        std::vector<late_name> late;
        std::vector<doubt> opaque;
        std::vector<std::string> schemas;
        bool changes_settings = false;
        bool strings_matter = false;
        bool shows_settings = false;  ///< an UPDATE of such a view changes them
        bool literals_run_code = false;
        std::uint8_t effects = 0;
    };

    [[nodiscard]] node relation_node(index i, verb v) const noexcept;
    [[nodiscard]] node function_node(index i) const noexcept;
    [[nodiscard]] node type_node(index i) const noexcept;
    [[nodiscard]] node operator_node(index i) const noexcept;
    [[nodiscard]] std::string label(node n) const;
    /// Which relation a node is about.
    [[nodiscard]] std::optional<index> relation_of(node n) const noexcept;
    /// Calls, or may call, what the server did not bring.
    [[nodiscard]] bool runs_code(node n) const noexcept;
    /// Where to go for these columns of a view; empty: to the view as a whole.
    [[nodiscard]] std::vector<std::pair<node, std::string>> outputs_for(
        index view, const std::vector<std::string>& columns) const;

    void add_relations();
    void add_view(index i);
    void add_inheritance();
    void add_expressions();
    void add_triggers();
    void add_rules();
    void add_foreign_keys();
    void add_foreign_tables();
    void add_functions();
    void add_function(index i);
    void add_types();
    void add_operators();
    void add_supports();
    void add_outputs();
    /// Which columns of a relation these uses read; none of them reads it: nothing.
    [[nodiscard]] std::optional<std::vector<std::string>> columns_of(
        index relation, const std::vector<relation_use>& uses) const;

    void add_text(std::span<const node> from, std::string_view sql, const naming& names);
    void add_text(node from, std::string_view sql, const naming& names);
    void add_facts(node from, const statement_facts& s, const naming& names);
    void add_relation_use(node from, const statement_facts& s, const relation_use& use,
                          const naming& names);
    void add_mention(node from, const function_use& m, const naming& names);
    void add_named(node from, late_name::of what, const function_use& use, const naming& names);
    void add_attribute(node from, const attribute_use& a, const naming& names);
    void add_code(node from, std::string_view body, const naming& names);
    void add_type(node from, oid type);
    void add_call(node from, oid function);
    void add_unnamed(node from, std::string_view name);
    void add_symbol(node from, std::string_view symbol);
    void add_everywhere(oid function);
    [[nodiscard]] static bool runs_as_another(const function_row& f, const naming& names);
    [[nodiscard]] std::vector<index> with_descendants(oid relation) const;
    void runs_as_owner(index relation, verb v);

    // Code that gets rows of a relation (graph_rows.cpp).
    void add_row_code();
    void add_columns_read(index relation, const expression_row& e);
    void add_row_read(index relation, verb v, std::vector<std::string> columns);
    [[nodiscard]] bool calls_own_code(const statement_facts& s) const;
    [[nodiscard]] std::vector<std::string> key_columns(index relation,
                                                       const std::vector<std::string>& key) const;
    [[nodiscard]] bool a_trigger_sets(index relation,
                                      const std::vector<std::string>& columns) const;
    void opaque(node from, std::string reason);
    void late(node from, late_name n);
    [[nodiscard]] std::vector<node> nodes_named(late_name::of what, std::string_view schema,
                                                std::string_view name, verb how) const;

    [[nodiscard]] reach closure(node from) const;

    snapshot& s_;
    const rows& r_;
    node functions_ = 0;  // first of each kind
    node types_ = 0;
    node operators_ = 0;
    node everywhere_ = 0;  // the one behind them
    node end_ = 0;
    std::vector<own> own_;
    std::vector<std::string> unless_;          // of what is being added: see doubt
    std::unordered_map<index, node> outputs_;  // of a view: the first of its nodes, see add_outputs
    std::vector<index> output_owner_;          // by node - end_
    std::unordered_map<oid, std::vector<oid>> children_;
};

/// Extensions whose functions compute from their arguments only.
[[nodiscard]] bool is_harmless_extension(std::string_view name) noexcept;
/// What a word of a body of code does if it is a command; see code_effect.
[[nodiscard]] std::uint8_t effect_of_word(std::string_view word) noexcept;
/// Which verbs a use of a relation in a statement stands for.
[[nodiscard]] std::vector<verb> verbs_of(const statement_facts& s, const relation_use& use);
/// Why a relation of the server itself tells values of any table; null: it does not.
[[nodiscard]] const char* reveals_any_table(std::string_view schema,
                                            std::string_view name) noexcept;
/// The schema stands in the path where it hides what pg_catalog has.
[[nodiscard]] bool stands_before(const std::vector<std::string>& path,
                                 std::string_view schema) noexcept;
/// Why it tells the text of other sessions' statements, whose literals may be anybody's; null: it
/// does not. Of a function, or of a word of a body: that name may be it.
[[nodiscard]] const char* shows_statements(const relation_use& u) noexcept;
[[nodiscard]] const char* shows_statements(const function_use& f) noexcept;

}  // namespace sallyport::policy::catalog

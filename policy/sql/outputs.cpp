#include "policy/sql/outputs.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "policy/sql/builtin_functions.h"
#include "policy/sql/complexity.h"
#include "policy/sql/lexer.h"
#include "policy/sql/walker.h"

namespace sallyport::policy::sql {

namespace {

constexpr std::size_t work_max = 4u << 20;  // bytes walked for one view
constexpr std::size_t uses_max = 200'000;

// The server's functions that return a set: how many rows there are tells of their arguments, used
// or not. Those whose names begin with pg_ are taken for such, all of them.
constexpr std::array set_returning{
    std::string_view{"aclexplode"},
    std::string_view{"generate_series"},
    std::string_view{"generate_subscripts"},
    std::string_view{"json_array_elements"},
    std::string_view{"json_array_elements_text"},
    std::string_view{"json_each"},
    std::string_view{"json_each_text"},
    std::string_view{"json_object_keys"},
    std::string_view{"json_populate_recordset"},
    std::string_view{"json_to_recordset"},
    std::string_view{"jsonb_array_elements"},
    std::string_view{"jsonb_array_elements_text"},
    std::string_view{"jsonb_each"},
    std::string_view{"jsonb_each_text"},
    std::string_view{"jsonb_object_keys"},
    std::string_view{"jsonb_path_query"},
    std::string_view{"jsonb_path_query_tz"},
    std::string_view{"jsonb_populate_recordset"},
    std::string_view{"jsonb_to_recordset"},
    std::string_view{"regexp_matches"},
    std::string_view{"regexp_split_to_table"},
    std::string_view{"string_to_table"},
    std::string_view{"ts_debug"},
    std::string_view{"ts_parse"},
    std::string_view{"ts_stat"},
    std::string_view{"ts_token_type"},
    std::string_view{"txid_snapshot_xip"},
    std::string_view{"unnest"},
};
static_assert(std::ranges::is_sorted(set_returning));

/// A function that is run, or whose result counts, although its output is not used: one that may be
/// volatile or return a set.
bool counts_unused(const function_use& f) noexcept {
    if (!f.schema.empty() && f.schema != "pg_catalog") return true;
    return !is_builtin_function(f.name) || f.name.starts_with("pg_") ||
           f.name.starts_with("_pg_") || std::ranges::binary_search(set_returning, f.name);
}

bool counts_unused(const statement_facts& s) noexcept {
    return std::ranges::any_of(s.functions, [](const auto& f) { return counts_unused(f); }) ||
           std::ranges::any_of(s.operators, [](const auto& o) {
               return !o.schema.empty() && o.schema != "pg_catalog";
           });
}

/// One SELECT of the text, and its whole list of targets.
struct branch {
    PgQuery__SelectStmt* select = nullptr;
    PgQuery__Node** targets = nullptr;
    std::size_t count = 0;
};

/// The SELECTs of a UNION ALL; false: something makes a row depend on all of its columns.
bool branches_of(PgQuery__SelectStmt& s, std::vector<branch>& out) {
    switch (s.op) {
        case PG_QUERY__SET_OPERATION__SETOP_NONE:
            if (s.n_distinct_clause > 0 || s.n_values_lists > 0 || s.n_target_list == 0)
                return false;
            out.push_back({&s, s.target_list, s.n_target_list});
            return true;
        case PG_QUERY__SET_OPERATION__SETOP_UNION:
            // ORDER BY of the whole names columns by their number.
            return s.all != 0 && s.n_sort_clause == 0 && s.larg != nullptr && s.rarg != nullptr &&
                   branches_of(*s.larg, out) && branches_of(*s.rarg, out);
        default:
            return false;
    }
}

}  // namespace

std::vector<std::vector<relation_use>> outputs_of(std::string_view sql) {
    if (sql.find('\0') != std::string_view::npos || !is_utf8(sql)) return {};
    if (too_complex(measure(sql)) != nullptr) return {};
    tree t{sql};
    if (t.editable() == nullptr || t.editable()->n_stmts != 1) return {};
    PgQuery__Node* const root = t.editable()->stmts[0]->stmt;
    if (root == nullptr || root->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return {};
    std::vector<branch> branches;
    if (!branches_of(*root->select_stmt, branches)) return {};
    const std::size_t count = branches.front().count;
    const bool even = std::all_of(branches.begin(), branches.end(),
                                  [&](const branch& b) { return b.count == count; });
    if (!even || (count + 1) * sql.size() > work_max) return {};

    std::vector<std::vector<relation_use>> out;
    std::vector<std::size_t> always;
    for (std::size_t k = 0; k <= count; ++k) {
        for (const auto& b : branches) {
            b.select->n_target_list = k == 0 ? 0 : 1;
            b.select->target_list = k == 0 ? b.targets : b.targets + (k - 1);
        }
        statement_facts s;
        walker w{s, 0};
        w.run(*root);
        if (k > 0 && counts_unused(s)) always.push_back(k);
        out.push_back(std::move(s.relations));
    }
    std::vector<relation_use> ever;
    for (const std::size_t k : always)
        ever.insert(ever.end(), out[k].begin(), out[k].end());
    if ((count + 1) * ever.size() > uses_max) return {};
    for (auto& uses : out)
        uses.insert(uses.end(), ever.begin(), ever.end());
    return out;
}

}  // namespace sallyport::policy::sql

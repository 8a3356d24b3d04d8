#include <algorithm>
#include <utility>

#include "policy/catalog/graph.h"
#include "policy/sql/outputs.h"

/// What single columns of a view reach.
namespace sallyport::policy::catalog {

namespace {

constexpr std::size_t outputs_max = 500'000;  // columns of views that are told apart

}  // namespace

// A view whose columns are read one by one does not show the others. For each there is a node that
// leads where the view leads, but only to the columns that this output is made of; the first one
// stands for no output at all.
void graph::add_outputs() {
    std::unordered_map<index, std::vector<std::vector<relation_use>>> known;
    for (index i = 0; i < r_.relations.size(); ++i) {
        const auto& r = r_.relations[i];
        if ((r.kind != 'v' && r.kind != 'm') || r.definition.empty()) continue;
        auto outputs = sql::outputs_of(r.definition);
        if (outputs.size() != r.columns.size() + 1) continue;
        if (output_owner_.size() + outputs.size() > outputs_max) break;
        outputs_.emplace(i, end_ + static_cast<node>(output_owner_.size()));
        output_owner_.insert(output_owner_.end(), outputs.size(), i);
        known.emplace(i, std::move(outputs));
    }
    own_.resize(end_ + output_owner_.size());
    for (const auto& [view, outputs] : known) {
        const node reading = relation_node(view, verb::read);
        for (std::size_t k = 0; k < outputs.size(); ++k) {
            own to = own_[reading];
            std::vector<edge> edges;
            for (const auto& e : to.edges) {
                const auto base = e.to < functions_ && e.to % verb_count == 0
                                      ? relation_of(e.to)
                                      : std::optional<index>{};
                const auto columns = base ? columns_of(*base, outputs[k])
                                          : std::optional<std::vector<std::string>>{};
                if (!columns || e.inherits || e.same_columns) {
                    edges.push_back(e);
                    continue;
                }
                const auto nodes = outputs_for(*base, *columns);
                for (const auto& [next, column] : nodes)
                    edges.push_back({next, false, false, false, {column}, {}});
                if (nodes.empty()) edges.push_back({e.to, false, false, false, *columns, {}});
            }
            to.edges = std::move(edges);
            own_[outputs_.at(view) + k] = std::move(to);
        }
    }
}

std::optional<std::vector<std::string>> graph::columns_of(
    index relation, const std::vector<relation_use>& uses) const {
    const auto& r = r_.relations[relation];
    std::optional<std::vector<std::string>> out;
    for (const auto& u : uses) {
        if (u.name != r.name || u.schema != s_.schema_of(r)) continue;
        if (u.columns.empty()) return std::vector<std::string>{};
        if (!out) out.emplace();
        out->insert(out->end(), u.columns.begin(), u.columns.end());
    }
    if (out && out->size() > 1) std::erase(*out, no_column);
    if (out && out->empty()) out->emplace_back(no_column);
    return out;
}

std::vector<std::pair<graph::node, std::string>> graph::outputs_for(
    index view, const std::vector<std::string>& columns) const {
    const auto at = outputs_.find(view);
    if (at == outputs_.end() || columns.empty()) return {};
    std::vector<std::pair<node, std::string>> out{{at->second, std::string{no_column}}};
    const auto& all = r_.relations[view].columns;
    for (const auto& c : columns) {
        if (c == no_column) continue;
        const auto found = std::ranges::find(all, c, &column_row::name);
        if (found == all.end()) return {};
        out.emplace_back(at->second + 1 + static_cast<node>(found - all.begin()), c);
    }
    return out;
}

}  // namespace sallyport::policy::catalog

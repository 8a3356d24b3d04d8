#include "policy/in_session.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <utility>
#include <vector>

#include "policy/sql/builtin_functions.h"

namespace sallyport::policy {

namespace {

using what = name_use::action;

bool runs_a_name(const name_use& u) noexcept {
    return u.what == what::execute || u.what == what::fetch;
}

bool uses_names(const facts& f) noexcept {
    return std::any_of(f.statements.begin(), f.statements.end(), [](const auto& s) {
        return std::any_of(s.names.begin(), s.names.end(), runs_a_name);
    });
}

void make_opaque(statement_facts& s, std::string why) {
    if (!s.has(kind::opaque)) s.kinds.push_back(kind::opaque);
    s.opaque_reasons.push_back(std::move(why));
}

void merge_name(const facts& whole, std::size_t statement, const name_use& u,
                const find_named& find, facts& into) {
    if (!runs_a_name(u)) return;
    const auto maker = u.what == what::execute ? what::prepare : what::declare;
    named_sql found;
    for (std::size_t k = 0; k < statement; ++k)
        for (const auto& made : whole.statements[k].names)
            if (made.what == maker && made.name == u.name) found.facts = made.inner;
    if (!found.facts) {
        found = find(u);
        if (!found.facts) found.doubt = "\"" + u.name + "\" is not a name that this session made";
    }
    if (found.facts)
        into.statements.insert(into.statements.end(), found.facts->statements.begin(),
                               found.facts->statements.end());
    if (found.doubt.empty()) return;
    auto& s = into.statements.emplace_back();
    s.command = u.what == what::execute ? "execute" : "fetch";
    make_opaque(s, std::move(found.doubt));
}

}  // namespace

facts_ptr with_names(const facts_ptr& f, const find_named& find) {
    if (!uses_names(*f)) return f;
    auto merged = std::make_shared<facts>(*f);
    for (std::size_t k = 0; k < f->statements.size(); ++k)
        for (const auto& u : f->statements[k].names)
            merge_name(*f, k, u, find, *merged);
    merged->literal_sensitive = true;
    return merged;
}

facts_ptr with_parsed(const facts_ptr& f, const std::function<bool(const facts_ptr&)>& runs) {
    std::shared_ptr<facts> merged;
    for (const auto& s : f->statements)
        for (const auto& u : s.names) {
            if (u.what != what::prepare || !u.inner || !runs(u.inner)) continue;
            if (!merged) merged = std::make_shared<facts>(*f);
            const auto& inner = u.inner->statements;
            merged->statements.insert(merged->statements.end(), inner.begin(), inner.end());
            merged->literal_sensitive = true;
        }
    return merged ? merged : f;
}

facts_ptr with_prepared(const facts_ptr& f, const std::function<bool(const std::string&)>& known) {
    using control = statement_facts::transaction_control;
    std::shared_ptr<facts> doubtful;
    for (std::size_t k = 0; k < f->statements.size(); ++k) {
        const auto& s = f->statements[k];
        if (s.transaction != control::commit_prepared || known(s.prepared_transaction)) continue;
        if (!doubtful) doubtful = std::make_shared<facts>(*f);
        make_opaque(doubtful->statements[k],
                    "what the prepared transaction did is not known (it was not prepared through "
                    "Sallyport since its start), or it passed by an exception that is over or is "
                    "another person's");
    }
    return doubtful ? doubtful : f;
}

std::vector<std::string> path_schemas(std::string_view text) {
    std::vector<std::string> out;
    std::string name;
    bool quoted = false;
    bool was_quoted = false;
    const auto finish = [&] {
        while (!was_quoted && !name.empty() && name.back() == ' ')
            name.pop_back();
        if (!name.empty()) out.push_back(name);
        name.clear();
        was_quoted = false;
    };
    for (const char c : text) {
        if (c == '"') {
            quoted = !quoted;
            was_quoted = true;
        } else if (c == ',' && !quoted) {
            finish();
        } else if (c != ' ' || quoted || !name.empty()) {
            name += quoted || c < 'A' || c > 'Z' ? c : static_cast<char>(c - 'A' + 'a');
        }
    }
    finish();
    return out;
}

void add_search_path(subject& s, std::string_view value) {
    constexpr std::size_t schemas_max = 64;
    auto& schemas = s.search_path_schemas;
    std::size_t at = 0;
    while (at <= value.size() && schemas.size() < schemas_max) {
        const auto end = std::min(value.find(',', at), value.size());
        auto name = value.substr(at, end - at);
        while (!name.empty() && (name.front() == ' ' || name.front() == '\''))
            name.remove_prefix(1);
        while (!name.empty() && (name.back() == ' ' || name.back() == '\''))
            name.remove_suffix(1);
        std::string folded;
        if (name.size() >= 2 && name.front() == '"' && name.back() == '"')
            folded = name.substr(1, name.size() - 2);
        else
            for (const char c : name)
                folded.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
        if (folded == "$user") folded = s.principal.name;
        // SET gives names as the server stores them, a startup parameter as they were written.
        for (const auto& schema : {folded, std::string(name)})
            if (!schema.empty() &&
                std::find(schemas.begin(), schemas.end(), schema) == schemas.end())
                schemas.push_back(schema);
        at = end + 1;
    }
}

void note_search_path(subject& s, const facts& f, const rule_set& rules) {
    for (const auto& st : f.statements)
        for (const auto& c : st.settings) {
            if (c.name == "search_path" && !c.value.empty()) add_search_path(s, c.value);
            const bool to_default =
                st.command == "set" || st.command == "reset" || st.command == "discard";
            if (to_default || !c.value.empty() || (!c.name.empty() && c.name != "search_path"))
                continue;
            for (const auto& [name, resource] : rules.resources)
                for (const auto& r : resource.relations)
                    if (r.schema != "*") add_search_path(s, '"' + r.schema + '"');
        }
}

facts_ptr without_catalog(const facts_ptr& f) {
    const auto foreign = [](const function_use& x) {
        if (x.schema == "pg_catalog" || x.schema == "information_schema") return false;
        return !x.schema.empty() || !sql::is_builtin_function(x.name);
    };
    std::shared_ptr<facts> doubtful;
    for (std::size_t i = 0; i < f->statements.size(); ++i) {
        const auto& functions = f->statements[i].functions;
        const auto at = std::find_if(functions.begin(), functions.end(), foreign);
        if (at == functions.end()) continue;
        if (!doubtful) doubtful = std::make_shared<facts>(*f);
        make_opaque(doubtful->statements[i],
                    "there is no catalog to tell what " + at->name + "() reaches");
    }
    return doubtful ? doubtful : f;
}

}  // namespace sallyport::policy

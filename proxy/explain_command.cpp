#include "proxy/explain_command.h"

#include <fstream>
#include <istream>
#include <optional>
#include <ostream>
#include <utility>

#include "policy/load.h"
#include "proxy/admin/text.h"
#include "proxy/catalog/names_file.h"
#include "proxy/clock.h"
#include "proxy/config.h"
#include "proxy/explain.h"
#include "proxy/explain_catalog.h"
#include "proxy/visible.h"

namespace sallyport::proxy {

namespace {

constexpr std::size_t file_bytes_max = 16u << 20;  // longer than any limits.inspect_bytes is wise

/// Everything that is in the stream; nullopt: it cannot be read, or is longer than that.
std::optional<std::string> read_all(std::istream& in) {
    std::string text(file_bytes_max + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (in.bad() || text.size() > file_bytes_max) return std::nullopt;
    return text;
}

std::optional<std::string> read_text(const std::string& file, std::istream& in) {
    if (file == "-") return read_all(in);
    std::ifstream from(file, std::ios::binary);
    return from ? read_all(from) : std::nullopt;
}

explain_catalog read_catalog(const explain_options& o, const target_settings& t) {
    if (!t.catalog || o.no_catalog || o.question.sql.empty()) return catalog_unasked(t);
    // Only now, and only these: who explains need not be able to read the proxy's own secrets.
    const auto with_secrets = load_settings(o.config, secrets::catalogs);
    if (!with_secrets.faults.empty()) {
        auto out = catalog_unasked(t);
        out.about.how = admin::explained_catalog::state::unreachable;
        out.about.why = policy::to_string(with_secrets.faults.front());
        return out;
    }
    const auto& config = *with_secrets.config;
    return catalog_from_target(config.targets.at(t.name),
                               config.state_sqlite.empty()
                                   ? std::string()
                                   : catalog::names_file(config.state_sqlite, t.name));
}

int code_of(policy::effect e) {
    return e == policy::effect::allow ? 0 : e == policy::effect::hold ? 1 : 3;
}

}  // namespace

int run_explain(explain_options o, std::istream& in, std::ostream& out, std::ostream& err) {
    const auto fail = [&err](const std::string& what) {
        err << "sallyport: " << visible(what, line_breaks::escape) << '\n';
        return 2;
    };
    if (!o.file.empty()) {
        auto text = read_text(o.file, in);
        if (!text)
            return fail("cannot read " + (o.file == "-" ? "standard input" : o.file) +
                        ", or it has more than 16 MiB");
        o.question.sql = std::move(*text);
        if (o.question.sql.empty()) return fail("there is no statement in " + o.file);
    }
    if (!o.at.empty()) {
        o.question.at = admin::parse_iso_time(o.at);
        if (!o.question.at) return fail("--at is a time such as 2026-03-01T09:30:00Z");
    }
    o.question.sees_all = true;
    const auto loaded = load_all(o.config, secrets::skip);
    for (const auto& f : loaded.faults)
        err << policy::to_string(f) << '\n';
    if (!loaded.ok()) return 2;
    const system_clock time;
    explain_catalog catalog;
    if (const auto at = loaded.config->targets.find(o.question.target);
        at != loaded.config->targets.end())
        catalog = read_catalog(o, at->second);
    const auto e =
        explain({*loaded.config, *loaded.users, *loaded.rules, time.now()}, catalog, o.question);
    if (!e.error.empty()) return fail(e.error);
    out << (o.json ? admin::explained_json(e, 2) + "\n" : format_explained(e));
    return o.exit_code ? code_of(e.effect) : 0;
}

}  // namespace sallyport::proxy

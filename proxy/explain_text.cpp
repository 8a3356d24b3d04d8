#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/facts.h"
#include "proxy/admin/text.h"
#include "proxy/explain.h"
#include "proxy/visible.h"

// An explanation for a person at a terminal.
namespace sallyport::proxy {

namespace {

using admin::explained;
using admin::explained_catalog;

constexpr std::size_t columns = 80;
constexpr std::size_t label_columns = 10;
constexpr std::size_t text_bytes_max = 2'000;
constexpr std::size_t word_bytes_max = 400;
constexpr std::size_t statements_max = 20;
constexpr std::size_t tokens_max = 60;
constexpr std::size_t relations_max = 60;  // of one statement
constexpr std::size_t list_max = 40;
constexpr std::size_t rules_max = 200;

std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }));
}

/// Text of anybody, cut and on one line.
std::string shown(std::string_view text, std::size_t bytes_max = word_bytes_max) {
    if (text.size() <= bytes_max) return visible(text, line_breaks::escape);
    auto end = bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
        --end;
    return visible(text.substr(0, end), line_breaks::escape) + "… (" + std::to_string(text.size()) +
           " bytes)";
}

/// Lines of at most 80 columns: a label, and words that go on under themselves.
class page {
  public:
    /// `text` has been shown(): words are what stands between blanks.
    void line(std::size_t indent, std::string_view label, std::size_t hang, std::string_view text) {
        std::string now(indent, ' ');
        now += label;
        const auto begin = std::max(hang, indent);
        if (!label.empty() && width(now) + 1 > begin) {
            flush(now);
        }
        now.resize(now.size() + (begin > width(now) ? begin - width(now) : 0), ' ');
        bool first = true;
        std::size_t at = 0;
        while (at < text.size()) {
            const auto end = std::min(text.find(' ', at), text.size());
            const auto word = text.substr(at, end - at);
            at = end + 1;
            if (word.empty()) continue;
            if (!first && width(now) + 1 + width(word) > columns) {
                flush(now);
                now.assign(begin, ' ');
                first = true;
            }
            if (!first) now += ' ';
            now += word;
            first = false;
        }
        flush(now);
    }
    void field(std::string_view label, std::string_view text) {
        line(0, label, label_columns, text);
    }
    void blank() { out_ += '\n'; }
    [[nodiscard]] std::string take() { return std::move(out_); }

  private:
    void flush(std::string& now) {
        while (!now.empty() && now.back() == ' ')
            now.pop_back();
        out_ += now + '\n';
        now.clear();
    }
    std::string out_;
};

std::string listed(const std::vector<std::string>& all, std::string_view by = ", ") {
    std::string out;
    for (std::size_t i = 0; i < all.size() && i < list_max; ++i) {
        if (i > 0) out += by;
        out += shown(all[i]);
    }
    if (all.size() > list_max)
        out += std::string(by) + "… and " + std::to_string(all.size() - list_max) + " more";
    return out;
}

std::string age_of(policy::milliseconds age) {
    if (age < std::chrono::seconds(1)) return std::to_string(age.count()) + " ms";
    if (age < std::chrono::minutes(2)) return std::to_string(age.count() / 1000) + " s";
    return std::to_string(age.count() / 60'000) + " min";
}

std::string counted(std::size_t n, std::string_view what) {
    return std::to_string(n) + " " + std::string(what) + (n == 1 ? "" : "s");
}

std::string version_of(std::uint64_t number) {
    return std::to_string(number / 10'000) + "." + std::to_string(number % 10'000);
}

std::string catalog_of(const explained& e) {
    using state = explained_catalog::state;
    const auto& c = e.catalog;
    const auto where = shown(c.database) + " at " + shown(c.server);
    switch (c.how) {
        case state::none:
            return "none: the target has no catalog: login";
        case state::off:
            return "not asked" + (c.why.empty() ? std::string() : ": " + shown(c.why));
        case state::unreachable:
            return "cannot be read (" + where + "): " + shown(c.why);
        case state::followed:
            break;
    }
    std::string text = where + ", PostgreSQL " + version_of(c.server_version) + ", ";
    const bool now = !c.age || *c.age == policy::milliseconds::zero();
    text += now ? "read just now" : "checked " + age_of(*c.age) + " ago";
    if (c.stale) text += ", stale";
    text += "; " + counted(c.relations, "relation") + ", " + counted(c.functions, "function");
    if (c.unreadable > 0) text += ", " + std::to_string(c.unreadable) + " unreadable";
    if (!c.why.empty()) text += "; " + shown(c.why);
    return text;
}

std::string tokens_of(const explained& e) {
    std::string text = std::to_string(e.token_count) + ":";
    for (std::size_t i = 0; i < e.tokens.size() && i < tokens_max; ++i) {
        const auto& t = e.tokens[i];
        text += ' ';
        text += t.text.empty() ? "<" + std::string{t.kind} + ">" : shown(t.text);
    }
    if (e.token_count > std::min(e.tokens.size(), tokens_max)) text += " …";
    return text;
}

std::string path_of(const admin::explained_path& p) {
    std::string text = p.schemas.empty() ? p.from : listed(p.schemas) + " (" + shown(p.from) + ")";
    if (p.matters) text += "; a bare name depends on it";
    if (p.otherwise)
        text += std::string(", and where the proxy cannot ask the server for it: ") +
                policy::to_string(*p.otherwise) + " by " + shown(p.otherwise_rule);
    return text;
}

void relation(page& out, const admin::explained_relation& r) {
    std::string text = (r.schema.empty() ? "" : shown(r.schema) + ".") + shown(r.name);
    const bool none = r.columns.size() == 1 && r.columns.front() == policy::no_column;
    if (!r.columns.empty()) text += none ? ", no column" : " (" + listed(r.columns) + ")";
    if (!r.place.empty() && r.named) text += ", named in " + shown(r.place);
    if (!r.rules.empty()) text += "  <- " + listed(r.rules);
    out.line(2, r.write ? "write" : "read", label_columns, text);
    if (!r.road.empty()) out.line(label_columns, "by", label_columns + 3, shown(r.road, 800));
}

void statement(page& out, std::size_t number, const admin::explained_statement& s) {
    out.line(0, "", 0,
             "statement " + std::to_string(number) + ": " + shown(s.command) + " (" +
                 listed(s.kinds) + ")");
    for (std::size_t i = 0; i < s.relations.size() && i < relations_max; ++i)
        relation(out, s.relations[i]);
    if (s.relations.size() > relations_max)
        out.line(2, "…", label_columns,
                 "and " + std::to_string(s.relations.size() - relations_max) +
                     " more relations; --json has them");
    const auto list = [&](const char* label, const std::vector<std::string>& all) {
        if (!all.empty()) out.line(2, label, label_columns, listed(all));
    };
    list("calls", s.functions);
    list("uses", s.operators);
    list("types", s.types);
    list("sets", s.settings);
    for (std::size_t i = 0; i < s.opaque.size() && i < list_max; ++i)
        out.line(2, "opaque", label_columns, shown(s.opaque[i], 800));
}

void rules(page& out, const explained& e) {
    out.line(0, "", 0, "rules, by tier");
    // Those of other targets say nothing here.
    std::size_t hidden = 0;
    std::size_t told = 0;
    for (const auto& r : e.rules) {
        if (told == rules_max || (r.state == "apart" && r.why.size() == 1 &&
                                  r.why.front().starts_with("on: nothing of this target"))) {
            ++hidden;
            continue;
        }
        ++told;
        const std::string state = r.state == "decides" ? "DECIDES" : r.state;
        out.line(2, "", 2,
                 std::to_string(r.tier) + " " + shown(r.id) + " (" + policy::to_string(r.effect) +
                     "): " + state);
        for (const auto& why : r.why)
            out.line(6, "", 6, shown(why));
    }
    if (hidden > 0) out.line(2, "", 2, std::to_string(hidden) + " more, not of this target");
    out.line(2, "", 2,
             std::string("default: ") + policy::to_string(e.default_effect) +
                 ", opaque: " + policy::to_string(e.opaque_effect));
}

void decision(page& out, const explained& e) {
    // The deciding rule's own words first.
    auto reasons = e.reasons;
    std::stable_partition(reasons.begin(), reasons.end(), [&](const std::string& why) {
        return why.starts_with("rule " + e.rule + " ");
    });
    for (const auto& why : reasons)
        out.field(&why == &reasons.front() ? "because" : "", shown(why, 800));
    if (e.hold) {
        const auto& h = *e.hold;
        auto who = h.who.by_name();
        for (const auto& g : h.who.groups)
            who.push_back("group " + g);
        out.field("approval", std::to_string(h.who.approvals) + " of " + listed(who) + ", within " +
                                  admin::format_duration(h.wait) +
                                  (h.clients == policy::hold_clients::refuse
                                       ? "; clients do not wait, they are refused (SP001)"
                                       : "") +
                                  (h.reason_required ? "; a reason is required" : ""));
    }
    if (!e.message.empty()) out.field("message", shown(e.message));
}

}  // namespace

std::string format_explained(const explained& e) {
    page out;
    out.line(0, "", 0, std::string(policy::to_string(e.effect)) + " by rule " + shown(e.rule));
    decision(out, e);
    out.blank();
    out.field("who", shown(e.user) + " (" + listed(e.groups) + ") on " + shown(e.target) +
                         ", from " + shown(e.address) +
                         (e.application.empty() ? "" : ", application " + shown(e.application)));
    out.field("when", admin::iso_time(e.at));
    if (e.session) {
        out.field("what", "opening a session");
    } else {
        out.field("text", shown(e.text, text_bytes_max));
        out.field("shape", e.shape.empty() ? "none: an approval covers this very text only"
                                           : shown(e.shape.substr(0, 16)));
        out.field("tokens", tokens_of(e));
        out.field("catalog", catalog_of(e));
        out.field("path", path_of(e.path));
    }
    out.field("policy", shown(e.policy_hash.substr(0, 16)));
    for (const auto& n : e.notes)
        out.field("note", shown(n, 800));
    for (std::size_t i = 0; i < e.statements.size() && i < statements_max; ++i) {
        out.blank();
        statement(out, i + 1, e.statements[i]);
    }
    if (e.statements.size() > statements_max)
        out.line(0, "", 0,
                 "… and " + std::to_string(e.statements.size() - statements_max) +
                     " more statements; --json has them");
    out.blank();
    rules(out, e);
    return out.take();
}

}  // namespace sallyport::proxy

#include "proxy/session/names.h"

#include <algorithm>
#include <utility>

namespace sallyport::proxy::session {

namespace {

bool touches(const name_table::staged& s, std::string_view name) noexcept {
    if (s.what != name_table::change::sql) return s.name == name;
    using what = policy::name_use::action;
    return std::any_of(s.uses.begin(), s.uses.end(), [&](const policy::name_use& u) {
        return u.what == what::deallocate_all || u.what == what::close_all ||
               u.what == what::discard_all || u.name == name;
    });
}

std::size_t text_bytes_of(const bound_sql& sql) noexcept {
    return sql.text ? sql.text->size() : 0;
}

}  // namespace

void name_table::count(const staged& s, int sign) noexcept {
    if (s.name.empty()) return;
    const auto add = [sign](std::size_t& n, std::size_t by) { sign > 0 ? n += by : n -= by; };
    if (s.what == change::parse) {
        add(staged_statements_, 1);
        add(text_bytes_, text_bytes_of(s.sql));
    } else if (s.what == change::bind) {
        add(staged_portals_, 1);
    }
}

void name_table::keep(const std::string& name, bound_sql sql) {
    forget(name);
    text_bytes_ += text_bytes_of(sql);
    statements_[name] = std::move(sql);
}

void name_table::forget(const std::string& name) {
    const auto at = statements_.find(name);
    if (at == statements_.end()) return;
    text_bytes_ -= text_bytes_of(at->second);
    statements_.erase(at);
}

void name_table::forget_statements() noexcept {
    for (const auto& [name, sql] : statements_)
        text_bytes_ -= text_bytes_of(sql);
    statements_.clear();
}

const bound_sql* name_table::find_statement(std::string_view name) const {
    for (auto s = staged_.rbegin(); s != staged_.rend(); ++s) {
        if (s->query && name.empty()) return nullptr;
        if (s->what == change::parse && s->name == name) return &s->sql;
        if (s->what == change::close_statement && s->name == name) return nullptr;
    }
    if (name.empty()) return unnamed_.facts ? &unnamed_ : nullptr;
    const auto found = statements_.find(std::string(name));
    return found == statements_.end() ? nullptr : &found->second;
}

portal* name_table::find_portal(std::string_view name) {
    for (auto s = staged_.rbegin(); s != staged_.rend(); ++s) {
        if (s->what == change::bind && s->name == name) return s->made.get();
        if (s->what == change::close_portal && s->name == name) return nullptr;
    }
    if (name.empty()) return unnamed_portal_.get();
    const auto found = portals_.find(std::string(name));
    return found == portals_.end() ? nullptr : &found->second;
}

bool name_table::in_doubt(std::string_view name) const noexcept {
    for (const auto& s : staged_) {
        if (s.batch == batch_) break;
        if (touches(s, name)) return true;
    }
    return false;
}

bool name_table::changed_by_sql(std::string_view name, std::size_t mark) const noexcept {
    const auto end = staged_.begin() + static_cast<std::ptrdiff_t>(std::min(mark, staged_.size()));
    return std::any_of(staged_.begin(), end,
                       [&](const staged& s) { return s.what == change::sql && touches(s, name); });
}

std::uint32_t name_table::stage(staged s) {
    s.tag = next_tag_++;
    if (next_tag_ == 0) next_tag_ = 1;  // 0 means "none"
    s.batch = batch_;
    if (s.what == change::parse) s.sql.epoch = epoch_;
    count(s, 1);
    staged_.push_back(std::move(s));
    return staged_.back().tag;
}

bool name_table::unnamed_matters() const noexcept {
    return unnamed_.facts || std::any_of(staged_.begin(), staged_.end(), [](const staged& s) {
               return s.what == change::parse && s.name.empty();
           });
}

void name_table::stage_query(std::uint32_t tag) {
    staged s;
    s.what = change::sql;
    s.query = true;
    s.tag = tag;
    s.batch = batch_;
    staged_.push_back(std::move(s));
}

void name_table::unstage(std::size_t mark) noexcept {
    while (staged_.size() > mark) {
        count(staged_.back(), -1);
        staged_.pop_back();
    }
}

void name_table::confirm(std::uint32_t tag) {
    const auto at =
        std::find_if(staged_.begin(), staged_.end(), [&](const staged& s) { return s.tag == tag; });
    if (at == staged_.end()) return;
    count(*at, -1);
    switch (at->what) {
        case change::parse:
            if (at->name.empty())
                unnamed_ = std::move(at->sql);
            else
                keep(at->name, std::move(at->sql));
            break;
        case change::bind:
            if (at->name.empty())
                unnamed_portal_ = std::move(at->made);
            else
                portals_[at->name] = std::move(*at->made);
            break;
        case change::close_statement:
            if (at->name.empty())
                unnamed_ = {};
            else
                forget(at->name);
            break;
        case change::close_portal:
            if (at->name.empty())
                unnamed_portal_.reset();
            else
                portals_.erase(at->name);
            break;
        case change::sql:
            apply_sql(*at);
            break;
    }
    staged_.erase(at);
}

void name_table::drop(std::uint32_t tag) {
    const auto at =
        std::find_if(staged_.begin(), staged_.end(), [&](const staged& s) { return s.tag == tag; });
    if (at == staged_.end()) return;
    // A Parse that fails takes the unnamed statement with it; one that is skipped does not. Which
    // of the two it was does not matter: unknown is treated as opaque.
    if (at->what == change::parse && at->name.empty()) unnamed_ = {};
    count(*at, -1);
    staged_.erase(at);
}

void name_table::doubt(std::uint32_t tag) {
    const auto at =
        std::find_if(staged_.begin(), staged_.end(), [&](const staged& s) { return s.tag == tag; });
    if (at == staged_.end()) return;
    if (at->query) unnamed_ = {};
    if (at->several) {
        for (const auto& u : at->uses) {
            forget(u.name);
            portals_.erase(u.name);
        }
        lose_trust();
    }
    count(*at, -1);
    staged_.erase(at);
}

void name_table::carry(std::uint32_t tag, const std::vector<policy::pass>& released_by) {
    for (auto& s : staged_)
        if (s.tag == tag) {
            s.recorded = true;
            s.released_by = released_by;
        }
}

void name_table::apply_sql(const staged& s) {
    if (s.query) unnamed_ = {};
    for (const auto& u : s.uses)
        apply_use(u, s);
}

void name_table::apply_use(const policy::name_use& u, const staged& from) {
    using what = policy::name_use::action;
    switch (u.what) {
        case what::prepare:
            keep(u.name, {u.inner, from.text, epoch_});
            break;
        case what::deallocate:
            forget(u.name);
            break;
        case what::deallocate_all:
            forget_statements();
            break;
        case what::declare: {
            portal p;
            p.sql = {u.inner, from.text, epoch_};
            p.recorded = from.recorded;
            p.released_by = from.released_by;
            p.from_sql = true;
            p.with_hold = u.with_hold;
            portals_[u.name] = std::move(p);
            break;
        }
        case what::close:
            portals_.erase(u.name);
            break;
        case what::close_all:
            portals_.clear();
            break;
        case what::discard_all:
            forget_statements();
            portals_.clear();
            unnamed_ = {};
            unnamed_portal_.reset();
            break;
        case what::execute:
        case what::fetch:
            break;
    }
}

void name_table::transaction_ended() {
    unnamed_portal_.reset();
    if (!portals_.empty())
        std::erase_if(portals_, [](const auto& p) { return !p.second.with_hold; });
}

}  // namespace sallyport::proxy::session

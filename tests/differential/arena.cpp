#include "tests/differential/arena.h"

#include "tests/differential/compare.h"
#include "tests/support/eventually.h"

namespace sallyport::tests::differential {
namespace {

constexpr const char* allow_policy = R"(version: 1
default: allow
opaque: allow
log: all
rules:
  - { id: calls, tier: 10, do: [fastpath], effect: allow }
)";

std::string deny_policy(unsigned lanes) {
    std::string resources;
    std::string names;
    for (unsigned i = 0; i < lanes; ++i) {
        const auto name = "forbidden_" + std::to_string(i);
        resources += "  " + name + ": { target: " + arena::database(i, true) +
                     ", relations: [\"public.forbidden\"] }\n";
        names += (i == 0 ? "" : ", ") + name;
    }
    return "version: 1\ndefault: allow\nopaque: allow\nresources:\n" + resources +
           "rules:\n  - { id: forbidden, tier: 10, on: [" + names +
           "], do: [read, write, lock], effect: deny }\n"
           "  - { id: calls, tier: 20, do: [fastpath], effect: allow }\n";
}

// The errors of the sequences would fill the memory of this process: what the server prints is kept
// for its start.
postgres_options quiet_and_trusting() {
    return {.settings = {{"log_min_messages", "log"}, {"max_prepared_transactions", "0"}},
            .hba = {"host all app 127.0.0.1/32 trust", "host all postgres 127.0.0.1/32 trust"}};
}

login_options as(std::uint16_t port, const std::string& user, const std::string& database) {
    return {.port = port, .user = user, .password = user + "-password", .database = database};
}

wire_client logged_in(const login_options& o) {
    wire_client c(o.port);
    c.login(o);
    return c;
}

std::string rows_of(const exchange& x) {
    std::string out = x.sqlstate();
    for (const auto& row : x.rows)
        for (const auto& value : row)
            out += value.value_or("NULL") + "|";
    return out;
}

}  // namespace

arena::arena(policy_kind kind, unsigned lanes) : kind_(kind), postgres_(quiet_and_trusting()) {
    postgres_.query("postgres", "CREATE DATABASE differential");
    postgres_.query("differential", schema_sql());
    proxy_options o;
    o.policy = kind == policy_kind::allow_all ? allow_policy : deny_policy(lanes);
    for (unsigned i = 0; i < lanes; ++i) {
        for (const bool proxied : {false, true})
            postgres_.query("postgres",
                            "CREATE DATABASE " + database(i, proxied) + " TEMPLATE differential");
        // Through the proxy, only its rule stands before the table.
        postgres_.query(database(i, true), "GRANT ALL ON forbidden TO PUBLIC");
        o.targets[database(i, true)] = {.port = postgres_.port(), .dbname = database(i, true)};
    }
    proxy_ = std::make_unique<proxy_process>(o);
    proxy_->start();
}

std::string arena::server_log() const {
    constexpr std::size_t shown = 4000;
    const auto log = postgres_.log();
    return log.substr(log.size() - std::min(log.size(), shown));
}

void arena::add_direct(std::uint32_t backend_pid) const {
    const std::lock_guard lock(mutex_);
    direct_pids_.insert(backend_pid);
}

std::vector<bool> arena::crashes() const {
    static constexpr std::string_view begins = "server process (PID ";
    static constexpr std::string_view goes_on = ") was terminated by signal ";
    const auto log = postgres_.log();
    std::vector<bool> out;
    for (auto at = log.find(begins); at != std::string::npos; at = log.find(begins, at + 1)) {
        const auto digits = at + begins.size();
        const auto end = log.find_first_not_of("0123456789", digits);
        if (end == digits || log.compare(end, goes_on.size(), goes_on) != 0) continue;
        const auto pid = std::stoul(log.substr(digits, end - digits));
        const std::lock_guard lock(mutex_);
        out.push_back(direct_pids_.contains(static_cast<std::uint32_t>(pid)));
    }
    return out;
}

lane::lane(const arena& home, unsigned number)
    : home_(&home),
      kind_(home.kind()),
      direct_(home.postgres_port(),
              as(home.postgres_port(), "app", arena::database(number, false))),
      proxied_(home.proxy_port(), as(home.proxy_port(), "alice", arena::database(number, true))),
      direct_tables_(
          logged_in(as(home.postgres_port(), "postgres", arena::database(number, false)))),
      proxied_tables_(
          logged_in(as(home.postgres_port(), "postgres", arena::database(number, true)))) {
    reset();
    first_rows_ = rows_of(direct_tables_.ask(state_query()));
}

void lane::forget_connections() {
    direct_.close();
    proxied_.close();
}

void lane::connect() {
    direct_.reconnect();
    home_->add_direct(direct_.backend_pid());
    proxied_.reconnect();
}

void lane::reset() {
    for (auto* c : {&direct_tables_, &proxied_tables_}) {
        const auto x = c->ask(reset_sql());
        if (!x.sqlstate().empty())
            throw std::runtime_error("the tables cannot be reset: " + x.errors[0].at('M'));
    }
}

std::optional<std::string> lane::compare_logins() {
    forget_connections();
    connect();
    if (direct_.parameters() == proxied_.parameters()) return std::nullopt;
    std::string why = "the parameters after login differ:\n";
    for (const auto* p : {&direct_, &proxied_})
        for (const auto& [name, value] : p->parameters())
            why += std::string(p == &direct_ ? "  PostgreSQL " : "  Sallyport ") + name + "=" +
                   value + "\n";
    return why;
}

// Asked over sessions of their own: what a session left uncommitted does not count. A session that
// is gone for its client may still end on the server: then its work is waited for.
std::optional<std::string> lane::compare_tables() {
    const auto alone = [](wire_client& c) {
        return rows_of(c.ask("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND "
                             "datname = current_database()")) == "0|";
    };
    if (!direct_.connected() &&
        !eventually([&] { return alone(direct_tables_) && alone(proxied_tables_); }))
        return "a session on the server outlives its client\n";
    const auto a = rows_of(direct_tables_.ask(state_query()));
    const auto b = rows_of(proxied_tables_.ask(state_query()));
    if (a != first_rows_ || b != first_rows_) reset();
    if (a == b) return std::nullopt;
    return "the tables differ:\n  PostgreSQL " + a + "\n  Sallyport  " + b + "\n";
}

std::optional<std::string> lane::play(const sequence& s, milliseconds deadline) {
    if (s.fresh) forget_connections();
    if (!direct_.connected() || !proxied_.connected()) connect();
    const auto direct = direct_.play(s, nullptr, kind_, deadline);
    const auto proxied = proxied_.play(s, &direct.at_pause, kind_, deadline);
    if (lost_track(proxied)) {
        ++lost_;
        forget_connections();
        static_cast<void>(compare_tables());
        reset();
        return std::nullopt;
    }
    auto why = difference(s, kind_, direct, proxied);
    if (why || direct.closed || proxied.closed) forget_connections();
    const auto tables = compare_tables();
    if (why && tables) return *why + *tables;
    return why ? why : tables;
}

sequence lane::smaller(sequence s, milliseconds deadline) {
    const auto differs = [&](sequence candidate) {
        candidate.fresh = true;
        return play(candidate, deadline).has_value();
    };
    auto candidate = s;
    candidate.split_seed = 0;
    if (differs(candidate)) s = candidate;
    for (bool again = true; again;) {
        again = false;
        for (std::size_t i = s.steps.size(); i-- > 0;) {
            if (s.steps[i].epilogue) continue;
            candidate = s;
            candidate.steps.erase(candidate.steps.begin() + static_cast<std::ptrdiff_t>(i));
            if (!differs(candidate)) continue;
            s = candidate;
            again = true;
        }
    }
    for (auto& one : s.steps) {
        if (!one.pause) continue;
        one.pause = false;
        if (!differs(s)) one.pause = true;
    }
    return s;
}

}  // namespace sallyport::tests::differential

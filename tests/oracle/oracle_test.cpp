#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string_view>

#include <gtest/gtest.h>

#include "policy/sql/analyse.h"
#include "proxy/big_stack.h"
#include "proxy/catalog/reader.h"
#include "tests/oracle/fragments.h"
#include "tests/oracle/judge.h"
#include "tests/oracle/world.h"
#include "tests/support/postgres_server.h"
#include "tests/support/seed.h"

/// Random statements over random worlds: PostgreSQL says what they touched, and the facts must.
namespace sallyport::tests::oracle {
namespace {

struct settings {
    std::uint64_t seed = first_seed();
    std::uint64_t count = 0;    ///< worlds; 0: until the time is up
    unsigned seconds = 20;      ///< 0: until the count is reached
    unsigned statements = 250;  ///< of one world
    unsigned faults_max = 3;    ///< that are shown before the test gives up
    bool show = false;          ///< print the definitions and statements of the world
} options;

struct tally {
    std::uint64_t worlds = 0, ran = 0, refused = 0, opaque = 0, refused_columns = 0, touched = 0;
    std::map<std::string, std::uint64_t> refusals;
};

/// One world, its session, and the statements of its seed.
class round {
  public:
    round(std::uint64_t seed, tally& t)
        : seed_(seed),
          tally_(t),
          random_(seed),
          session_(server_.connection_string(database_)),
          world_(session_, random_) {}
    ~round() = default;
    round(const round&) = delete;
    round& operator=(const round&) = delete;

    /// Returns the number of faults.
    unsigned run() {
        look();
        move();
        own_session();
        unsigned faults = 0;
        for (unsigned i = 0; i < options.statements && faults < options.faults_max; ++i) {
            if (i == options.statements / 2) {
                world_.change(session_);
                look();
            }
            if (i % 25 == 0) move();
            faults += one(i);
        }
        return faults;
    }
    [[nodiscard]] const std::string& database() const { return database_; }

  private:
    void look() {
        proxy::catalog::server_address a;
        a.host = "127.0.0.1";
        a.port = server_.port();
        a.dbname = database_;
        a.user = "sallyport_catalog";
        a.password.emplace("sallyport_catalog-password");
        a.tls.mode = proxy::net::client_tls_mode::disable;
        const proxy::catalog::stop_signal stop;
        proxy::catalog::connection c(a, stop);
        auto rows = *proxy::catalog::read_if_changed(c, 1, "", {}).rows;
        snapshot_ = policy::catalog::build(
            std::move(rows), snapshot_ ? snapshot_->past() : policy::catalog::past_names{});
        judge_.emplace(snapshot_);
    }

    /// Temporary objects, which no snapshot has.
    void own_session() {
        world_names& names = world_.names();
        for (const auto* head : {"table tt0 as ", "view tv0 as ", "table t1 as ", "view v1 as "}) {
            if (random_.percent(40)) continue;
            const auto sql = plain("create temp " + std::string{head} +
                                   writer{names, random_, {3, false, true, {}}}.query(2));
            if (!session_.run(sql).fine()) continue;
            const std::string text{head};
            const bool view = text.starts_with("view");
            const auto name = text.substr(view ? 5 : 6, text.find(' ', 6) - (view ? 5 : 6));
            session_.must("grant all on pg_temp." + name + " to public");
            const auto known = judge_->resolve(sql, session_names());
            for (const auto& s : known.facts->statements)
                own_.note(s);
            names.relations.push_back({"pg_temp", name, view ? 'v' : 'r', 0, !view});
            made_ += sql + ";\n";
        }
    }

    /// Another search_path.
    void move() {
        std::vector<std::string> order{"alpha", "beta", "gamma", "public"};
        path_.clear();
        while (!order.empty() && random_.percent(80)) {
            const auto at = random_.below(order.size());
            path_.push_back(order[at]);
            order.erase(order.begin() + static_cast<std::ptrdiff_t>(at));
        }
        std::string text;
        for (const auto& p : path_)
            text += (text.empty() ? "" : ", ") + p;
        session_.must("set search_path = " + (text.empty() ? "''" : text));
        effective_.clear();
        const auto rows = session_.must("select unnest(current_schemas(true))").rows;
        for (const auto& row : rows)
            effective_.push_back(row.at(0));
    }

    policy::catalog::session_names session_names() const {
        policy::catalog::session_names names;
        names.path = effective_.empty() ? nullptr : &effective_;
        names.own = &own_;
        return names;
    }

    struct finding {
        std::string what;
        std::string facts;
    };

    std::optional<finding> check(const std::string& sql, const std::string& role, bool count) {
        const auto known = judge_->resolve(sql, session_names());
        const auto done = session_.probe(sql, role);
        if (count) {
            ++(done.said.fine() ? tally_.ran : tally_.refused);
            if (!done.said.fine())
                ++tally_.refusals[done.said.sqlstate + " " + done.said.message.substr(0, 60)];
            tally_.opaque += done.said.fine() && opaque(*known.facts);
            tally_.touched += done.touched.size();
        }
        if (!done.said.fine()) return std::nullopt;
        const auto found = [&](const std::string& what) {
            return finding{what, describe(*known.facts)};
        };
        if (const auto why = judge_->missed(*known.facts, done.touched)) return found(*why);
        if (const auto why = judge_->needless(*known.facts, done.touched, &own_))
            return found(*why);
        auto blind = session_names();
        blind.path = nullptr;
        const auto wide = judge_->resolve(sql, blind);
        if (const auto why = judge_->missed(*wide.facts, done.touched))
            return finding{"without the search_path: " + *why, describe(*wide.facts)};
        const auto refused = session_.probe(sql, "oracle_reader");
        if (count) tally_.refused_columns += refused.said.sqlstate == "42501";
        if (const auto why = judge_->missed_column(*known.facts, refused.said))
            return found(*why + ": " + refused.said.message);
        return std::nullopt;
    }

    unsigned one(unsigned number) {
        const bool defines = random_.percent(15);
        writer w{world_.names(), random_, {level_all, true, random_.percent(75), path_}};
        const auto marked = defines ? w.definition() : w.text();
        const auto sql = plain(marked);
        const std::string role = defines || random_.percent(20) ? "oracle_owner" : "oracle_app";
        if (options.show) std::printf("%s: %s;\n", role.c_str(), sql.c_str());
        if (sql.size() > policy::sql::inline_bytes) return 0;
        const auto why = check(sql, role, true);
        if (!why) return 0;
        const auto kind = why->what.substr(0, why->what.find(' ', 11));
        const auto small = plain(smaller(marked, [&](const std::string& text) {
            const auto again = check(text, role, false);
            return again && again->what.starts_with(kind);
        }));
        const auto again = check(small, role, false);
        const auto& shown = again ? *again : *why;
        std::string path;
        for (const auto& p : effective_)
            path += p + " ";
        ADD_FAILURE() << "seed " << seed_ << ", statement " << number << " as " << role
                      << ", search_path " << path << "\n"
                      << shown.what << "\n  " << small << "\n"
                      << shown.facts << world_.definitions_behind(small) << made_;
        return 1;
    }

    std::uint64_t seed_;
    tally& tally_;
    random_source random_;
    postgres_server& server_ = postgres_server::shared();
    std::string database_ = server_.create_shop();
    server_session session_;
    world world_;
    policy::catalog::snapshot_ptr snapshot_;
    std::optional<judge> judge_;
    policy::catalog::own_objects own_;
    std::vector<std::string> path_, effective_;
    std::string made_;
};

TEST(oracle, what_the_server_touched_is_in_the_facts_and_nothing_else_is) {
    tally t;
    const auto end = std::chrono::steady_clock::now() +
                     std::chrono::seconds(options.seconds == 0 ? 1u << 20 : options.seconds);
    unsigned faults = 0;
    proxy::run_on_big_stack([&] {
        for (std::uint64_t i = 0; options.count == 0 || i < options.count; ++i) {
            if (std::chrono::steady_clock::now() >= end || faults >= options.faults_max) break;
            std::string database;
            {
                round r(options.seed + i, t);
                database = r.database();
                faults += r.run();
            }
            postgres_server::shared().drop_database(database);
            ++t.worlds;
        }
    });
    std::printf(
        "%llu worlds from seed %llu: %llu statements ran, %llu refused, %llu of them "
        "opaque, %llu refused to who lacks a column, %llu relations touched\n",
        static_cast<unsigned long long>(t.worlds), static_cast<unsigned long long>(options.seed),
        static_cast<unsigned long long>(t.ran), static_cast<unsigned long long>(t.refused),
        static_cast<unsigned long long>(t.opaque),
        static_cast<unsigned long long>(t.refused_columns),
        static_cast<unsigned long long>(t.touched));
    if (options.show)
        for (const auto& [why, n] : t.refusals)
            std::printf("%6llu %s\n", static_cast<unsigned long long>(n), why.c_str());

    // The test is about something.
    EXPECT_GT(t.ran, t.refused);
    EXPECT_LT(t.opaque * 2, t.ran);
}

bool read_option(std::string_view argument) {
    const auto number = [&](std::string_view name, auto& into) {
        if (!argument.starts_with(name)) return false;
        into = static_cast<std::remove_reference_t<decltype(into)>>(
            std::strtoull(argument.data() + name.size(), nullptr, 10));
        return true;
    };
    if (argument == "--show") return options.show = true;
    return number("--seed=", options.seed) || number("--count=", options.count) ||
           number("--seconds=", options.seconds) || number("--statements=", options.statements) ||
           number("--faults=", options.faults_max);
}

}  // namespace
}  // namespace sallyport::tests::oracle

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    for (int i = 1; i < argc; ++i) {
        if (sallyport::tests::oracle::read_option(argv[i])) continue;
        std::fprintf(stderr,
                     "unknown option %s (known: --seed=N --count=N --seconds=N --statements=N "
                     "--faults=N --show, and those of GoogleTest)\n",
                     argv[i]);
        return 2;
    }
    std::printf("seed %llu\n",
                static_cast<unsigned long long>(sallyport::tests::oracle::options.seed));
    return RUN_ALL_TESTS();
}

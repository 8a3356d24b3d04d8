// libpqxx: its transactions, cursors, streams, large objects. Prints a transcript (see compare.py).
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>

#include <pqxx/pqxx>

namespace {

template <class... T>
void say(const T&... values) {
    std::cout << " ";
    ((std::cout << ' ' << values), ...);
    std::cout << '\n';
}

void show(const pqxx::result& r) {
    say(r.size(), "rows", r.columns(), "columns", r.affected_rows(), "affected");
    for (const auto& row : r) {
        std::cout << "  ";
        for (const auto& f : row)
            std::cout << f.name() << '=' << (f.is_null() ? "NULL" : f.c_str()) << ' ';
        std::cout << '\n';
    }
}

void fault_of(const std::function<void()>& action) {
    try {
        action();
        say("no error");
    } catch (const pqxx::sql_error& e) {
        std::string what = e.what();
        for (char& c : what)
            if (c == '\n') c = '|';
        say(e.sqlstate(), what, "query:", e.query().substr(0, 60));
    } catch (const std::exception& e) {
        std::string what = e.what();
        for (char& c : what)
            if (c == '\n') c = '|';
        say("exception", what.substr(0, 200));
    }
}

void check(const char* name, const std::function<void(pqxx::connection&)>& body) {
    std::cout << "check " << name << '\n';
    try {
        pqxx::connection c;
        body(c);
        std::cout << "pass\n";
    } catch (const std::exception& e) {
        std::cout << "FAIL " << e.what() << '\n';
    }
    std::cout.flush();
}

class listener : public pqxx::notification_receiver {
  public:
    using notification_receiver::notification_receiver;
    void operator()(const std::string& payload, int) override { say(channel(), payload); }
};

class noticed : public pqxx::errorhandler {
  public:
    using errorhandler::errorhandler;
    bool operator()(const char m[]) noexcept override {
        std::cout << "  notice " << m;
        return false;
    }
};

}  // namespace

int main() {
    check("TLS modes and logins", [](pqxx::connection&) {
        const std::string ca = std::getenv("CONFORMANCE_CA");
        for (const auto* mode : {"disable", "prefer", "require", "verify-full"}) {
            pqxx::connection c(std::string("host=localhost sslmode=") + mode +
                               " sslrootcert=" + ca);
            pqxx::work w(c);
            show(
                w.exec("select ssl is not null as known from pg_stat_ssl "
                       "where pid = pg_backend_pid()"));
            say(c.protocol_version(), c.server_version(), c.get_variable("datestyle"));
        }
        fault_of([] { pqxx::connection c("password=wrong sslmode=disable"); });
    });
    check("results and types", [](pqxx::connection& c) {
        pqxx::work w(c);
        show(
            w.exec("select 1 as a, 'x'::text as b, null::int as c, array[1,2] as d, 1.5::numeric, "
                   "'\\x00ff'::bytea as e, now() = now() as f"));
        show(w.exec(""));
        const pqxx::row r = w.exec1("select 42, 'text', 1.5, true");
        say(r[0].as<int>(), r[1].as<std::string>(), r[2].as<double>(), r[3].as<bool>());
        show(w.exec_params("select $1::int + $2, $3::text, $4::bytea", 1, 2, "it's",
                           pqxx::binarystring(std::string("\0\xff", 2))));
        auto parser = w.exec1("select array['a', 'b,c', null]")[0].as_array();
        for (auto step = parser.get_next(); step.first != pqxx::array_parser::juncture::done;
             step = parser.get_next())
            say(static_cast<int>(step.first), step.second);
        w.commit();
    });
    check("errors and transactions", [](pqxx::connection& c) {
        {
            pqxx::work w(c);
            w.exec("create table t (a int primary key, b text not null, check (a < 100))");
            w.commit();
        }
        for (const auto* sql : {"selec", "select * from nowhere", "insert into t values (1)",
                                "select 1/0", "insert into t values (200, 'x')"})
            fault_of([&] {
                pqxx::work w(c);
                w.exec(sql);
            });
        {
            pqxx::work w(c);
            w.exec("insert into t values (1, 'one')");
            fault_of([&] {
                pqxx::subtransaction s(w, "inner");
                s.exec("insert into t values (1, 'again')");
            });
            {
                pqxx::subtransaction s(w);
                s.exec("insert into t values (2, 'two')");
                s.commit();
            }
            w.commit();
        }
        {
            pqxx::robusttransaction<> w(c);
            w.exec("insert into t values (3, 'three')");
            w.commit();
        }
        {
            pqxx::read_transaction w(c);
            fault_of([&] { w.exec("delete from t"); });
        }
        pqxx::nontransaction n(c);
        show(n.exec("select * from t order by a"));
    });
    check("prepared statements", [](pqxx::connection& c) {
        c.prepare("add", "select $1::int + $2");
        pqxx::work w(c);
        for (int i = 0; i < 7; ++i)
            say(w.exec_prepared1("add", i, 1)[0].as<int>());
        fault_of([&] { w.exec_prepared("unknown"); });
        w.abort();
        fault_of([&] {
            c.prepare("broken", "selec");
            pqxx::work v(c);
            v.exec_prepared("broken");
        });
        c.unprepare("add");
    });
    check("cursors", [](pqxx::connection& c) {
        pqxx::work w(c);
        pqxx::stateless_cursor<pqxx::cursor_base::read_only, pqxx::cursor_base::owned> s(
            w, "select g from generate_series(1, 100) g", "cur", false);
        show(s.retrieve(10, 13));
        say(s.size());
        pqxx::icursorstream stream(w, "select g from generate_series(1, 20) g", "ic", 7);
        pqxx::result r;
        while (stream >> r)
            say(r.size());
    });
    check("pipeline", [](pqxx::connection& c) {
        pqxx::work w(c);
        {
            pqxx::pipeline p(w);
            p.retain(5);
            for (int i = 0; i < 12; ++i)
                p.insert("select " + std::to_string(i));
            p.complete();
            while (!p.empty())
                say(p.retrieve().second[0][0].c_str());
        }
        fault_of([&] {
            pqxx::pipeline p(w);
            p.retain(3);
            p.insert("select 1");
            const auto bad = p.insert("select 1/0");
            p.insert("select 3");
            p.complete();
            show(p.retrieve(bad));
        });
    });
    check("streams", [](pqxx::connection& c) {
        pqxx::work w(c);
        w.exec("create temp table s (a int, b text)");
        {
            pqxx::stream_to to(w, "s", std::vector<std::string>{"a", "b"});
            for (int i = 0; i < 5000; ++i)
                to << std::make_tuple(i, "value " + std::to_string(i));
            to.complete();
        }
        show(w.exec("select count(*), sum(length(b)) from s"));
        w.exec(
            "create temp table numbers as select g as a, g * 2 as b from generate_series(1, 9) g");
        {
            pqxx::stream_from from(w, "numbers");
            std::tuple<int, int> row;
            for (int i = 0; i < 9; ++i) {
                from >> row;
                say(std::get<0>(row), std::get<1>(row));
            }
        }
        fault_of([&] {
            pqxx::stream_to to(w, "nowhere");
            to.complete();
        });
    });
    check("large objects", [](pqxx::connection& c) {
        pqxx::work w(c);
        pqxx::largeobjectaccess o(w);
        o.write(std::string(100000, 'l'));
        say(o.ctell());
        say(o.seek(10, std::ios::beg));
        char buffer[20];
        const auto read = o.read(buffer, sizeof buffer);
        say(read, std::string(buffer, 20));
        o.to_file("object");
        pqxx::largeobject made(w, "object");
        pqxx::olostream(w, made) << "streamed";
        pqxx::ilostream in(w, made);
        std::string word;
        in >> word;
        say(word.size());
        made.remove(w);
        fault_of([&] { made.remove(w); });
    });
    check("notifications, notices and cancel", [](pqxx::connection& c) {
        noticed handler(c);
        listener l(c, "news");
        pqxx::connection other;
        {
            pqxx::nontransaction n(other);
            n.exec("notify news, 'hello'");
        }
        say(c.await_notification(20, 0));
        pqxx::nontransaction n(c);
        n.exec("do $$ begin raise notice 'seen'; end $$");
        n.exec("set statement_timeout = 50");
        fault_of([&] { n.exec("select pg_sleep(30)"); });
        n.exec("set statement_timeout = 0");
        say(n.exec1("select repeat('z', 3000000)")[0].size());
    });
    std::cout << "end\n";
}

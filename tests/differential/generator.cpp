#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "protocol/cursor.h"
#include "protocol/trace.h"
#include "tests/differential/sequence.h"
#include "tests/differential/statements.h"
#include "tests/support/wire_client.h"

namespace sallyport::tests::differential {
namespace {

using values = std::vector<std::optional<std::string>>;

std::string formats(const std::vector<int>& codes) {
    std::string out = wire::int16(static_cast<int>(codes.size()));
    for (const int c : codes)
        out += wire::int16(c);
    return out;
}

std::string value_list(const values& v) {
    std::string out = wire::int16(static_cast<int>(v.size()));
    for (const auto& one : v)
        out += one ? wire::int32(static_cast<std::uint32_t>(one->size())) + *one
                   : wire::int32(0xffff'ffffu);
    return out;
}

class generator {
  public:
    generator(std::uint64_t seed, policy_kind kind) : r_(seed), kind_(kind) { made_.seed = seed; }

    sequence run() {
        made_.fresh = r_.percent(3);
        made_.split_seed = r_.percent(55) ? 0 : r_.next() | 1;
        pausing_ = r_.below(4);
        const auto actions = 1 + r_.below(8);
        for (std::size_t i = 0; i < actions && !made_.closes; ++i)
            action();
        // A client may shut its side in a transaction or a COPY, and still reads. Not in a batch: a
        // server begins to run what can never be committed, Sallyport does not.
        made_.half_closes = !made_.closes && r_.percent(4);
        if (made_.half_closes && r_.percent(60)) {
            add(wire::sync());
            made_.steps.back().epilogue = true;
        } else if (!made_.closes) {
            epilogue();
        }
        return std::move(made_);
    }

  private:
    void add(std::string bytes, bool malformed = false) {
        const char tag = bytes[0];
        step s;
        s.bytes = std::move(bytes);
        s.malformed = malformed;
        const bool answered = tag == 'Q' || tag == 'S' || tag == 'F' || tag == 'H';
        const bool copying = tag == 'c' || tag == 'f';
        if (pausing_ == 1)
            s.pause = answered || copying;
        else if (pausing_ == 2)
            s.pause = answered && r_.percent(50);
        else if (pausing_ == 3)
            s.pause = r_.percent(answered || copying ? 30 : 3);
        made_.steps.push_back(std::move(s));
    }

    void epilogue() {
        const auto last = made_.steps.size();
        pausing_ = 0;
        add(wire::frame('f', std::string("end of the sequence") + '\0'));
        add(wire::sync());
        add(wire::query("ROLLBACK"));
        add(wire::query("DISCARD ALL"));
        add(wire::query(state_query()));
        for (auto i = last; i < made_.steps.size(); ++i)
            made_.steps[i].epilogue = true;
    }

    void action() {
        if (kind_ == policy_kind::deny_forbidden && r_.percent(40)) return forbidden();
        const auto n = r_.below(1000);
        if (n < 330) return add(wire::query(query_text(r_)));
        if (n < 720) return batch();
        if (n < 800) return pipeline();
        if (n < 860) return copy_simple();
        if (n < 900) return copy_extended();
        if (n < 925) return stray();
        if (n < 950) return call();
        if (n < 985) return suspended();
        if (n < 990) return large();
        if (kind_ == policy_kind::allow_all && n < 996) return malformed();
        if (n < 998) {
            add(wire::terminate());
            made_.steps.back().epilogue = true;
            made_.closes = true;
            return;
        }
        add(wire::query(query_text(r_)));
    }

    const std::string& statement_name() {
        static const std::vector<std::string> all{"", "", "", "s1", "s1", "s2", "S1", "nobody"};
        return r_.pick(all);
    }
    const std::string& portal_name() {
        static const std::vector<std::string> all{"", "", "", "p1", "p1", "c1", "C1", "nobody"};
        return r_.pick(all);
    }

    std::string binary_int(std::uint32_t v) { return wire::int32(v); }

    void parse(const std::string& name) {
        const auto text = parse_text(r_);
        std::string body = name + '\0' + text.sql + '\0';
        if (!text.kinds.empty() && r_.percent(20)) {
            body += wire::int16(static_cast<int>(text.kinds.size()));
            for (const char k : text.kinds)
                body += wire::int32(k == 'i' ? 23 : k == 't' ? 25 : 17);
        } else {
            body += wire::int16(0);
        }
        kinds_[name] = text.kinds;
        add(wire::frame('P', body));
    }

    void bind(const std::string& portal, const std::string& statement) {
        std::string kinds = kinds_.count(statement) != 0 ? kinds_[statement] : "";
        if (r_.percent(3)) kinds += 'i';
        values v;
        std::vector<int> f;
        for (const char k : kinds) {
            const bool binary = r_.percent(30);
            f.push_back(binary ? 1 : 0);
            if (r_.percent(10)) {
                v.emplace_back();
            } else if (k == 'i') {
                const auto n = static_cast<std::uint32_t>(r_.below(30));
                v.emplace_back(r_.percent(3) ? "x" : binary ? binary_int(n) : std::to_string(n));
            } else if (r_.percent(2)) {
                v.emplace_back(std::string(r_.below(20'000), 'p'));
            } else {
                v.emplace_back(r_.percent(20) ? "notice" : "text " + std::to_string(r_.below(9)));
            }
        }
        const bool all_text = !f.empty() && f == std::vector<int>(f.size(), 0);
        std::vector<int> results;
        if (r_.percent(25)) results.push_back(1);
        if (r_.percent(2)) results.push_back(0);
        add(wire::frame('B', portal + '\0' + statement + '\0' +
                                 formats(all_text ? std::vector<int>{} : f) + value_list(v) +
                                 formats(results)));
    }

    std::uint32_t row_limit() {
        static const std::vector<std::uint32_t> limits{0, 0, 0, 1, 2, 3, 100, 0xffff'ffffu};
        return r_.pick(limits);
    }

    void extended_message() {
        const auto n = r_.below(100);
        if (n < 30) return parse(statement_name());
        if (n < 55) return bind(portal_name(), statement_name());
        if (n < 65) return add(wire::describe('S', statement_name()));
        if (n < 72) {
            // A server's failed Query leaves its unnamed portal until the transaction ends.
            const bool leaves = kind_ == policy_kind::deny_forbidden;
            return add(wire::describe('P', leaves ? "p1" : portal_name()));
        }
        if (n < 88) return add(wire::execute(portal_name(), row_limit()));
        if (n < 93) return add(wire::close('S', statement_name()));
        if (n < 97) return add(wire::close('P', portal_name()));
        add(wire::flush());
    }

    // Parse, Bind, Describe, Execute that belong together.
    void plausible() {
        const auto statement = statement_name();
        const auto portal = portal_name();
        if (r_.percent(80)) parse(statement);
        if (r_.percent(20)) add(wire::describe('S', statement));
        bind(portal, statement);
        if (r_.percent(40)) add(wire::describe('P', portal));
        if (r_.percent(95)) add(wire::execute(portal, row_limit()));
        if (r_.percent(10)) add(wire::execute(portal, row_limit()));
        if (r_.percent(8)) add(wire::close(r_.percent(50) ? 'S' : 'P', statement));
    }

    void batch() {
        if (r_.percent(70)) {
            plausible();
        } else {
            const auto n = 1 + r_.below(5);
            for (std::size_t i = 0; i < n; ++i)
                extended_message();
        }
        if (r_.percent(8)) add(wire::flush());
        if (r_.percent(90)) add(wire::sync());
    }

    // Several statements before one Sync; a Query may stand in the middle.
    void pipeline() {
        const auto n = 2 + r_.below(4);
        for (std::size_t i = 0; i < n; ++i) {
            if (r_.percent(75))
                plausible();
            else
                extended_message();
            if (r_.percent(10)) add(wire::flush());
            if (r_.percent(8)) add(wire::query(query_text(r_)));
            if (r_.percent(3)) call();
        }
        if (r_.percent(92)) add(wire::sync());
        if (r_.percent(10)) add(wire::sync());
    }

    void suspended() {
        const auto portal = portal_name();
        kinds_[""] = "";
        add(wire::parse("", r_.percent(60) ? "select generate_series(1, 9)"
                                           : "select id, v from t order by id"));
        bind(portal, "");
        const auto n = 1 + r_.below(4);
        for (std::size_t i = 0; i < n; ++i) {
            add(wire::execute(portal, 1 + static_cast<std::uint32_t>(r_.below(4))));
            if (r_.percent(20)) add(wire::sync());
            if (r_.percent(20)) add(wire::flush());
            if (!portal.empty() && r_.percent(15))
                add(wire::query("fetch 2 from \"" + portal + "\""));
        }
        add(wire::sync());
    }

    std::string copy_row() {
        const auto n = r_.below(100);
        const auto id = std::to_string(50 + r_.below(400));
        if (n < 75) return id + "\trow " + id + "\n";
        if (n < 80) return id + "\t\\N\n" + id + "9\ttwo rows\n";
        if (n < 84) return id;  // half a row
        if (n < 87) return "\thalf\n";
        if (n < 90) return "";
        if (n < 93) return "3\ttwice\n";
        if (n < 96) return "bad\trow\n";
        if (n < 98) return "\\.\n";
        return std::string(r_.below(30'000), 'w') + "\n";
    }

    void copy_data(bool syncs) {
        const auto rows = r_.below(5);
        for (std::size_t i = 0; i < rows; ++i) {
            add(wire::frame('d', copy_row()));
            if (syncs && r_.percent(5)) add(wire::sync());
            if (r_.percent(5)) add(wire::flush());
        }
    }

    void copy_end() {
        const auto n = r_.below(100);
        if (n < 75)
            add(wire::frame('c', ""));
        else if (n < 94)
            add(wire::frame('f', std::string("the client gives up") + '\0'));
        // else: what comes next is not COPY data
    }

    const std::string& copy_in_text() {
        static const std::vector<std::string> all{
            "copy t from stdin",
            "copy t from stdin",
            "copy t (id, v) from stdin",
            "copy t from stdin (format csv, delimiter E'\\t')",
            "copy t from stdin where id < 300",
            "copy d from stdin",
            "copy u from stdin (format binary)",
            "copy t from stdin (on_error ignore)",
        };
        return r_.pick(all);
    }
    const std::string& copy_out_text() {
        static const std::vector<std::string> all{
            "copy t to stdout",
            "copy (select id, v from t order by id) to stdout (format csv, header)",
            "copy (select generate_series(1, 300)) to stdout",
            "copy (select 1, 'x'::text) to stdout (format binary)",
            "copy (select 1 / (id - 4) from t order by id) to stdout",
            "copy (insert into t values (600, 'r') returning *) to stdout",
        };
        return r_.pick(all);
    }

    void copy_simple() {
        if (r_.percent(25)) return add(wire::query(copy_out_text()));
        if (r_.percent(20)) {
            std::string text;
            const auto n = 2 + r_.below(2);
            for (std::size_t i = 0; i < n; ++i) {
                text += (i == 0 ? "" : "; ");
                text += r_.percent(60) ? copy_in_text() : any_statement(r_);
            }
            add(wire::query(text));
            for (std::size_t i = 0; i < n; ++i) {
                copy_data(true);
                copy_end();
            }
            return;
        }
        add(wire::query(copy_in_text()));
        copy_data(true);
        copy_end();
    }

    void copy_extended() {
        const bool out = r_.percent(25);
        add(wire::parse("", out ? copy_out_text() : copy_in_text()));
        kinds_[""] = "";
        bind("", "");
        if (r_.percent(30)) add(wire::describe('P', ""));
        add(wire::execute(""));
        if (!out) {
            if (r_.percent(40)) add(wire::sync());
            if (r_.percent(20)) add(wire::flush());
            copy_data(r_.percent(20));
            copy_end();
        }
        if (r_.percent(20)) plausible();
        if (r_.percent(95)) add(wire::sync());
    }

    // What belongs to a COPY where there is none.
    void stray() {
        switch (r_.below(4)) {
            case 0:
                return add(wire::frame('d', copy_row()));
            case 1:
                return add(wire::frame('c', ""));
            case 2:
                return add(wire::frame('f', std::string("late") + '\0'));
            default:
                return add(r_.percent(50) ? wire::sync() : wire::flush());
        }
    }

    // int4pl, int4div, textlen, a function that does not exist, int4out (not callable with text).
    void call() {
        const auto n = r_.below(100);
        const auto oid = [](std::uint32_t o) { return wire::int32(o); };
        if (n < 40)
            return add(wire::frame('F', oid(177) + formats({1}) +
                                            value_list({binary_int(40), binary_int(2)}) +
                                            wire::int16(1)));
        if (n < 55)
            return add(wire::frame(
                'F', oid(154) + formats({0}) + value_list({"7", "0"}) + wire::int16(0)));
        if (n < 75)
            return add(
                wire::frame('F', oid(1257) + formats({}) + value_list({"four"}) + wire::int16(0)));
        if (n < 85)
            return add(wire::frame('F', oid(177) + formats({0, 0}) +
                                            value_list({"1", std::nullopt}) + wire::int16(0)));
        if (n < 93)
            return add(
                wire::frame('F', oid(4'000'000) + formats({}) + value_list({}) + wire::int16(0)));
        add(wire::frame('F', oid(177) + formats({}) + value_list({"1"}) + wire::int16(0)));
    }

    void large() {
        const std::size_t bytes =
            r_.percent(50) ? 300'000 + r_.below(100'000) : 1'000'000 + r_.below(600'000);
        switch (r_.below(4)) {
            case 0:
                add(wire::query("select length('" + std::string(bytes / 4, 'q') + "')"));
                return;
            case 1:
                add(wire::query("select repeat('y', " + std::to_string(bytes) + ")"));
                return;
            default:
                add(wire::parse("", "select length($1)"));
                add(wire::bind("", "", {std::string(bytes, 'b')}));
                add(wire::execute(""));
                if (r_.percent(50)) add(wire::sync());
                return;
        }
    }

    void malformed() {
        static const std::vector<std::string> frames{
            wire::frame('Q', "no end"),
            wire::frame('Q', std::string("two\0ends\0", 9)),
            wire::frame('Q', ""),
            wire::frame('P', std::string("x\0select 1", 10)),
            wire::frame('P', std::string("x\0select 1\0\0\2\0\0\0\0", 17)),
            wire::frame('B', std::string("p\0", 2)),
            wire::frame('B', std::string("\0\0\0\0\0\1\0\0\0\11ab\0\0", 14)),
            wire::frame('D', std::string("X\0", 2)),
            wire::frame('D', ""),
            wire::frame('C', std::string("Q\0", 2)),
            wire::frame('E', std::string("\0\0\0", 3)),
            wire::frame('E', std::string("\0\0\0\0\0more", 9)),
            wire::frame('H', "x"),
            wire::frame('S', "x"),
            wire::frame('F', std::string("\0\0", 2)),
        };
        add(r_.pick(frames), true);
        if (r_.percent(80)) add(wire::sync());
    }

    // Its execution follows its Bind at once: a server checks rights at Bind or at Execute,
    // depending on the kind of plan.
    void forbidden() {
        const auto n = r_.below(100);
        if (n < 40) return add(wire::query(forbidden_statement(r_)));
        if (n < 55) {
            std::string text = plain_statement(r_) + "; " + forbidden_statement(r_);
            if (r_.percent(50)) text += "; " + plain_statement(r_);
            return add(wire::query(text));
        }
        if (n < 60) {
            add(wire::query("prepare f2 as select * from forbidden"));
            return add(wire::query("execute f2"));
        }
        if (n < 70) return renamed();
        if (n < 75) return after_a_rollback();
        if (r_.percent(40)) plausible();
        const auto run = [&](const std::string& name) {
            return wire::bind("", name) + (r_.percent(30) ? wire::describe('P', "") : "") +
                   wire::execute("");
        };
        if (r_.percent(50)) {
            kinds_[""] = "";
            // Nothing else may bind it: Sallyport would refuse that Bind, the server its Execute.
            return add(wire::parse("", forbidden_statement(r_)) + run("") + wire::sync() +
                       wire::close('S', "") + wire::sync());
        }
        add(wire::close('S', "f1"));
        add(wire::parse("f1", forbidden_statement(r_)));
        if (r_.percent(40)) add(wire::sync());
        add(run("f1"));
        if (r_.percent(30)) plausible();
        if (r_.percent(90)) add(wire::sync());
    }

    // A harmless name is given another meaning in the batch that uses it.
    void renamed() {
        std::string bytes = wire::close('S', "f2") + wire::parse("f2", "select 1");
        if (r_.percent(50)) bytes += wire::sync();
        bytes += wire::once("deallocate f2") + wire::once("prepare f2 as select * from forbidden");
        if (r_.percent(20)) bytes += wire::flush();
        if (r_.percent(50))
            bytes += wire::once("execute f2");
        else
            bytes += wire::bind("", "f2") + wire::execute("");
        kinds_[""] = "";
        add(bytes + wire::sync() + wire::close('S', "f2") + wire::close('S', "") + wire::sync());
    }

    // In a failed transaction nothing is decided, and a ROLLBACK ends it.
    void after_a_rollback() {
        add(wire::query("begin"));
        add(wire::query("select 1/0"));
        made_.steps.back().pause = true;
        std::string bytes = wire::once(r_.percent(70) ? "rollback" : "rollback and chain");
        if (r_.percent(40)) bytes += wire::flush();
        kinds_[""] = "";
        add(bytes);
        if (r_.percent(50)) made_.steps.back().pause = true;
        if (r_.percent(30)) return add(wire::query(forbidden_statement(r_)));
        add(wire::parse("", forbidden_statement(r_)) + wire::bind("", "") + wire::execute("") +
            wire::sync() + wire::close('S', "") + wire::sync());
    }

    random_source r_;
    policy_kind kind_;
    sequence made_;
    std::size_t pausing_ = 0;  ///< 0 never, 1 wherever an answer is due, 2 and 3 at times
    std::map<std::string, std::string> kinds_;  ///< parameters of what a name was prepared with
};

}  // namespace

sequence generate(std::uint64_t seed, policy_kind kind) {
    return generator(seed, kind).run();
}

std::string describe(const sequence& s) {
    std::string out;
    for (const auto& one : s.steps) {
        protocol::bytes rest = one.bytes;
        while (!rest.empty()) {
            const auto bytes = std::min(rest.size(), protocol::load_u32(rest.data() + 1) + 1ul);
            auto line = protocol::trace_frontend(rest.substr(0, bytes));
            if (line.size() > 300) line = line.substr(0, 300) + " …";
            out += (one.epilogue ? "  c " : "  C ") + line;
            rest.remove_prefix(bytes);
            if (rest.empty() && one.pause) out += "   (and reads)";
            out += "\n";
        }
    }
    if (s.half_closes) out += "  C shuts its side of the connection\n";
    return out;
}

}  // namespace sallyport::tests::differential

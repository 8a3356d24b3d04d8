#pragma once

#include <array>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/backend.h"
#include "protocol/frame.h"
#include "protocol/frontend.h"
#include "tests/fuzz/check.h"

namespace sallyport::fuzz {

/// Every text that the server below runs; any other is a syntax error to it.
inline constexpr std::array<std::string_view, 36> known_texts{
    "select ssn from pii.customers",
    "select ssn from customers",
    "set search_path to pii",
    "set search_path to pii; select ssn from customers",
    "select 1; select ssn from pii.customers",
    "rollback; select ssn from pii.customers",
    "begin; select ssn from pii.customers",
    "prepare s1 as select ssn from pii.customers",
    "prepare s1 as select ssn from customers",
    "prepare s1 as select 1",
    "execute s1",
    "execute s1; select 1",
    "deallocate s1",
    "deallocate all",
    "declare s1 cursor for select ssn from pii.customers",
    "declare s1 cursor for select 1",
    "fetch 1 from s1",
    "close s1",
    "begin",
    "commit",
    "rollback",
    "select 1",
    "select 2",
    "copy t from stdin",
    "copy t from stdin; select ssn from pii.customers",
    "copy t to stdout",
    "do $$begin end$$",
    "discard all",
    "reset role",
    "set role none",
    "set standard_conforming_strings to off",
    "prepare transaction 'x'",
    "commit prepared 'x'",
    "truncate t",
    "drop table t",
    "",
};

/// What PostgreSQL does with names, settings, errors, Sync and COPY, as far as a gate depends on
/// it. Aborts when something runs that nobody has let pass.
class gate_server {
  public:
    std::string replies;
    bool fail_next = false;  ///< what comes next fails, unless it is an end of a transaction
    bool lied = false;       ///< replies that are not its own were sent: only texts count
    bool exempt = false;     ///< the gate was told that the transaction has failed
    bool two_roles = false;  ///< it begins under the role of what nobody approved
    unsigned credits = 0;    ///< records on disk for what is sent now

    [[nodiscard]] bool dead() const { return dead_; }

    void begin() { now_.low_role = kept_.low_role = two_roles; }

    void take(protocol::bytes bytes) {
        in_ += bytes;
        protocol::bytes rest = in_;
        for (;;) {
            const auto f = protocol::try_take_frame(rest, protocol::frontend_limits);
            if (f.error == protocol::errc::need_more) break;
            require(f.error == protocol::errc::ok && f.value.tag() != 'p',
                    "what goes to the server is messages of a session");
            message(f.value.tag(), f.value.body());
        }
        in_.erase(0, in_.size() - rest.size());
    }

  private:
    struct portal {
        std::string text;
        std::string parameter;
        bool secret = false;    ///< by the search_path of its Bind or DECLARE
        bool licensed = false;  ///< and it was let pass then
        bool fetched = false;
        bool done = false;
        bool cursor = false;
    };
    struct settings {
        bool low_role = false;
        bool pii_path = false;
    };
    enum class result { done, failed, copying };

    void message(char tag, protocol::bytes body) {
        namespace frontend = protocol::frontend;
        paid_ = false;
        const auto q = frontend::query::decode(body);
        if (tag == 'Q' && q) check_query(q->sql);
        if (dead_) return;
        if (copying_) {
            paid_ = of_query_ && licensed_;
            return read_copy(tag);
        }
        if (skipping_ && tag != 'S' && tag != 'X') return;
        switch (tag) {
            case 'Q':
                statements_.erase("");
                portals_.erase("");
                return q ? query(q->sql) : fail_query();
            case 'P': {
                const auto p = frontend::parse::decode(body);
                return p ? parse(*p) : fail_and_skip();
            }
            case 'B': {
                const auto b = frontend::bind::decode(body);
                return b ? bind(*b) : fail_and_skip();
            }
            case 'D': {
                const auto d = frontend::describe::decode(body);
                const bool statement = d && d->kind == frontend::named_kind::statement;
                if (!d || !(statement ? statements_.contains(std::string(d->name))
                                      : portals_.contains(std::string(d->name))))
                    return fail_and_skip();
                if (statement) protocol::backend::parameter_description{}.encode(replies);
                protocol::backend::no_data{}.encode(replies);
                return;
            }
            case 'E': {
                const auto e = frontend::execute::decode(body);
                const auto found = e ? portals_.find(std::string(e->portal)) : portals_.end();
                return found == portals_.end() ? fail_and_skip()
                                               : execute(found->second, e->row_count_max > 0);
            }
            case 'C': {
                const auto c = frontend::close::decode(body);
                if (!c) return fail_and_skip();
                if (c->kind == frontend::named_kind::statement)
                    statements_.erase(std::string(c->name));
                else
                    portals_.erase(std::string(c->name));
                protocol::backend::close_complete{}.encode(replies);
                return;
            }
            case 'F':
                if (status_ == 'E' || std::exchange(fail_next, false)) return fail_query();
                protocol::backend::function_call_response{}.encode(replies);
                return ready();
            case 'S':
                skipping_ = false;
                return ready();
            case 'X':
                dead_ = true;
                return;
            default:
                return;
        }
    }

    /// Something is about to read what a rule holds.
    bool pay() {
        if (paid_) return true;
        if (credits == 0) return false;
        --credits;
        return paid_ = true;
    }
    void pass_secret() { require(pay() || lied, "nothing runs that nobody has let pass"); }

    /// These texts need no names to be what they are: whatever the server says, they do not pass.
    void check_query(std::string_view sql) {
        const bool ends_it = sql == known_texts[5] || sql == known_texts[6];
        const bool plain = sql == known_texts[0] || sql == known_texts[3] || sql == known_texts[4];
        if (ends_it || (plain && !exempt)) require(pay(), "no Query passes that a rule holds");
        const bool low = now_.low_role || status_ == 'E' || skipping_ || lied;
        if (two_roles && sql == "select 2") require(low, "only what is let pass has the full role");
    }

    static bool known(std::string_view text) {
        for (const auto t : known_texts)
            if (t == text) return true;
        return false;
    }
    static bool several(std::string_view text) { return text.find("; ") != text.npos; }
    static bool ends(std::string_view text) {
        return text == "commit" || text == "rollback" || text == "prepare transaction 'x'";
    }

    bool is_secret(std::string_view text) const {
        return text == known_texts[0] || (text == known_texts[1] && now_.pii_path);
    }
    /// What a Bind is asked about: also by name.
    bool reaches_secret(std::string_view text) const {
        if (text == "execute s1") {
            const auto s = statements_.find("s1");
            return s != statements_.end() && is_secret(s->second);
        }
        if (text == "fetch 1 from s1") {
            const auto p = portals_.find("s1");
            return p != portals_.end() && p->second.secret;
        }
        return is_secret(text) || text == known_texts[14];
    }

    void query(std::string_view sql) {
        if (!known(sql)) return fail_query();
        if (sql.empty()) {
            protocol::backend::empty_query_response{}.encode(replies);
            return ready();
        }
        alone_ = !several(sql);
        // What stands behind a COPY runs when that ends.
        licensed_ = !alone_ && sql.starts_with("copy ") && pay();
        for (std::size_t at = 0; at <= sql.size();) {
            const auto end = std::min(sql.find("; ", at), sql.size());
            rest_.emplace_back(sql.substr(at, end - at));
            at = end + 2;
        }
        run_rest();
    }

    void run_rest() {
        while (!rest_.empty()) {
            const auto text = std::exchange(rest_.front(), {});
            rest_.pop_front();
            const auto r = run(text, 0);
            if (r == result::copying) {
                of_query_ = true;
                return;
            }
            if (r == result::failed) return fail_query();
        }
        ready();
    }

    void parse(const protocol::frontend::parse& p) {
        const std::string name{p.statement};
        const bool ours = name.starts_with("sallyport");
        if (std::exchange(fail_next, false) || (status_ == 'E' && !ends(p.sql)) ||
            (!ours && (!known(p.sql) || several(p.sql))) || p.sql.starts_with("sallyport") ||
            (!name.empty() && statements_.contains(name)))
            return fail_and_skip();
        statements_[name] = p.sql;
        protocol::backend::parse_complete{}.encode(replies);
    }

    void bind(const protocol::frontend::bind& b) {
        const auto found = statements_.find(std::string(b.statement));
        const std::string name{b.portal};
        if (found == statements_.end() || std::exchange(fail_next, false) ||
            (status_ == 'E' && !ends(found->second)) || (!name.empty() && portals_.contains(name)))
            return fail_and_skip();
        portal p;
        p.text = found->second;
        p.secret = is_secret(p.text);
        p.licensed = reaches_secret(p.text) && pay();
        if (!b.parameters.empty() && b.parameters[0]) p.parameter = *b.parameters[0];
        portals_[name] = std::move(p);
        protocol::backend::bind_complete{}.encode(replies);
    }

    void execute(portal& p, bool one_row) {
        const auto text = p.text;
        paid_ = p.licensed;
        if ((status_ == 'E' && !ends(text)) || (p.done && !text.starts_with("select")))
            return fail_and_skip();
        if (text.empty()) {
            protocol::backend::empty_query_response{}.encode(replies);
            return;
        }
        if (text.starts_with("SELECT") || text.starts_with("SET ROLE")) return answer(p);
        alone_ = batch_empty_;
        batch_empty_ = false;
        if (text.starts_with("select")) {
            if (std::exchange(fail_next, false)) return fail_and_skip();
            if (p.secret) pass_secret();
            if (one_row && !std::exchange(p.fetched, true))
                return protocol::backend::portal_suspended{}.encode(replies);
            p.done = true;
            return complete("SELECT 1");
        }
        p.done = true;
        const auto r = run(text, 0);
        of_query_ = false;
        if (r == result::failed) fail_and_skip();
    }

    /// The gate's own questions.
    void answer(const portal& p) {
        if (std::exchange(fail_next, false)) return fail_and_skip();
        protocol::backend::data_row row;
        if (p.text.starts_with("SET ROLE")) {
            now_.low_role = p.text != "SET ROLE NONE";
            return complete("SET");
        }
        if (p.text.starts_with("SELECT c.statement")) {
            const auto c = portals_.find(p.parameter);
            if (c != portals_.end()) row.values.emplace_back(c->second.text);
        } else {
            row.values.emplace_back(now_.pii_path ? "{pg_catalog,pii}" : "{pg_catalog,public}");
            row.values.emplace_back("{}");
        }
        if (!row.values.empty()) row.encode(replies);
        complete("SELECT 1");
    }

    result run(const std::string& text, int depth) {
        if (ends(text)) return end_transaction(text);
        if (status_ == 'E' || depth > 3 || std::exchange(fail_next, false)) return result::failed;
        if (text.starts_with("select")) {
            if (is_secret(text)) pass_secret();
        } else if (text == "begin") {
            status_ = 'T';
        } else if (text.starts_with("prepare s1 as ")) {
            if (!statements_.emplace("s1", text.substr(14)).second) return result::failed;
        } else if (text == "execute s1") {
            const auto found = statements_.find("s1");
            if (found == statements_.end() || found->second.starts_with("copy"))
                return result::failed;
            return run(std::string(found->second), depth + 1);  // it may remove itself
        } else if (text == "deallocate s1") {
            if (statements_.erase("s1") == 0) return result::failed;
        } else if (text == "deallocate all") {
            std::erase_if(statements_, [](const auto& s) { return !s.first.empty(); });
        } else if (text.starts_with("declare s1 cursor for ")) {
            if (status_ != 'T' || portals_.contains("s1")) return result::failed;
            portal p;
            p.text = text;
            p.secret = is_secret(text.substr(22));
            p.licensed = p.secret && pay();
            p.cursor = true;
            portals_["s1"] = p;
        } else if (text == "fetch 1 from s1") {
            const auto found = portals_.find("s1");
            if (found == portals_.end() ||
                !(found->second.cursor || found->second.text.starts_with("select")))
                return result::failed;
            paid_ = paid_ || found->second.licensed;
            if (found->second.secret) pass_secret();
        } else if (text == "close s1") {
            if (portals_.erase("s1") == 0) return result::failed;
        } else if (text == "discard all") {
            if (status_ != 'I' || !alone_) return result::failed;
            statements_.clear();
            portals_.clear();
            now_ = kept_ = {};
        } else if (text == "reset role") {
            now_.low_role = two_roles;
        } else if (text == "set role none") {
            now_.low_role = false;
        } else if (text == "set search_path to pii") {
            now_.pii_path = true;
        } else if (text == "set standard_conforming_strings to off") {
            protocol::backend::parameter_status{"standard_conforming_strings", "off"}.encode(
                replies);
        } else if (text == "commit prepared 'x'") {
            if (status_ != 'I' || !std::exchange(prepared_, false)) return result::failed;
        } else if (text == "copy t to stdout") {
            protocol::backend::copy_out_response{}.encode(replies);
            protocol::backend::copy_data{"1"}.encode(replies);
            protocol::backend::copy_done{}.encode(replies);
        } else if (text == "copy t from stdin") {
            protocol::backend::copy_in_response{}.encode(replies);
            copying_ = true;
            return result::copying;
        }
        complete("OK");
        return result::done;
    }

    result end_transaction(const std::string& text) {
        const bool prepares = text.starts_with("prepare") && status_ == 'T';
        prepared_ = prepared_ || prepares;
        if (text == "rollback" || status_ == 'E')
            now_ = kept_;
        else
            kept_ = now_;
        complete(prepares ? "PREPARE TRANSACTION" : text == "commit" ? "COMMIT" : "ROLLBACK");
        status_ = 'I';
        portals_.clear();
        return result::done;
    }

    void read_copy(char tag) {
        if (tag == 'd' && !fail_next) return;
        if (tag == 'S' || tag == 'H') return;
        if (tag != 'd' && tag != 'c' && tag != 'f') {
            dead_ = true;  // it cannot tell where the next message begins
            return error("FATAL");
        }
        copying_ = false;
        if (tag != 'c' || std::exchange(fail_next, false)) {
            fail_next = false;
            return of_query_ ? fail_query() : fail_and_skip();
        }
        complete("COPY 1");
        if (of_query_) run_rest();
    }

    void complete(std::string_view tag) {
        protocol::backend::command_complete{tag}.encode(replies);
    }
    void error(std::string_view severity) {
        protocol::backend::error_response e;
        e.fields = {{'S', severity}, {'V', severity}, {'C', "XX000"}, {'M', "no"}};
        e.encode(replies);
    }
    void fail() {
        if (status_ == 'I') now_ = kept_;
        if (status_ == 'T') status_ = 'E';
        error("ERROR");
    }
    void fail_query() {
        rest_.clear();
        fail();
        ready();
    }
    void fail_and_skip() {
        fail();
        skipping_ = true;
    }
    void ready() {
        batch_empty_ = true;
        if (status_ == 'I') {
            portals_.clear();
            kept_ = now_;
        }
        protocol::backend::ready_for_query{
            static_cast<protocol::backend::transaction_status>(status_)}
            .encode(replies);
    }

    std::string in_;
    std::map<std::string, std::string> statements_;
    std::map<std::string, portal> portals_;
    std::deque<std::string> rest_;  ///< of a Query: what it has not run yet
    settings now_;
    settings kept_;  ///< as of the last commit
    char status_ = 'I';
    bool skipping_ = false;
    bool copying_ = false;
    bool of_query_ = false;  ///< the COPY
    bool alone_ = true;      ///< the statement, in its Query or batch
    bool batch_empty_ = true;
    bool prepared_ = false;
    bool paid_ = false;      ///< the message that is read now
    bool licensed_ = false;  ///< the Query whose COPY is read
    bool dead_ = false;
};

}  // namespace sallyport::fuzz

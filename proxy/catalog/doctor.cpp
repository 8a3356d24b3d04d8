#include "proxy/catalog/doctor.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "proxy/catalog/reader.h"
#include "proxy/visible.h"

namespace sallyport::proxy::catalog {

namespace {

using std::chrono::seconds;

constexpr seconds query_timeout{30};
constexpr std::size_t relations_max = 20'000;
constexpr std::size_t findings_max = 1'000;  // of one check
constexpr std::size_t named_max = 5;

struct relation {
    std::uint32_t id = 0;
    std::string schema;
    std::string name;
    std::vector<std::string> columns;
};

std::string shown(std::string_view name) {
    return visible(name, line_breaks::escape);
}

bool matches(const policy::relation_pattern& p, const relation& r) {
    return (p.schema.empty() || p.schema == "*" || p.schema == r.schema) &&
           (p.name == "*" || p.name == r.name);
}

std::string pattern_text(const policy::relation_pattern& p) {
    return p.schema.empty() || (p.schema == "*" && p.name != "*") ? p.name
                                                                  : p.schema + "." + p.name;
}

/// An SQL literal of type text[]; every element is quoted as an array's and then as a string's.
std::string text_array(const std::vector<std::string>& items) {
    std::string array;
    for (const auto& item : items) {
        array += array.empty() ? "{\"" : ",\"";
        for (const char c : item) {
            if (c == '"' || c == '\\') array += '\\';
            array += c;
            if (c == '\'') array += c;
        }
        array += '"';
    }
    return "'" + (array.empty() ? "{" : array) + "}'::pg_catalog.text[]";
}

/// "a, b, c and 7 more".
std::string listed(const std::vector<std::string>& names) {
    std::string out;
    for (std::size_t i = 0; i < names.size() && i < named_max; ++i)
        out += (i == 0 ? "" : ", ") + names[i];
    if (names.size() > named_max)
        out += " and " + std::to_string(names.size() - named_max) + " more";
    return out;
}

class examiner {
  public:
    examiner(connection& c, const examination& e) : connection_(c), asked_(e) {}

    std::vector<finding> run() {
        execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        execute("SET LOCAL search_path = ''");
        execute("SET LOCAL standard_conforming_strings = on");
        execute("SET LOCAL statement_timeout = 30000");
        checked("relations", "the relations", [this] { read_relations(); });
        checked("hba", "pg_hba.conf", [this] { hba(); });
        checked("direct-login", "who else can log in", [this] { direct_logins(); });
        checked("login-attributes", "the attributes of the logins", [this] { logins(); });
        checked("public-grant", "grants to PUBLIC", [this] { public_grants(); });
        checked("security-definer", "SECURITY DEFINER functions", [this] { definers(); });
        checked("untrusted-language", "functions in untrusted languages", [this] { untrusted(); });
        execute("ROLLBACK");
        std::stable_sort(found_.begin(), found_.end(),
                         [](const finding& a, const finding& b) { return a.how_bad > b.how_bad; });
        return std::move(found_);
    }

  private:
    void execute(const std::string& sql) { connection_.execute(sql, query_timeout); }
    void each(const std::string& sql, int columns, const std::function<void(const row&)>& f) {
        std::size_t n = 0;
        connection_.query(sql, columns, query_timeout, [&](const row& r) {
            if (++n > 10'000'000) throw failure("an answer without an end");
            f(r);
        });
    }
    void add(risk r, std::string check, std::string what, std::string fix) {
        const auto same = std::count_if(found_.begin(), found_.end(),
                                        [&](const finding& f) { return f.check == check; });
        if (static_cast<std::size_t>(same) < findings_max)
            found_.push_back({r, std::move(check), std::move(what), std::move(fix)});
    }
    void checked(const char* check, const char* what, const std::function<void()>& f) {
        execute("SAVEPOINT one");
        try {
            f();
        } catch (const failure& e) {
            if (e.sqlstate().empty()) throw;
            execute("ROLLBACK TO SAVEPOINT one");
            std::string fix = "make the check with a login that may";
            if (std::string_view(check) == "hba")
                fix = "GRANT SELECT ON pg_catalog.pg_hba_file_rules TO \"" +
                      shown(asked_.catalog_login) +
                      "\"; GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules() TO \"" +
                      shown(asked_.catalog_login) + "\"; or read the file yourself";
            add(risk::note, check, std::string(what) + " could not be read: " + e.what(),
                std::move(fix));
        }
    }

    [[nodiscard]] std::string sensitive_ids() const {
        std::string out;
        for (const auto id : sensitive_)
            out += (out.empty() ? "" : ",") + std::to_string(id);
        return "'{" + out + "}'::pg_catalog.oid[]";
    }
    [[nodiscard]] bool is_login(const std::string& role) const {
        return std::find(asked_.logins.begin(), asked_.logins.end(), role) != asked_.logins.end();
    }

    void read_relations();
    void direct_logins();
    void logins();
    void public_grants();
    void definers();
    void untrusted();
    void hba();

    connection& connection_;
    const examination& asked_;
    std::vector<relation> relations_;
    std::set<std::uint32_t> sensitive_;
    bool admits_all_ = true;          ///< pg_hba.conf lets anybody in, as far as we know
    std::set<std::string> admitted_;  ///< otherwise: whom it lets in from elsewhere than here
    std::vector<finding> found_;
};

void examiner::read_relations() {
    each(
        "SELECT c.oid, n.nspname, c.relname, (SELECT pg_catalog.array_agg(a.attname) FROM "
        "pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT "
        "a.attisdropped) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
        "c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND "
        "n.nspname <> 'information_schema' ORDER BY 2, 3",
        4, [&](const row& r) {
            if (relations_.size() < relations_max)
                relations_.push_back({r.number(0), std::string(r.text(1)), std::string(r.text(2)),
                                      parse_array(r.text(3))});
        });
    for (const auto& p : asked_.resources) {
        bool any = false;
        std::vector<std::string> missing = p.relation.columns;
        for (const auto& r : relations_) {
            if (!matches(p.relation, r)) continue;
            any = true;
            std::erase_if(missing, [&](const std::string& column) {
                return std::find(r.columns.begin(), r.columns.end(), column) != r.columns.end();
            });
        }
        const std::string where = "resource " + p.resource + ": " + pattern_text(p.relation);
        if (!any && p.relation.schema.substr(0, 3) != "pg_")
            add(risk::medium, "unmatched-resource", where + " matches no relation of this database",
                "correct the name in the policy, or leave it out");
        else if (any && !missing.empty())
            add(risk::medium, "unmatched-resource", where + " has no column " + listed(missing),
                "correct the name in the policy, or leave it out");
    }
    for (const auto& r : relations_)
        if (std::any_of(asked_.sensitive.begin(), asked_.sensitive.end(),
                        [&](const auto& p) { return matches(p.relation, r); }))
            sensitive_.insert(r.id);
}

void examiner::direct_logins() {
    // What a role can become by SET ROLE counts as well as what it inherits.
    std::vector<std::pair<std::string, std::vector<std::string>>> reach;
    each(
        "SELECT r.rolname, r.rolsuper, n.nspname, c.relname FROM pg_catalog.pg_roles r JOIN "
        "pg_catalog.pg_class c ON c.oid = ANY (" +
            sensitive_ids() +
            ") JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE r.rolcanlogin AND "
            "pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CONNECT') "
            "AND NOT r.rolname = ANY (" +
            text_array(asked_.logins) +
            ") AND (r.rolsuper OR EXISTS (SELECT FROM pg_catalog.pg_roles g WHERE "
            "pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER') AND "
            "pg_catalog.has_schema_privilege(g.oid, n.oid, 'USAGE') AND "
            "(pg_catalog.has_any_column_privilege(g.oid, c.oid, 'SELECT, INSERT, UPDATE') OR "
            "pg_catalog.has_table_privilege(g.oid, c.oid, 'DELETE, TRUNCATE')))) ORDER BY 1, 3, 4",
        4, [&](const row& r) {
            if (!admits_all_ && admitted_.count(std::string(r.text(0))) == 0) return;
            const std::string role = shown(r.text(0)) + (r.truth(1) ? " (a superuser)" : "");
            if (reach.empty() || reach.back().first != role)
                reach.emplace_back(role, std::vector<std::string>{});
            reach.back().second.push_back(shown(r.text(2)) + "." + shown(r.text(3)));
        });
    for (const auto& [role, tables] : reach)
        add(risk::high, "direct-login",
            "role " + role + " can log in to the server itself and reaches " + listed(tables),
            "let pg_hba.conf admit it from nowhere but where it must, take its rights away, or "
            "ALTER ROLE … NOLOGIN");
}

void examiner::logins() {
    auto names = asked_.logins;
    names.push_back(asked_.catalog_login);
    each(
        "SELECT r.rolname, r.rolsuper, pg_catalog.concat_ws(', ', CASE WHEN r.rolsuper THEN "
        "'SUPERUSER' END, CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN "
        "r.rolbypassrls THEN 'BYPASSRLS' END, CASE WHEN r.rolreplication THEN 'REPLICATION' END, "
        "(SELECT pg_catalog.string_agg(g.rolname, ', ' ORDER BY g.rolname) FROM "
        "pg_catalog.pg_roles g WHERE NOT r.rolsuper AND g.rolname IN ('pg_read_server_files', "
        "'pg_write_server_files', 'pg_execute_server_program') AND pg_catalog.pg_has_role(r.oid, "
        "g.oid, 'MEMBER'))) FROM pg_catalog.pg_roles r WHERE r.rolname = ANY (" +
            text_array(names) + ") ORDER BY 1",
        3, [&](const row& r) {
            if (r.text(2).empty()) return;
            const std::string role(r.text(0));
            const bool serves = is_login(role);
            add(serves ? risk::high : risk::medium, "login-attributes",
                std::string(serves ? "the login " : "the catalog's login ") + shown(role) +
                    " is more than it must be: " + shown(r.text(2)),
                "ALTER ROLE … NOSUPERUSER NOCREATEROLE NOBYPASSRLS NOREPLICATION; REVOKE what it "
                "is a member of; replication only where clients replicate");
        });
}

void examiner::public_grants() {
    each(
        "SELECT n.nspname, c.relname, pg_catalog.string_agg(DISTINCT x.privilege_type, ', ') FROM "
        "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace CROSS JOIN "
        "LATERAL (SELECT e.privilege_type, e.grantee FROM pg_catalog.aclexplode(c.relacl) e UNION "
        "ALL SELECT e.privilege_type, e.grantee FROM pg_catalog.pg_attribute a, "
        "pg_catalog.aclexplode(a.attacl) e WHERE a.attrelid = c.oid AND NOT a.attisdropped) x "
        "WHERE c.oid = ANY (" +
            sensitive_ids() + ") AND x.grantee = 0 GROUP BY 1, 2 ORDER BY 1, 2",
        3, [&](const row& r) {
            const std::string name = shown(r.text(0)) + "." + shown(r.text(1));
            add(risk::high, "public-grant", "PUBLIC has " + shown(r.text(2)) + " on " + name,
                "REVOKE ALL ON " + name + " FROM PUBLIC, and grant it to who needs it");
        });
}

void examiner::definers() {
    each(
        "SELECT p.oid::pg_catalog.regprocedure::pg_catalog.text, o.rolname, l.lanname, "
        "pg_catalog.bool_or(c.oid IS NOT NULL), pg_catalog.min(n.nspname || '.' || c.relname) "
        "FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_roles o ON o.oid = p.proowner JOIN "
        "pg_catalog.pg_language l ON l.oid = p.prolang JOIN pg_catalog.pg_class c ON c.oid = ANY "
        "(" +
            sensitive_ids() +
            ") JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE p.prosecdef AND "
            "p.oid >= 16384 AND (o.rolsuper OR (pg_catalog.has_schema_privilege(o.oid, n.oid, "
            "'USAGE') AND (pg_catalog.has_any_column_privilege(o.oid, c.oid, 'SELECT, INSERT, "
            "UPDATE') OR pg_catalog.has_table_privilege(o.oid, c.oid, 'DELETE, TRUNCATE')))) "
            "GROUP BY 1, 2, 3 ORDER BY 1",
        5, [&](const row& r) {
            add(risk::medium, "security-definer",
                "function " + shown(r.text(0)) + " (" + shown(r.text(2)) +
                    ") runs with the rights of " + shown(r.text(1)) + ", who reaches " +
                    shown(r.text(4)),
                "give it an owner with the rights it needs, a search_path of its own, and EXECUTE "
                "to who needs it alone; or rule on it");
        });
}

void examiner::untrusted() {
    // The server's own and those of extensions in C are what they are; a script is anybody's.
    each(
        "SELECT p.oid::pg_catalog.regprocedure::pg_catalog.text, l.lanname, (SELECT "
        "pg_catalog.array_agg(r.rolname ORDER BY r.rolname) FROM pg_catalog.pg_roles r WHERE "
        "r.rolcanlogin AND NOT r.rolsuper AND pg_catalog.has_function_privilege(r.oid, p.oid, "
        "'EXECUTE')) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang "
        "WHERE NOT l.lanpltrusted AND l.lanname <> 'internal' AND p.oid >= 16384 AND NOT "
        "(l.lanname "
        "= 'c' AND EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND d.objid = "
        "p.oid AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass)) ORDER BY 1",
        3, [&](const row& r) {
            std::vector<std::string> who;
            for (const auto& name : parse_array(r.text(2)))
                who.push_back(shown(name));
            if (who.empty()) return;
            add(risk::high, "untrusted-language",
                "function " + shown(r.text(0)) + " is in the untrusted language " +
                    shown(r.text(1)) + ", and " + listed(who) + " may run it",
                "REVOKE EXECUTE ON FUNCTION … FROM PUBLIC, and grant it to who needs it");
        });
}

/// One line of pg_hba.conf, as pg_hba_file_rules tells it.
struct hba_line {
    std::uint32_t number = 0;
    std::string type;
    std::vector<std::string> users;
    std::string address;
    std::string mask;
    std::string method;
    bool here = false;  ///< it speaks of this database, among others
    bool every_database = false;

    [[nodiscard]] bool everybody() const { return users == std::vector<std::string>{"all"}; }
    [[nodiscard]] bool version_6() const { return address.find(':') != std::string::npos; }
    [[nodiscard]] bool anywhere_4() const {
        return address == "all" || (address == "0.0.0.0" && mask == "0.0.0.0");
    }
    [[nodiscard]] bool anywhere_6() const {
        return address == "all" || (address == "::" && mask == "::");
    }
    [[nodiscard]] bool only(const std::string& one) const {
        return address == one &&
               (mask == "255.255.255.255" || mask == "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    }
};

void examiner::hba() {
    std::string us;
    each("SELECT pg_catalog.host(pg_catalog.inet_client_addr())", 1,
         [&](const row& r) { us = r.text(0); });
    std::vector<hba_line> lines;
    each(
        "SELECT h.line_number, h.type, h.user_name, h.address, h.netmask, h.auth_method, "
        "h.database && ARRAY['all', 'sameuser', 'samerole', 'samegroup', "
        "pg_catalog.current_database()::pg_catalog.text] OR EXISTS (SELECT FROM "
        "pg_catalog.unnest(h.database) d WHERE pg_catalog.left(d, 1) IN ('/', '+', '@')), "
        "h.database = ARRAY['all'] FROM pg_catalog.pg_hba_file_rules h WHERE h.error IS NULL "
        "ORDER BY h.line_number",
        8, [&](const row& r) {
            lines.push_back({r.number(0), std::string(r.text(1)), parse_array(r.text(2)),
                             std::string(r.text(3)), std::string(r.text(4)), std::string(r.text(5)),
                             r.truth(6), r.truth(7)});
        });
    admits_all_ = false;
    // The first line that fits decides: what follows one that refuses everybody is never asked.
    bool closed_4 = false;
    bool closed_6 = false;
    for (const auto& l : lines) {
        if (l.method == "reject") {
            if (l.type == "host" && l.every_database && l.everybody()) {
                closed_4 = closed_4 || l.anywhere_4();
                closed_6 = closed_6 || l.anywhere_6();
            }
            continue;
        }
        const bool local = l.type == "local";
        const bool trusts = l.method == "trust";
        const bool closed = l.address == "all" ? closed_4 && closed_6
                            : l.version_6()    ? closed_6
                                               : closed_4;
        // Whoever comes by a Unix socket is on the server's machine, and known there.
        if (!l.here || (local ? !trusts : closed)) continue;
        const bool only_ours = std::all_of(l.users.begin(), l.users.end(), [&](const auto& u) {
            return is_login(u) || u == asked_.catalog_login;
        });
        if (!trusts && (l.only(us) || only_ours)) continue;
        std::vector<std::string> who;
        for (const auto& u : l.users) {
            who.push_back(shown(u));
            admitted_.insert(u);
            // Groups and patterns may stand for anybody.
            admits_all_ = admits_all_ || u == "all" || u.find_first_of("+/@") == 0;
        }
        add(trusts ? risk::high : risk::medium, "hba",
            "pg_hba.conf, line " + std::to_string(l.number) + ": " + listed(who) +
                " may come from " + (local ? "the server's machine" : shown(l.address)) +
                (l.mask.empty() ? "" : " (mask " + shown(l.mask) + ")") + " by " + shown(l.method),
            trusts ? "ask for a password: scram-sha-256, never trust"
                   : "admit the proxy's address (" + us + ") and its logins alone");
    }
}

}  // namespace

const char* to_string(risk r) noexcept {
    switch (r) {
        case risk::note:
            return "note";
        case risk::low:
            return "low";
        case risk::medium:
            return "medium";
        case risk::high:
            break;
    }
    return "high";
}

std::vector<finding> examine(connection& c, const examination& e) {
    return examiner(c, e).run();
}

}  // namespace sallyport::proxy::catalog

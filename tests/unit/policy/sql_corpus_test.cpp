#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "policy/sql/analyse.h"
#include "tests/unit/policy/sql_text.h"

/// The evasion corpus: every case that the parse tree alone can show must show; look-alikes must
/// not.
namespace sallyport::policy::sql {
namespace {

struct corpus_case {
    std::string id;
    std::string why;
    bool column_rule = false;
    bool soft = false;
    std::vector<std::string> session;
    std::vector<std::string> touches;  // "pii.customers" or "pii.customers.ssn"
};

std::string bytes_of(const nlohmann::json& step) {
    if (step.is_string()) return step.get<std::string>();
    const auto hex = step.at("hex").get<std::string>();
    std::string out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return out;
}

std::vector<corpus_case> load(const std::string& name) {
    std::vector<corpus_case> out;
    std::ifstream in{std::string{SALLYPORT_SOURCE_DIR} + "/tests/data/sql/" + name};
    for (std::string line; std::getline(in, line);) {
        const auto j = nlohmann::json::parse(line);
        corpus_case c;
        c.id = j.at("id");
        c.why = j.at("why");
        c.column_rule = j.at("policy") == "column";
        c.soft = j.value("soft", false);
        for (const auto& s : j.at("session"))
            c.session.push_back(bytes_of(s));
        if (j.contains("touches"))
            for (const auto& t : j["touches"])
                c.touches.push_back(t);
        out.push_back(std::move(c));
    }
    return out;
}

/// Does a rule on this object (table or table.column) match, or is the statement held as opaque?
bool stopped(const statement_facts& s, const std::string& object) {
    if (s.has(kind::opaque)) return true;
    const auto first = object.find('.');
    const auto second = object.find('.', first + 1);
    const std::string schema = object.substr(0, first);
    const std::string name = object.substr(first + 1, second - first - 1);
    const std::string column = second == std::string::npos ? "" : object.substr(second + 1);
    for (const auto& r : s.relations)
        if ((r.name == name || r.name == "*") && (r.schema.empty() || r.schema == schema) &&
            (column.empty() || r.columns.empty() ||
             std::ranges::find(r.columns, column) != r.columns.end()))
            return true;
    for (const auto& n : s.names)
        if (n.inner)
            for (const auto& i : n.inner->statements)
                if (stopped(i, object)) return true;
    return false;
}

/// The session as the gate sees it, with the one setting that changes how text is read.
bool session_stopped(const corpus_case& c, const std::string& object, bool scs_at_login) {
    bool scs = scs_at_login;
    for (const auto& sql : c.session) {
        const auto f = analyse(sql, {.standard_conforming_strings = scs});
        for (const auto& s : f->statements) {
            if (stopped(s, object)) return true;
            for (const auto& x : s.settings) {
                // Another client encoding than UTF-8 is the session's to refuse; here: it stops.
                if (x.name == "client_encoding" && s.has(kind::session_identity)) return true;
                if (x.name == "standard_conforming_strings") scs = x.value != "off";
            }
        }
    }
    return false;
}

// The setting comes with the startup packet or the database, which the text does not tell.
const std::set<std::string> scs_off_at_login{"E031", "E038"};
TEST(sql_corpus, evasions_that_the_tree_can_show_are_shown) {
    const auto cases = load("evasion_parse.jsonl");
    ASSERT_GT(cases.size(), 200u);
    for (const auto& c : cases) {
        bool any = false;
        for (const auto& t : c.touches)
            any = any || session_stopped(c, t, !scs_off_at_login.contains(c.id));
        std::string seen;
        for (const auto& s : c.session)
            seen += "\n   " + to_text(*analyse(s, {}));
        EXPECT_TRUE(any) << c.id << ": " << c.why << "\n   " << c.session.back().substr(0, 300)
                         << seen;
    }
}

// Look-alikes that the parse tree alone must hold, each with its reason.
const std::map<std::string, std::string> benign_but_held{
    {"B082", "the temporary table that shadows the name is known to the session, not to the text"},
    {"B104", "DO: the body is in another language"},
    {"B121", "bytes that are no UTF-8"},
    {"B160", "unqualified name: which schema is the catalog's to tell"},
    {"B161", "unqualified name: which schema is the catalog's to tell"},
    {"B157", "unqualified name: which schema is the catalog's to tell"},
};

TEST(sql_corpus, look_alikes_are_not_stopped) {
    const std::vector<std::string> objects{
        "pii.customers", "finance.payroll",
        "pii.kyc_documents_and_identity_verification_records_master_archive_"};
    for (const auto& c : load("benign.jsonl")) {
        bool held = false;
        bool scs = true;
        std::string seen;
        for (const auto& sql : c.session) {
            const auto f = analyse(sql, {.standard_conforming_strings = scs});
            seen += "\n   " + to_text(*f);
            for (const auto& s : f->statements) {
                if (c.column_rule)
                    held = held || stopped(s, "pii.customers.ssn");
                else
                    for (const auto& o : objects)
                        held = held || stopped(s, o);
                for (const auto& x : s.settings)
                    if (x.name == "standard_conforming_strings") scs = x.value != "off";
            }
        }
        EXPECT_EQ(held, benign_but_held.contains(c.id)) << c.id << ": " << c.why << seen;
    }
}

}  // namespace
}  // namespace sallyport::policy::sql

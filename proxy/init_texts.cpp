#include "proxy/init_texts.h"

namespace sallyport::proxy {

namespace {

// YAML's double quotes; every control character becomes an escape.
std::string quoted(std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            out += "\\x";
            out += digits[byte >> 4];
            out += digits[byte & 15];
        } else {
            out += c;
        }
    }
    return out + '"';
}

}  // namespace

std::string init_configuration(const init_options& o, const init_places& p) {
    const auto tls = o.certificate.empty()
                         ? std::string("{ mode: disable }")
                         : "{ mode: require, certificate: " + quoted(o.certificate) +
                               ", key: " + quoted(o.key) + " }";
    std::string text =
        "# Sallyport's configuration; man sallyport.yaml. Paths are relative to this folder.\n"
        "# After a change: sallyport check --config FILE, then systemctl reload sallyport (or "
        "SIGHUP).\n"
        "listen:\n"
        "  postgres:                 # clients connect here instead of to their database\n"
        "    address: " +
        quoted(o.address) + "\n    port: " + std::to_string(o.listen_port) + "\n    tls: " + tls +
        "\n  admin:                    # the API, /metrics, /healthz, /readyz\n    address: " +
        quoted(o.address) + "\n    port: " + std::to_string(o.admin_port) + "\n";
    if (!o.certificate.empty()) text += "    tls: " + tls + "\n";
    text += "\nstate: { sqlite: " + quoted(p.state + "/sallyport.db") +
            " }\n"
            "# The signing key is made at the first start; keep a copy of audit.key.pub "
            "elsewhere.\n"
            "audit: { directory: " +
            quoted(p.state + "/audit") + ", signing_key: " + quoted(p.state + "/audit.key") +
            " }\nusers: users.yaml\npolicy: policy.yaml\n\ntargets:\n  " + quoted(o.target) +
            ":\n    host: " + quoted(o.host) + "\n    port: " + std::to_string(o.port) + "\n";
    if (!o.dbname.empty()) text += "    dbname: " + quoted(o.dbname) + "\n";
    text += "    login: { user: " + quoted(o.login) + ", password_file: " + quoted(p.login_secret) +
            " }\n";
    if (p.catalog_secret.empty())
        text +=
            "    # A login that reads pg_catalog: then views, functions and triggers are "
            "followed.\n"
            "    # catalog: { user: sallyport_catalog, password_file: secrets/catalog }\n";
    else
        text += "    catalog: { user: " + quoted(o.catalog_login) +
                ", password_file: " + quoted(p.catalog_secret) + " }\n";
    return text +
           "\nroles:\n"
           "  admin: { groups: [admins] }\n"
           "  auditor: { groups: [approvers] }\n"
           "log: { level: info, format: text }\n"
           "drain_timeout: 30s\n";
}

std::string init_policy(const init_options& o) {
    const auto target = quoted(o.target);
    return "# What passes and what waits; man policy.yaml. `sallyport check` runs the tests "
           "below.\n"
           "version: 1\n\n"
           "default: allow              # what no rule matches: allow | hold | deny\n"
           "opaque:                     # what cannot be analysed: DO blocks, unknown syntax …\n"
           "  effect: hold\n"
           "  hold: { approvers: { groups: [approvers] }, wait: 5m }\n\n"
           "resources:\n"
           "  sensitive:                # put the names of your tables and columns here\n"
           "    target: " +
           target +
           "\n    relations: [\"pii.*\", \"public.customers(email, ssn)\"]\n\n"
           "rules:\n"
           "  - id: no-server-files\n"
           "    tier: 10\n"
           "    do: [copy-program, server-file, replication]\n"
           "    effect: deny\n"
           "    message: Files and programs of the server, and replication, are out of reach "
           "here.\n\n"
           "  - id: sensitive-needs-approval\n"
           "    tier: 20\n"
           "    on: [sensitive]\n"
           "    do: [read, write]\n"
           "    effect: hold\n"
           "    message: Sensitive data; say why with SET sallyport.reason = '…'.\n"
           "    hold:\n"
           "      approvers: { groups: [approvers], approvals: 1 }\n"
           "      wait: 15m\n"
           "      pass: { statement: true, shape: 30m }\n\n"
           "tests:\n"
           "  - { as: somebody, groups: [], on: " +
           target +
           ", sql: \"select 1\", expect: allow }\n"
           "  - { as: somebody, groups: [], on: " +
           target +
           ", sql: \"select * from pii.people\", expect: hold, rule: sensitive-needs-approval }\n"
           "  - { as: somebody, groups: [], on: " +
           target +
           ", sql: \"copy (select 1) to program 'cat'\", expect: deny, rule: no-server-files }\n";
}

std::string init_users(std::string_view line) {
    return "# Who may log in; a further line: sallyport passwd NAME --groups dev\n"
           "# Approvers decide on what others ask for, never on their own: two people at least "
           "make it work.\n"
           "users:\n" +
           std::string(line);
}

}  // namespace sallyport::proxy

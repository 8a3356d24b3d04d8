#include "tests/support/postgres_server.h"

#include <csignal>
#include <filesystem>
#include <stdexcept>

#include <sys/stat.h>

#include "tests/support/eventually.h"
#include "tests/support/sockets.h"

namespace sallyport::tests {
namespace {

constexpr const char* roles_sql = R"(
CREATE ROLE app LOGIN PASSWORD 'app-password';
CREATE ROLE app_clear LOGIN PASSWORD 'app_clear-password';
CREATE ROLE alice LOGIN PASSWORD 'alice-password';
CREATE ROLE sallyport_catalog LOGIN PASSWORD 'sallyport_catalog-password';
SET password_encryption = md5;
CREATE ROLE app_md5 LOGIN PASSWORD 'app_md5-password';
)";

constexpr const char* shop_sql = R"(
CREATE TABLE orders (id int PRIMARY KEY, item text NOT NULL, amount int NOT NULL);
INSERT INTO orders SELECT i, 'item ' || i, i * 10 FROM generate_series(1, 20) AS i;
CREATE TABLE customers (id int PRIMARY KEY, name text, email text, ssn text);
INSERT INTO customers VALUES (1, 'Ada', 'ada@example.com', '111-11-1111'),
                             (2, 'Grace', 'grace@example.com', '222-22-2222');
CREATE TABLE ledger (id int PRIMARY KEY, note text);
CREATE SCHEMA pii;
CREATE TABLE pii.customers (id int PRIMARY KEY, birthday date);
INSERT INTO pii.customers VALUES (1, '1815-12-10'), (2, '1906-12-09');
CREATE TABLE pii.cards (id int PRIMARY KEY, number text);
INSERT INTO pii.cards VALUES (1, '4111 1111 1111 1111');
CREATE TABLE payroll (person text PRIMARY KEY, salary int);
INSERT INTO payroll VALUES ('Ada', 100), ('Grace', 200);
GRANT ALL ON SCHEMA public, pii TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA public, pii TO PUBLIC;
)";

constexpr const char* template_name = "shop_template";

}  // namespace

std::string postgres_program(const std::string& name) {
    for (const char* directory : {"/usr/lib/postgresql/15/bin/", "/usr/lib/postgresql/16/bin/",
                                  "/usr/lib/postgresql/17/bin/"}) {
        if (std::filesystem::exists(directory + name)) return directory + name;
    }
    return name;
}

postgres_server& postgres_server::shared() {
    static postgres_server server({.settings = {{"max_prepared_transactions", "8"}}});
    return server;
}

postgres_server::postgres_server(postgres_options options)
    : options_(std::move(options)), data_(dir_.file("data")) {
    initialise();
    start();
    query("postgres", roles_sql);
    query("postgres", std::string("CREATE DATABASE ") + template_name);
    query(template_name, shop_sql);
}

postgres_server::~postgres_server() {
    if (process_ && process_->alive()) stop();
}

void postgres_server::initialise() {
    const std::string user = server_user();
    std::filesystem::create_directory(data_);
    ::chmod(data_.c_str(), 0700);
    give_to(data_, user);
    write_file(dir_.file("password"), "postgres-password", 0644);
    const auto made = run({.argv = {postgres_program("initdb"), "-D", data_, "-U", "postgres",
                                    "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
                                    "--no-sync", "--pwfile=" + dir_.file("password")},
                           .env = {},
                           .input = "",
                           .user = user,
                           .directory = data_});
    if (made.exit_code != 0) throw std::runtime_error("initdb failed: " + made.err);

    ca_ = std::make_unique<certificate_authority>(dir_.path());
    std::map<std::string, std::string> settings{{"listen_addresses", "'127.0.0.1'"},
                                                {"unix_socket_directories", "''"},
                                                {"fsync", "off"},
                                                {"full_page_writes", "off"},
                                                {"synchronous_commit", "off"},
                                                {"max_connections", "120"},
                                                {"shared_buffers", "32MB"},
                                                {"autovacuum", "off"},
                                                {"password_encryption", "'scram-sha-256'"},
                                                {"log_line_prefix", "'%m [%p] %u@%d '"}};
    if (options_.tls) {
        const key_pair pair = ca_->issue({.file = "postgres"});
        give_to(pair.key, user);
        settings["ssl"] = "on";
        settings["ssl_cert_file"] = "'" + pair.certificate + "'";
        settings["ssl_key_file"] = "'" + pair.key + "'";
    }
    for (const auto& [name, value] : options_.settings)
        settings[name] = value;
    std::string conf;
    for (const auto& [name, value] : settings)
        conf += name + " = " + value + "\n";
    write_file(data_ + "/postgresql.conf", conf, 0644);

    std::string hba;
    for (const auto& line : options_.hba)
        hba += line + "\n";
    hba +=
        "host all app_md5 127.0.0.1/32 md5\n"
        "host all app_clear 127.0.0.1/32 password\n"
        "host all all 127.0.0.1/32 scram-sha-256\n"
        "host replication all 127.0.0.1/32 scram-sha-256\n";
    write_file(data_ + "/pg_hba.conf", hba, 0644);
    port_ = free_port();
}

void postgres_server::start() {
    process_ = std::make_unique<child_process>(
        command{.argv = {postgres_program("postgres"), "-D", data_, "-p", std::to_string(port_)},
                .env = {{"PGPASSWORD", ""}},
                .input = "",
                .user = server_user(),
                .directory = data_});
    if (process_->wait_for("database system is ready to accept connections", 0, patience * 3) ==
        std::string::npos)
        throw std::runtime_error("PostgreSQL did not start:\n" + process_->output());
}

void postgres_server::stop() {
    process_->signal(SIGINT);  // fast shutdown
    if (!process_->wait_exit()) process_->signal(SIGQUIT);
    process_->wait_exit();
}

void postgres_server::crash() {
    process_->signal(SIGQUIT);
    process_->wait_exit();
}

std::string postgres_server::log() const {
    return process_->output();
}

std::string postgres_server::create_shop() {
    const std::string name = "shop_" + std::to_string(++databases_);
    query("postgres", "CREATE DATABASE " + name + " TEMPLATE " + template_name);
    return name;
}

void postgres_server::drop_database(const std::string& name) {
    query("postgres", "DROP DATABASE IF EXISTS " + name + " WITH (FORCE)");
}

std::string postgres_server::connection_string(const std::string& database,
                                               const std::string& user) const {
    return "host=127.0.0.1 port=" + std::to_string(port_) + " dbname=" + database +
           " user=" + user + " password=" + user + "-password";
}

std::string postgres_server::query(const std::string& database, const std::string& sql) {
    const auto result = run({.argv = {"psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d",
                                      connection_string(database), "-f", "-"},
                             .env = {},
                             .input = sql});
    if (result.exit_code != 0) throw std::runtime_error("query failed: " + result.err);
    std::string rows = result.out;
    if (!rows.empty() && rows.back() == '\n') rows.pop_back();
    return rows;
}

}  // namespace sallyport::tests

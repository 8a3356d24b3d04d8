#include "proxy/catalog/connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <libpq-fe.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/visible.h"

namespace sallyport::proxy::catalog {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t message_bytes_max = 500;
/// A path that no file has: libpq looks into the home directory where it is given none.
constexpr const char* no_file = "/nonexistent/sallyport";

struct result_deleter {
    void operator()(pg_result* r) const noexcept { PQclear(r); }
};
using result_ptr = std::unique_ptr<pg_result, result_deleter>;

bool is_this_machine(std::string_view host) {
    return host == "localhost" || host == "::1" || host.substr(0, 4) == "127.";
}

bool verifies(const net::client_tls_options& tls) {
    using net::client_tls_mode;
    return tls.mode == client_tls_mode::verify_ca || tls.mode == client_tls_mode::verify_full ||
           (!tls.ca.empty() && tls.mode != client_tls_mode::disable);
}

const char* ssl_mode(const net::client_tls_options& tls) {
    using net::client_tls_mode;
    switch (tls.mode) {
        case client_tls_mode::disable:
            return "disable";
        // With a CA every mode verifies, which libpq's weaker modes do not.
        case client_tls_mode::prefer:
            return tls.ca.empty() ? "prefer" : "verify-ca";
        case client_tls_mode::require:
            return tls.ca.empty() ? "require" : "verify-ca";
        case client_tls_mode::verify_ca:
            return "verify-ca";
        case client_tls_mode::verify_full:
            break;
    }
    return "verify-full";
}

std::string root_certificates(const net::client_tls_options& tls) {
    if (!tls.ca.empty()) return tls.ca;
    if (!verifies(tls)) return no_file;
    if (PQlibVersion() >= 160000) return "system";
    if (const char* named = std::getenv(X509_get_default_cert_file_env()); named != nullptr)
        return named;
    if (const char* usual = X509_get_default_cert_file(); ::access(usual, R_OK) == 0) return usual;
    return "/etc/ssl/certs/ca-certificates.crt";
}

const char* text_of(auth::channel_binding b) {
    switch (b) {
        case auth::channel_binding::off:
            return "disable";
        case auth::channel_binding::prefer:
            return "prefer";
        case auth::channel_binding::require:
            break;
    }
    return "require";
}

using auth::method;
constexpr std::array methods{std::pair{method::none, "none"},
                             std::pair{method::password, "password"}, std::pair{method::md5, "md5"},
                             std::pair{method::scram_sha_256, "scram-sha-256"},
                             std::pair{method::scram_sha_256_plus, "scram-sha-256"}};

bool same_methods(auth::method_set a, auth::method_set b) {
    return std::all_of(methods.begin(), methods.end(),
                       [&](const auto& m) { return a.allows(m.first) == b.allows(m.first); });
}

std::string methods_of(const server_address& where) {
    std::string out;
    for (const auto& [m, name] : methods) {
        // A password in clear only to somebody who proved who he is.
        if (m == method::scram_sha_256_plus || !where.require_auth.allows(m) ||
            (m == method::password && !verifies(where.tls)))
            continue;
        out += (out.empty() ? "" : ",") + std::string(name);
    }
    return out;
}

/// What libpq is told, by its own names.
class parameters {
  public:
    explicit parameters(const server_address& where) {
        add("host", where.host);
        add("port", std::to_string(where.port));
        add("dbname", where.dbname);
        add("user", where.user);
        add("passfile", no_file);
        add("application_name", "sallyport catalog");
        add("client_encoding", "UTF8");
        add("gssencmode", "disable");
        add("sslmode", ssl_mode(where.tls));
        add("sslrootcert", root_certificates(where.tls));
        add("sslcert", where.tls.certificate.empty() ? no_file : where.tls.certificate);
        add("sslkey", where.tls.key.empty() ? no_file : where.tls.key);
        add("keepalives_idle", "10");
        add("keepalives_interval", "5");
        add("keepalives_count", "3");
        if (where.tls.negotiation == net::tls_negotiation::direct) {
            if (PQlibVersion() < 170000)
                throw failure("libpq " + std::to_string(PQlibVersion() / 10000) +
                              " cannot begin with TLS; give the catalog's target negotiation: "
                              "postgres, or install libpq 17");
            add("sslnegotiation", "direct");
        }
        add_methods(where);
        password_ = where.password ? std::string(where.password->view()) : std::string();
    }
    ~parameters() { wipe(password_); }
    parameters(const parameters&) = delete;
    parameters& operator=(const parameters&) = delete;

    [[nodiscard]] PGconn* start() const {
        std::vector<const char*> names;
        std::vector<const char*> values;
        for (const auto& [name, value] : list_) {
            names.push_back(name);
            values.push_back(value.c_str());
        }
        names.push_back("password");
        values.push_back(password_.c_str());
        names.push_back(nullptr);
        values.push_back(nullptr);
        return PQconnectStartParams(names.data(), values.data(), 0);
    }

  private:
    void add(const char* name, std::string value) { list_.emplace_back(name, std::move(value)); }

    void add_methods(const server_address& where) {
        auto binding = where.channel_binding;
        const bool bound_only = where.require_auth.allows(auth::method::scram_sha_256_plus) &&
                                !where.require_auth.allows(auth::method::scram_sha_256);
        if (bound_only) binding = auth::channel_binding::require;
        if (PQlibVersion() >= 160000) {
            if (!bound_only) add("require_auth", methods_of(where));
        } else if (where.password && !verifies(where.tls) && !is_this_machine(where.host)) {
            // An older libpq sends a password in clear to whoever asks, unless it must be bound.
            if (where.tls.mode != net::client_tls_mode::require)
                throw failure(
                    "this libpq would send the catalog's password in clear to whoever answers; "
                    "give the target tls: { mode: verify-full }, or install libpq 16");
            binding = auth::channel_binding::require;
        }
        add("channel_binding", text_of(binding));
    }

    std::vector<std::pair<const char*, std::string>> list_;
    std::string password_;
};

}  // namespace

std::string one_line(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
        text.remove_suffix(1);
    std::string joined;
    for (const char c : text.substr(0, message_bytes_max)) {
        const bool space = c == '\n' || c == '\t' || c == ' ';
        if (!space)
            joined += c;
        else if (!joined.empty() && joined.back() != ' ')
            joined += ' ';
    }
    return visible(joined, line_breaks::escape);
}

bool operator==(const server_address& a, const server_address& b) {
    const auto same_password = [&] {
        if (a.password.has_value() != b.password.has_value()) return false;
        return !a.password || a.password->view() == b.password->view();
    };
    return a.host == b.host && a.port == b.port && a.dbname == b.dbname && a.user == b.user &&
           same_password() && a.tls.mode == b.tls.mode && a.tls.ca == b.tls.ca &&
           a.tls.certificate == b.tls.certificate && a.tls.key == b.tls.key &&
           a.tls.negotiation == b.tls.negotiation && a.channel_binding == b.channel_binding &&
           same_methods(a.require_auth, b.require_auth) && a.connect_timeout == b.connect_timeout;
}

stop_signal::stop_signal() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (fd_ < 0) throw std::runtime_error("cannot make an eventfd: no file descriptors left");
}
stop_signal::~stop_signal() {
    ::close(fd_);
}
void stop_signal::set() noexcept {
    const std::uint64_t one = 1;
    // Fails only when the counter is full, and then it is set.
    [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

bool row::null(int column) const noexcept {
    return PQgetisnull(result_, 0, column) != 0;
}
std::string_view row::text(int column) const noexcept {
    if (null(column)) return {};
    return {PQgetvalue(result_, 0, column),
            static_cast<std::size_t>(PQgetlength(result_, 0, column))};
}
std::uint32_t row::number(int column) const noexcept {
    const auto digits = text(column);
    std::uint32_t value = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return parsed.ec == std::errc() ? value : 0;
}
bool row::truth(int column) const noexcept {
    return text(column) == "t";
}
char row::letter(int column) const noexcept {
    const auto t = text(column);
    return t.empty() ? '\0' : t.front();
}

connection::connection(const server_address& where, const stop_signal& stop)
    : stop_(stop), dbname_(where.dbname) {
    try {
        connect(where);
    } catch (...) {
        PQfinish(conn_);
        throw;
    }
}

connection::~connection() {
    PQfinish(conn_);
}

void connection::connect(const server_address& where) {
    {
        const parameters p(where);
        conn_ = p.start();
    }
    if (conn_ == nullptr) throw failure("out of memory");
    const auto until = steady_clock::now() + where.connect_timeout;
    auto state = PQstatus(conn_) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED) give_up(PQerrorMessage(conn_));
        wait(state == PGRES_POLLING_READING ? POLLIN : POLLOUT, until);
        state = PQconnectPoll(conn_);
    }
    // The default writes what a server says to our standard error.
    PQsetNoticeReceiver(
        conn_, [](void*, const PGresult*) {}, nullptr);
    if (PQsetnonblocking(conn_, 1) != 0) give_up(PQerrorMessage(conn_));
    usable_ = true;
}

int connection::server_version() const noexcept {
    return PQserverVersion(conn_);
}

void connection::give_up(const std::string& why) {
    usable_ = false;
    throw failure(one_line(why));
}

void connection::wait(short events, deadline until) {
    for (;;) {
        const auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now()).count();
        if (left <= 0) give_up("the server did not answer in time");
        std::array<pollfd, 2> fds{pollfd{PQsocket(conn_), events, 0},
                                  pollfd{stop_.descriptor(), POLLIN, 0}};
        if (fds[0].fd < 0) give_up("the connection was lost");
        const int n =
            ::poll(fds.data(), fds.size(),
                   static_cast<int>(std::min<std::int64_t>(left, std::int64_t{3'600'000})));
        if (n < 0 && errno != EINTR) give_up(std::string("poll: ") + std::strerror(errno));
        if (n > 0 && fds[1].revents != 0) give_up("stopping");
        if (n > 0) return;
    }
}

void connection::flush(deadline until) {
    for (;;) {
        const int left = PQflush(conn_);
        if (left < 0) give_up(PQerrorMessage(conn_));
        if (left == 0) return;
        // The server may wait for us to read before it reads on.
        wait(POLLIN | POLLOUT, until);
        if (PQconsumeInput(conn_) == 0) give_up(PQerrorMessage(conn_));
    }
}

pg_result* connection::next_result(deadline until) {
    while (PQisBusy(conn_) != 0) {
        wait(POLLIN, until);
        if (PQconsumeInput(conn_) == 0) give_up(PQerrorMessage(conn_));
    }
    if (steady_clock::now() >= until) give_up("the server did not answer in time");
    return PQgetResult(conn_);
}

void connection::query(const std::string& sql, int columns, milliseconds timeout,
                       const std::function<void(const row&)>& on_row) {
    if (!usable_) throw failure("the connection was lost");
    const auto until = steady_clock::now() + timeout;
    if (PQsendQuery(conn_, sql.c_str()) == 0) give_up(PQerrorMessage(conn_));
    PQsetSingleRowMode(conn_);
    flush(until);
    std::optional<failure> refused;
    usable_ = false;  // until the answer is complete, whatever `on_row` throws
    while (const result_ptr r{next_result(until)}) {
        const auto status = PQresultStatus(r.get());
        if (status == PGRES_SINGLE_TUPLE) {
            if (PQnfields(r.get()) != columns) give_up("an answer of another shape");
            if (!refused) on_row(row(r.get()));
        } else if (status == PGRES_FATAL_ERROR) {
            const char* state = PQresultErrorField(r.get(), PG_DIAG_SQLSTATE);
            const char* primary = PQresultErrorField(r.get(), PG_DIAG_MESSAGE_PRIMARY);
            if (state == nullptr || PQstatus(conn_) == CONNECTION_BAD)
                give_up(PQresultErrorMessage(r.get()));
            refused.emplace(one_line(primary != nullptr ? primary : "no message"), state);
        } else if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
            give_up("an answer of another kind");
        }
    }
    usable_ = PQstatus(conn_) == CONNECTION_OK;
    if (refused) throw failure(*refused);
}

void connection::execute(const std::string& sql, milliseconds timeout) {
    query(sql, 0, timeout, [](const row&) {});
}

}  // namespace sallyport::proxy::catalog

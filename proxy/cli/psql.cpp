#include "proxy/cli/psql.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

#include "proxy/cli/http_client.h"

namespace sallyport::proxy::cli {
namespace {

std::string quoted(const std::string& value) {
    std::string out = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + "'";
}

std::string first_of(const std::string& given, const char* variable, const std::string& otherwise) {
    if (!given.empty()) return given;
    const char* const set = std::getenv(variable);
    return set != nullptr && *set != '\0' ? set : otherwise;
}

}  // namespace

std::string conninfo(const psql_options& o) {
    std::string text = "host=" + quoted(first_of(o.host, "SALLYPORT_HOST", parse_url(o.url).host)) +
                       " port=" + quoted(first_of(o.port, "SALLYPORT_PORT", "6432")) +
                       " dbname=" + quoted(o.target);
    if (!o.user.empty()) text += " user=" + quoted(o.user);
    // A session that is held waits for a person.
    return text + " connect_timeout=0";
}

void run_psql(const psql_options& o) {
    const auto where = conninfo(o);
    if (const char* const password = std::getenv("SALLYPORT_PASSWORD");
        password != nullptr && *password != '\0')
        setenv("PGPASSWORD", password, 0);
    std::vector<std::string> arguments{"psql", "-d", where};
    arguments.insert(arguments.end(), o.more.begin(), o.more.end());
    std::vector<char*> argv;
    for (auto& a : arguments)
        argv.push_back(a.data());
    argv.push_back(nullptr);
    execvp("psql", argv.data());
    throw failure(refused, std::string("psql cannot be started: ") + std::strerror(errno),
                  "Install it: apt-get install postgresql-client");
}

}  // namespace sallyport::proxy::cli

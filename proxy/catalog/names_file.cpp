#include "proxy/catalog/names_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/descriptor.h"

namespace sallyport::proxy::catalog {

namespace {

using nlohmann::json;
using policy::catalog::past_names;
using policy::catalog::relation_name;

constexpr int version = 1;
// Some 200,000 relations; what is longer was not written here.
constexpr std::size_t file_bytes_max = 256u << 20;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
    throw std::runtime_error(path + ": " + why);
}

/// False: there is no such file.
bool read_all(const std::string& path, std::string& out) {
    const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (file.get() < 0 && errno == ENOENT) return false;
    struct stat st {};
    if (file.get() < 0 || ::fstat(file.get(), &st) != 0) refuse(path, std::strerror(errno));
    if (!S_ISREG(st.st_mode)) refuse(path, "is no file");
    if (static_cast<std::size_t>(st.st_size) > file_bytes_max) refuse(path, "is too long");
    out.resize(static_cast<std::size_t>(st.st_size));
    std::size_t have = 0;
    while (have < out.size()) {
        const auto n = ::read(file.get(), out.data() + have, out.size() - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) refuse(path, std::strerror(errno));
        if (n == 0) refuse(path, "ended early");
        have += static_cast<std::size_t>(n);
    }
    return true;
}

json to_json(const relation_name& n) {
    return json::array({n.schema, n.name});
}

relation_name name_of(const json& j) {
    return {j.at(0).get<std::string>(), j.at(1).get<std::string>()};
}

}  // namespace

std::string names_file(const std::string& state_path, const std::string& target) {
    std::string safe;
    for (const char c : target) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_';
        char hex[4];
        std::snprintf(hex, sizeof hex, "%%%02X", static_cast<unsigned char>(c));
        safe += plain ? std::string(1, c) : hex;
    }
    const auto folder = std::filesystem::path(state_path).parent_path();
    return (folder / ("names." + safe + ".json")).string();
}

past_names load_names(const std::string& path) {
    past_names out;
    std::string text;
    if (!read_all(path, text)) return out;
    try {
        const auto j = json::parse(text);
        if (j.at("version").get<int>() != version) refuse(path, "is of another version");
        out.database = j.at("database").get<std::string>();
        out.identity = j.at("identity").get<std::string>();
        for (const auto& r : j.at("relations")) {
            auto& relation = out.relations.emplace_back();
            relation.id = r.at(0).get<policy::catalog::oid>();
            relation.last = name_of(r.at(1));
            for (const auto& f : r.at(2))
                relation.former.push_back(name_of(f));
            for (const auto& c : r.at(3)) {
                auto& column = relation.columns.emplace_back();
                column.number = c.at(0).get<int>();
                column.last = c.at(1).get<std::string>();
                for (std::size_t i = 2; i < c.size(); ++i)
                    column.former.push_back(c[i].get<std::string>());
            }
        }
    } catch (const json::exception&) {
        refuse(path, "is damaged");
    }
    return out;
}

void save_names(const std::string& path, const past_names& names) {
    json relations = json::array();
    for (const auto& r : names.relations) {
        json former = json::array();
        for (const auto& f : r.former)
            former.push_back(to_json(f));
        json columns = json::array();
        for (const auto& c : r.columns) {
            json column = json::array({c.number, c.last});
            for (const auto& f : c.former)
                column.push_back(f);
            columns.push_back(std::move(column));
        }
        relations.push_back(
            json::array({r.id, to_json(r.last), std::move(former), std::move(columns)}));
    }
    const json j = {{"version", version},
                    {"database", names.database},
                    {"identity", names.identity},
                    {"relations", std::move(relations)}};
    // A name that is no UTF-8 cannot stand in a policy, either.
    const auto text = j.dump(-1, ' ', false, json::error_handler_t::replace);
    const auto fresh = path + ".new";
    {
        const descriptor file(
            ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (file.get() < 0 || !write_durably(file.get(), text))
            refuse(fresh, std::string("cannot be written: ") + std::strerror(errno));
    }
    if (std::rename(fresh.c_str(), path.c_str()) != 0)
        refuse(path, std::string("cannot be replaced: ") + std::strerror(errno));
    const auto folder = std::filesystem::path(path).parent_path();
    const descriptor dir(
        ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (dir.get() >= 0) static_cast<void>(::fsync(dir.get()));
}

}  // namespace sallyport::proxy::catalog

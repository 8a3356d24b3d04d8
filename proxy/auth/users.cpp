#include "proxy/auth/users.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <tuple>
#include <utility>

#include <sys/stat.h>

#include "policy/yaml_reader.h"
#include "proxy/file.h"

namespace sallyport::proxy::auth {
namespace {

// Room for about a hundred thousand users.
constexpr policy::yaml_limits limits{32u << 20, 8, 2'000'000};
constexpr std::size_t name_bytes_max = 63;  // PostgreSQL cuts longer role names

constexpr std::array<std::string_view, 10> reserved_names{
    "sallyport", "public",       "none",         "default",      "opaque",
    "all",       "current_user", "current_role", "session_user", "anonymous"};

std::string word_fault(std::string_view name, const char* what) {
    const std::string subject(what);
    if (name.empty()) return subject + " is empty";
    if (name.size() > name_bytes_max) return subject + " is longer than 63 bytes";
    if (name.front() == ' ' || name.back() == ' ') return subject + " begins or ends with a blank";
    for (const char c : name) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            return subject + " has a control character";
        if (c == ',') return subject + " has a comma";
    }
    return {};
}

bool take_digits(std::string_view& rest, std::size_t count, int& out) {
    if (rest.size() < count) return false;
    const auto part = rest.substr(0, count);
    for (const char c : part)
        if (c < '0' || c > '9') return false;
    std::from_chars(part.data(), part.data() + count, out);
    rest.remove_prefix(count);
    return true;
}

bool take(std::string_view& rest, char c) {
    if (rest.empty() || rest.front() != c) return false;
    rest.remove_prefix(1);
    return true;
}

// "Z", "+01:00", "-05:30"; in minutes.
bool take_offset(std::string_view& rest, int& minutes) {
    minutes = 0;
    if (take(rest, 'Z')) return true;
    const int sign = take(rest, '-') ? -1 : take(rest, '+') ? 1 : 0;
    int h = 0;
    int m = 0;
    if (sign == 0 || !take_digits(rest, 2, h) || !take(rest, ':') || !take_digits(rest, 2, m) ||
        h > 23 || m > 59)
        return false;
    minutes = sign * (h * 60 + m);
    return true;
}

// "2026-12-31" (its first instant, UTC, as PostgreSQL's VALID UNTIL) or RFC 3339 with an offset.
std::optional<policy::instant> parse_end(std::string_view text) {
    using namespace std::chrono;
    int y = 0;
    int mo = 0;
    int d = 0;
    auto rest = text;
    if (!take_digits(rest, 4, y) || !take(rest, '-') || !take_digits(rest, 2, mo) ||
        !take(rest, '-') || !take_digits(rest, 2, d))
        return std::nullopt;
    const year_month_day date{year{y}, month{static_cast<unsigned>(mo)},
                              day{static_cast<unsigned>(d)}};
    if (!date.ok()) return std::nullopt;
    const policy::instant midnight = time_point_cast<milliseconds>(sys_days{date});
    if (rest.empty()) return midnight;
    int h = 0;
    int mi = 0;
    int s = 0;
    int offset = 0;
    if (!take(rest, 'T') || !take_digits(rest, 2, h) || !take(rest, ':') ||
        !take_digits(rest, 2, mi) || !take(rest, ':') || !take_digits(rest, 2, s) || h > 23 ||
        mi > 59 || s > 59 || !take_offset(rest, offset) || !rest.empty())
        return std::nullopt;
    return midnight + hours{h} + minutes{mi - offset} + seconds{s};
}

std::string folded(std::string_view name) {
    std::string out(name);
    for (auto& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

/// Reads one file's users; the order of members is the order of the checks.
class loader {
  public:
    loader(std::string_view text, const std::string& path)
        : path_(path), reader_(path, text, limits) {}

    loaded_users run() {
        if (reader_.ok()) read_root();
        loaded_users out;
        out.faults = std::move(reader_.faults());
        out.warnings = std::move(warnings_);
        std::stable_sort(out.faults.begin(), out.faults.end(), [](const auto& a, const auto& b) {
            return std::tie(a.line, a.column) < std::tie(b.line, b.column);
        });
        if (out.faults.empty())
            out.users = std::make_shared<const user_directory>(std::move(users_));
        return out;
    }

  private:
    void read_root() {
        const auto& root = reader_.root();
        if (!reader_.keys(root, "the users file", {"users"})) return;
        const auto map = policy::yaml_reader::member(root, "users");
        if (!map.IsDefined()) {
            reader_.fail(root, "'users' is missing: a map of names to users");
            return;
        }
        if (!map.IsMap()) {
            reader_.fail(map, "'users' must be a map of names to users");
            return;
        }
        for (const auto& entry : map)
            if (entry.first.IsScalar()) read_user(entry.first, entry.second);
    }

    void read_user(const YAML::Node& key, const YAML::Node& node) {
        user u;
        u.principal.name = key.Scalar();
        if (const auto fault = user_name_fault(u.principal.name); !fault.empty())
            reader_.fail(key, fault);
        if (!node.IsMap()) {
            reader_.fail(node, "a user must be a map, such as { scram: \"…\", groups: [dev] }");
            return;
        }
        reader_.keys(node, "a user", {"scram", "certificate", "groups", "service", "valid_until"});
        const bool proof = read_scram(node, u) | read_certificate(node, u);
        if (!proof)
            reader_.fail(key,
                         "the user has neither scram nor certificate and could never log in; "
                         "make a line with: sallyport passwd " +
                             shown(u.principal.name));
        for (const auto& [at, group] : reader_.list(node, "groups")) {
            if (const auto fault = group_name_fault(group); !fault.empty()) reader_.fail(at, fault);
            u.principal.groups.push_back(group);
        }
        u.principal.service = reader_.boolean(node, "service").value_or(false);
        read_end(node, u);
        note_look_alike(key);
        users_.push_back(std::move(u));
    }

    // True if the key is there, right or wrong.
    bool read_scram(const YAML::Node& node, user& u) {
        const auto at = policy::yaml_reader::member(node, "scram");
        if (!at.IsDefined()) return false;
        const auto text = reader_.text(node, "scram");
        if (!text) return true;
        u.scram = parse_verifier(*text);
        if (u.scram) return true;
        // The value itself is never shown: it may be a password put there by mistake.
        reader_.fail(
            at, std::string(text->starts_with("md5") ? "md5 hashes are not accepted"
                                                     : "this is not a SCRAM-SHA-256 verifier") +
                    "; make one with: sallyport passwd " + shown(u.principal.name));
        return true;
    }

    bool read_certificate(const YAML::Node& node, user& u) {
        const auto at = policy::yaml_reader::member(node, "certificate");
        if (!at.IsDefined()) return false;
        const auto text = reader_.text(node, "certificate");
        if (!text) return true;
        u.certificate = normalise_dn(*text);
        if (u.certificate.empty()) {
            reader_.fail(at,
                         "this is not a distinguished name; write it as in CN=ci,O=Example "
                         "(openssl x509 -subject -nameopt RFC2253 shows a certificate's)");
        } else if (const auto [it, fresh] = names_of_dn_.emplace(u.certificate, u.principal.name);
                   !fresh) {
            reader_.fail(at, "this certificate already belongs to " + shown(it->second));
        }
        return true;
    }

    void read_end(const YAML::Node& node, user& u) {
        const auto at = policy::yaml_reader::member(node, "valid_until");
        if (!at.IsDefined()) return;
        const auto text = reader_.text(node, "valid_until");
        if (!text) return;
        u.valid_until = parse_end(*text);
        if (!u.valid_until)
            reader_.fail(at,
                         "'valid_until' must be a date or an instant, such as 2026-12-31 or "
                         "2026-12-31T18:00:00Z");
    }

    // Two names that a reader takes for one would make four eyes out of two.
    void note_look_alike(const YAML::Node& key) {
        const auto [it, fresh] = folded_.emplace(folded(key.Scalar()), key.Scalar());
        if (fresh || it->second == key.Scalar()) return;
        warnings_.push_back({path_, key.Mark().line + 1, key.Mark().column + 1,
                             "this name differs from " + shown(it->second) +
                                 " only in capital letters; they are two users"});
    }

    static std::string shown(std::string_view name) {
        std::string out(name.substr(0, name_bytes_max));
        for (auto& c : out)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
        return out;
    }

    std::string path_;
    policy::yaml_reader reader_;
    std::vector<user> users_;
    std::vector<policy::fault> warnings_;
    std::map<std::string, std::string> names_of_dn_;
    std::map<std::string, std::string> folded_;
};

}  // namespace

user_directory::user_directory(std::vector<user> users) {
    std::map<std::uint32_t, std::size_t> counts;
    for (auto& u : users) {
        if (u.scram) ++counts[u.scram->iterations];
        auto name = u.principal.name;
        users_.emplace(std::move(name), std::move(u));
    }
    for (const auto& [name, u] : users_)
        if (!u.certificate.empty()) by_certificate_.emplace(u.certificate, &u);
    std::size_t most = 0;
    for (const auto& [iterations, count] : counts)
        if (count > most) {
            most = count;
            usual_iterations_ = iterations;
        }
}

const user* user_directory::find(std::string_view name) const {
    const auto it = users_.find(name);
    return it == users_.end() ? nullptr : &it->second;
}

const user* user_directory::find_certificate(std::string_view dn) const {
    const auto it = by_certificate_.find(normalise_dn(dn));
    return it == by_certificate_.end() ? nullptr : it->second;
}

std::set<std::string> user_directory::names() const {
    std::set<std::string> out;
    for (const auto& [name, u] : users_)
        out.insert(name);
    return out;
}

std::set<std::string> user_directory::groups() const {
    std::set<std::string> out;
    for (const auto& [name, u] : users_)
        out.insert(u.principal.groups.begin(), u.principal.groups.end());
    return out;
}

std::string user_name_fault(std::string_view name) {
    if (auto fault = word_fault(name, "the user's name"); !fault.empty()) return fault;
    const auto lower = folded(name);
    if (lower.starts_with("pg_")) return "names that begin with pg_ are PostgreSQL's own";
    if (std::find(reserved_names.begin(), reserved_names.end(), lower) != reserved_names.end())
        return "the name " + lower + " is reserved";
    return {};
}

std::string group_name_fault(std::string_view name) {
    return word_fault(name, "the group's name");
}

loaded_users load_users_text(std::string_view text, const std::string& path) {
    return loader(text, path).run();
}

loaded_users load_users(const std::string& path) {
    std::string error;
    const auto text = read_file(path, limits.bytes_max, error);
    if (!text) {
        loaded_users out;
        out.faults.push_back({path, 1, 1, "the users file cannot be read: " + error});
        return out;
    }
    auto out = load_users_text(*text, path);
    struct stat s {};
    if (::stat(path.c_str(), &s) == 0 && (s.st_mode & (S_IWGRP | S_IRWXO)) != 0)
        out.warnings.push_back(
            {path, 1, 1,
             "other users of this machine can read or change this file, and guess at passwords; "
             "run: chmod 0600 " +
                 path});
    return out;
}

}  // namespace sallyport::proxy::auth

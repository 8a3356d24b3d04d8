#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>
#include <string>
#include <vector>

#include <sys/stat.h>

#include "proxy/audit/log.h"

/// What the audit tests share: a directory that goes away, and a log filled in one call.
namespace sallyport::proxy::audit::testing {

class temporary_directory {
  public:
    temporary_directory() {
        std::string name = (std::filesystem::temp_directory_path() / "audit_test.XXXXXX").string();
        if (!::mkdtemp(name.data())) std::abort();
        path_ = name;
    }
    ~temporary_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;
    [[nodiscard]] std::string log() const { return path_ + "/audit"; }
    [[nodiscard]] std::string key() const { return path_ + "/audit.key"; }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

inline std::string read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

inline void write_text(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

inline std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    return lines;
}

inline std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const auto& line : lines)
        text += line + "\n";
    return text;
}

inline log_options options_for(const temporary_directory& d) {
    log_options o;
    o.directory = d.log();
    o.signing_key = d.key();
    return o;
}

inline record numbered(int n) {
    record r;
    r.event = "login.accepted";
    r.at = policy::instant(std::chrono::milliseconds(1'767'225'600'000 + n));
    r.with("user", "alice").with("target", "shop").with("n", std::to_string(n));
    return r;
}

/// Appends one record and waits: its sequence number, or the error.
struct appended {
    std::uint64_t sequence = 0;
    std::error_code error;
};
inline appended append_and_wait(log& l, record r) {
    std::promise<appended> promise;
    l.append(std::move(r), [&](std::unique_ptr<receipt> got, std::error_code e) {
        promise.set_value({got ? got->sequence() : 0, e});
    });
    return promise.get_future().get();
}

/// A closed log with lines 1 (checkpoint), `records` records, and a last checkpoint.
inline void make_log(const temporary_directory& d, int records) {
    log l(options_for(d));
    for (int i = 1; i <= records; ++i)
        l.append(numbered(i), {});
}

}  // namespace sallyport::proxy::audit::testing

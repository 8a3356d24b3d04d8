#include "tests/support/temp_dir.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sallyport::tests {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

temp_dir::temp_dir(std::string_view prefix) {
    std::string root = environment("SALLYPORT_TEST_ROOT");
    if (root.empty()) root = "/tmp";
    path_ = root + "/" + std::string(prefix) + ".XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr)
        throw std::runtime_error("cannot make a folder in " + root + ": " + std::strerror(errno));
    ::chmod(path_.c_str(), 0711);
}

temp_dir::~temp_dir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string temp_dir::file(std::string_view name) const {
    return path_ + "/" + std::string(name);
}

void write_file(const std::string& path, std::string_view content, unsigned mode) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    // A new inode each time: a reader of the old file never sees half of the new one.
    const std::string fresh = path + ".new";
    {
        std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
        out.write(content.data(), static_cast<std::streamsize>(content.size()));
        if (!out.flush()) throw std::runtime_error("cannot write " + fresh);
    }
    ::chmod(fresh.c_str(), mode);
    std::filesystem::rename(fresh, path);
}

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

std::string server_user() {
    return ::geteuid() == 0 ? "postgres" : "";
}

void give_to(const std::string& path, const std::string& user) {
    if (user.empty()) return;
    const passwd* entry = ::getpwnam(user.c_str());
    if (entry == nullptr) throw std::runtime_error("there is no user " + user);
    if (::chown(path.c_str(), entry->pw_uid, entry->pw_gid) != 0)
        throw std::runtime_error("cannot give " + path + " to " + user);
}

}  // namespace sallyport::tests

#include "proxy/cli/kept_login.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/cli/http_client.h"
#include "proxy/cli/views.h"

namespace sallyport::proxy::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t file_bytes_max = 8192;

struct descriptor {
    int fd = -1;
    explicit descriptor(int f) : fd(f) {}
    ~descriptor() {
        if (fd >= 0) ::close(fd);
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
};

fs::path folder() {
    if (const char* const state = std::getenv("XDG_STATE_HOME");
        state != nullptr && fs::path(state).is_absolute())
        return fs::path(state) / "sallyport";
    if (const char* const home = std::getenv("HOME");
        home != nullptr && fs::path(home).is_absolute())
        return fs::path(home) / ".local" / "state" / "sallyport";
    throw failure(usage,
                  "there is no place to keep a login: neither HOME nor XDG_STATE_HOME is set",
                  "Set one of them, or use SALLYPORT_TOKEN.");
}

std::string wrong(const struct stat& s, mode_t kind) {
    if ((s.st_mode & S_IFMT) != kind) return "is not of the right kind";
    if (s.st_uid != ::geteuid()) return "belongs to another user";
    if ((s.st_mode & (S_IRWXG | S_IRWXO)) != 0) return "is open to other users";
    return {};
}

failure unsafe(const fs::path& path, const std::string& why) {
    return {not_logged_in, path.string() + " " + why + ", so that the login in it is not used",
            "Remove it and log in again: sallyport login"};
}

failure cannot(const fs::path& path, const char* what) {
    const std::string why = std::strerror(errno);
    return {refused, path.string() + " cannot be " + what + ": " + why,
            "Use SALLYPORT_TOKEN (sallyport login --print) where nothing can be kept."};
}

}  // namespace

std::string kept_login_path(const std::string& url) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string name;
    for (const char c : url) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
        if (plain) {
            name += c;
        } else {
            name += '%';
            name += digits[byte >> 4];
            name += digits[byte & 15];
        }
    }
    return folder() / name.substr(0, 200);
}

std::optional<kept_login> read_kept_login(const std::string& url) {
    const fs::path path = kept_login_path(url);
    const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (file.fd < 0) {
        if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
        throw unsafe(path, std::string("cannot be read (") + std::strerror(errno) + ")");
    }
    struct stat s {};
    if (::lstat(path.parent_path().c_str(), &s) != 0) return std::nullopt;
    if (const auto why = wrong(s, S_IFDIR); !why.empty()) throw unsafe(path.parent_path(), why);
    if (::fstat(file.fd, &s) != 0) return std::nullopt;
    if (const auto why = wrong(s, S_IFREG); !why.empty()) throw unsafe(path, why);
    std::string text(file_bytes_max, '\0');
    const auto n = ::read(file.fd, text.data(), text.size());
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    kept_login l{member(text, "user"), member(text, "token")};
    // A name may be cut in the path; the address stands in the file whole.
    if (member(text, "url") != url || l.token.empty()) return std::nullopt;
    return l;
}

void keep_login(const std::string& url, const kept_login& l) {
    const fs::path path = kept_login_path(url);
    std::error_code ec;
    fs::create_directories(path.parent_path().parent_path(), ec);
    if (::mkdir(path.parent_path().c_str(), 0700) != 0 && errno != EEXIST)
        throw cannot(path.parent_path(), "made");
    struct stat s {};
    if (::lstat(path.parent_path().c_str(), &s) != 0) throw cannot(path.parent_path(), "made");
    if (const auto why = wrong(s, S_IFDIR); !why.empty()) throw unsafe(path.parent_path(), why);
    const auto fresh = path.string() + "." + std::to_string(::getpid());
    ::unlink(fresh.c_str());
    {
        const descriptor file(
            ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (file.fd < 0) throw cannot(fresh, "made");
        const auto text = body({{"url", url}, {"user", l.user}, {"token", l.token}});
        const auto n = ::write(file.fd, text.data(), text.size());
        if (n != static_cast<ssize_t>(text.size())) {
            ::unlink(fresh.c_str());
            throw cannot(path, "written");
        }
    }
    if (::rename(fresh.c_str(), path.c_str()) != 0) {
        ::unlink(fresh.c_str());
        throw cannot(path, "written");
    }
}

bool forget_login(const std::string& url) {
    return ::unlink(kept_login_path(url).c_str()) == 0;
}

}  // namespace sallyport::proxy::cli

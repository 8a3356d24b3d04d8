#include "proxy/init_command.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <istream>
#include <optional>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <vector>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/auth/users.h"
#include "proxy/config.h"
#include "proxy/init_texts.h"
#include "proxy/passwd.h"

namespace sallyport::proxy {

namespace {

namespace fs = std::filesystem;

constexpr const char* installed = "/etc/sallyport";
constexpr const char* installed_state = "/var/lib/sallyport";
constexpr const char* service_user = "sallyport";
constexpr std::size_t secret_bytes_max = 1024;

struct refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct account {
    uid_t user = 0;
    gid_t group = 0;
};

std::optional<account> account_of(const std::string& name) {
    const auto* found = ::getpwnam(name.c_str());
    if (found == nullptr) return std::nullopt;
    return account{found->pw_uid, found->pw_gid};
}

/// Root's files that the service reads by its group; otherwise all belongs to who runs this.
std::optional<account> owner_of(const init_options& o) {
    if (::geteuid() != 0) {
        if (!o.owner.empty()) throw refused("only root can give files to the user " + o.owner);
        return std::nullopt;
    }
    const auto found = account_of(o.owner.empty() ? service_user : o.owner);
    if (!found && !o.owner.empty()) throw refused("there is no user " + o.owner);
    return found;
}

std::string error_text() {
    return std::strerror(errno);
}

/// What this run makes, so that a failure leaves nothing behind.
class maker {
  public:
    explicit maker(std::optional<account> owner) : owner_(owner) {}
    ~maker() {
        if (kept_) return;
        std::error_code ignored;
        for (auto path = made_.rbegin(); path != made_.rend(); ++path)
            fs::remove(*path, ignored);
    }
    maker(const maker&) = delete;
    maker& operator=(const maker&) = delete;

    void folder(const fs::path& path, bool services) {
        if (::mkdir(path.c_str(), 0700) != 0) {
            if (errno == EEXIST && fs::is_directory(path)) return;
            throw refused("the folder " + path.string() + " cannot be made: " + error_text());
        }
        made_.push_back(path);
        if (owner_) give(path, services ? 0700 : 0750, services);
    }
    void file(const fs::path& path, const std::string& text) {
        const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0) throw refused(path.string() + " cannot be made: " + error_text());
        made_.push_back(path);
        std::size_t written = 0;
        while (written < text.size()) {
            const auto n = ::write(fd, text.data() + written, text.size() - written);
            if (n <= 0) break;
            written += static_cast<std::size_t>(n);
        }
        const bool whole = written == text.size() && ::fsync(fd) == 0;
        if (::close(fd) != 0 || !whole)
            throw refused(path.string() + " cannot be written: " + error_text());
        if (owner_) give(path, 0640, false);
    }
    void keep() noexcept { kept_ = true; }

  private:
    void give(const fs::path& path, mode_t mode, bool services) const {
        const auto user = services ? owner_->user : ::geteuid();
        if (::chown(path.c_str(), user, owner_->group) != 0 || ::chmod(path.c_str(), mode) != 0)
            throw refused(path.string() + " cannot be given to the service: " + error_text());
    }
    std::optional<account> owner_;
    std::vector<fs::path> made_;
    bool kept_ = false;
};

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    if (!file || !std::getline(file, line) || line.empty() || line.size() > secret_bytes_max)
        throw refused("the password file " + path + " cannot be read, or its first line is empty");
    return line;
}

/// The user's line for users.yaml.
std::string admin_line(const init_options& o, std::istream& in, std::ostream& err) {
    passwd_options p;
    p.name = o.admin_user;
    p.groups = {"admins", "approvers"};
    p.from_stdin = !o.admin_password.empty();
    std::ostringstream line;
    int code = 2;
    if (o.admin_password.empty() || o.admin_password == "-") {
        code = run_passwd(p, in, line, err);
    } else {
        std::istringstream given(first_line(o.admin_password) + "\n");
        code = run_passwd(p, given, line, err);
    }
    if (code != 0) throw refused("there is no password for " + o.admin_user);
    return line.str();
}

void check_answers(const init_options& o) {
    if (const auto fault = auth::user_name_fault(o.admin_user); !fault.empty())
        throw refused("--admin-user: " + fault);
    for (const auto* name : {&o.target, &o.login})
        if (name->empty() || name->size() > 63 || name->find('\0') != std::string::npos)
            throw refused("--target and --login are names of 1 to 63 bytes");
    if (o.target.find('/') != std::string::npos || o.target.front() == '.')
        throw refused("--target: a file of its password has the same name, so no / in it");
    if (o.target == "sallyport") throw refused("--target: sallyport is the console's name");
    if (o.certificate.empty() != o.key.empty())
        throw refused("--tls-certificate and --tls-key belong together");
}

void write_all(const init_options& o, maker& make, std::istream& in, std::ostream& err) {
    const fs::path dir(o.directory);
    init_places places;
    const bool of_package = fs::path(o.directory).lexically_normal() == installed ||
                            fs::path(o.directory).lexically_normal() == fs::path(installed) / "";
    places.state = o.state;
    if (places.state.empty()) places.state = of_package ? installed_state : "var";
    for (const auto* name : {"sallyport.yaml", "policy.yaml", "users.yaml"})
        if (fs::exists(dir / name))
            throw refused((dir / name).string() +
                          " is there already; init writes a first configuration and overwrites "
                          "nothing");
    const auto admin = admin_line(o, in, err);
    make.folder(dir, false);
    make.folder(dir / "secrets", false);
    make.folder(fs::path(places.state).is_absolute() ? fs::path(places.state) : dir / places.state,
                true);
    const auto password = [&](const std::string& name, const std::string& from) {
        const auto text = from.empty() ? init_placeholder : first_line(from);
        make.file(dir / "secrets" / name, std::string(text) + "\n");
    };
    places.login_secret = "secrets/" + o.target;
    password(o.target, o.login_password);
    if (!o.catalog_login.empty()) {
        places.catalog_secret = "secrets/" + o.target + "-catalog";
        password(o.target + "-catalog", o.catalog_password);
    }
    make.file(dir / "users.yaml", init_users(admin));
    make.file(dir / "policy.yaml", init_policy(o));
    make.file(dir / "sallyport.yaml", init_configuration(o, places));
}

void say_what_next(const init_options& o, std::ostream& out) {
    const auto config = (fs::path(o.directory) / "sallyport.yaml").string();
    const auto secrets = fs::path(o.directory) / "secrets";
    out << "Written: " << config << ", policy.yaml, users.yaml and secrets/ beside it.\n\nNext:\n";
    if (o.login_password.empty())
        out << "  write the password of role " << o.login << " into "
            << (secrets / o.target).string() << " (one line)\n";
    if (!o.catalog_login.empty() && o.catalog_password.empty())
        out << "  and that of " << o.catalog_login << " into "
            << (secrets / (o.target + "-catalog")).string() << "\n";
    out << "  say in policy.yaml what is sensitive, and add people to users.yaml (sallyport "
           "passwd NAME)\n"
           "  sallyport check --config "
        << config << "\n  "
        << (fs::path(o.directory).lexically_normal() == installed
                ? std::string("systemctl enable --now sallyport")
                : "sallyport serve --config " + config)
        << "\n";
}

}  // namespace

int run_init(const init_options& o, std::istream& in, std::ostream& out, std::ostream& err) {
    try {
        check_answers(o);
        maker make(owner_of(o));
        write_all(o, make, in, err);
        const auto config = (fs::path(o.directory) / "sallyport.yaml").string();
        const auto loaded = load_all(config);
        for (const auto& w : loaded.warnings)
            err << "warning: " << policy::to_string(w) << '\n';
        if (!loaded.ok()) {
            for (const auto& f : loaded.faults)
                err << policy::to_string(f) << '\n';
            err << "sallyport init: with these answers the configuration would not work; nothing "
                   "was written\n";
            return 2;
        }
        make.keep();
        say_what_next(o, out);
        return 0;
    } catch (const std::exception& e) {
        err << "sallyport init: " << e.what() << "\n";
        return 2;
    }
}

struct init_cli::impl {
    explicit impl(CLI::App& app)
        : command(app.add_subcommand("init", "Write a first configuration into a folder")) {
        auto& c = *command;
        c.add_option("DIR", o.directory, "The folder, like /etc/sallyport")->required();
        c.add_option("--target", o.target, "What clients will name as their database")->required();
        c.add_option("--host", o.host, "The server of the target")->capture_default_str();
        c.add_option("--port", o.port, "Its port")->capture_default_str();
        c.add_option("--dbname", o.dbname, "The database there, if not the target's name");
        c.add_option("--login", o.login, "The role that the proxy logs in as there")->required();
        c.add_option("--login-password-file", o.login_password,
                     "Its password, one line; absent: a placeholder to fill in");
        c.add_option("--catalog-login", o.catalog_login,
                     "The role that reads the catalog; absent: only names count");
        c.add_option("--catalog-password-file", o.catalog_password, "Its password, one line");
        c.add_option("--admin-user", o.admin_user, "The first person, admin and approver")
            ->required();
        c.add_option("--admin-password-file", o.admin_password,
                     "Her password, one line; -: standard input; absent: asked");
        c.add_option("--listen", o.address, "The address for clients and admins")
            ->capture_default_str();
        c.add_option("--listen-port", o.listen_port, "For clients")->capture_default_str();
        c.add_option("--admin-port", o.admin_port, "For the API")->capture_default_str();
        c.add_option("--tls-certificate", o.certificate, "PEM file; clients then need TLS");
        c.add_option("--tls-key", o.key, "PEM file");
        c.add_option("--state", o.state,
                     "Folder of state and audit log (else DIR/var; for /etc/sallyport: "
                     "/var/lib/sallyport)");
        c.add_option("--owner", o.owner,
                     "The service's user, who reads these files (else sallyport, if root runs "
                     "this and it exists)");
    }
    CLI::App* command;
    init_options o;
};

init_cli::init_cli(CLI::App& app) : impl_(std::make_unique<impl>(app)) {}
init_cli::~init_cli() = default;

bool init_cli::selected() const {
    return impl_->command->parsed();
}

int init_cli::run(std::istream& in, std::ostream& out, std::ostream& err) const {
    return run_init(impl_->o, in, out, err);
}

}  // namespace sallyport::proxy

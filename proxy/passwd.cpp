#include "proxy/passwd.h"

#include <csignal>
#include <exception>
#include <istream>
#include <ostream>

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "proxy/auth/scram.h"
#include "proxy/auth/users.h"
#include "proxy/secret.h"

namespace sallyport::proxy {
namespace {

constexpr char interrupt = 0x03;  // what Ctrl-C sends
constexpr std::size_t line_bytes_max = auth::password_bytes_max;

// YAML's double quotes take JSON's escapes; names have no control characters.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

// A plain word needs no quotes; anything that YAML could read as something else gets them.
std::string yaml_word(std::string_view text) {
    const bool plain =
        !text.empty() && text.front() >= 'a' && text.front() <= 'z' &&
        text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == std::string_view::npos;
    static constexpr std::string_view taken[] = {"true", "false", "null", "yes", "no",
                                                 "on",   "off",   "y",    "n"};
    for (const auto word : taken)
        if (text == word) return quoted(text);
    return plain ? std::string(text) : quoted(text);
}

/// The terminal itself, so that a redirected stdout does not swallow the question. Echo is off
/// while it lives and back on afterwards, also when the person presses Ctrl-C.
class quiet_terminal {
  public:
    quiet_terminal() : fd_(::open("/dev/tty", O_RDWR | O_CLOEXEC)) {
        if (fd_ < 0 || ::tcgetattr(fd_, &before_) != 0) return;
        sigset_t block;
        sigemptyset(&block);
        for (const int s : {SIGINT, SIGTERM, SIGTSTP, SIGQUIT, SIGHUP})
            sigaddset(&block, s);
        blocked_ = ::pthread_sigmask(SIG_BLOCK, &block, &signals_before_) == 0;
        termios quiet = before_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        // Ctrl-C arrives as a byte that ends the line: it is given up and we restore the echo.
        quiet.c_lflag &= ~static_cast<tcflag_t>(ISIG);
        quiet.c_cc[VEOL] = interrupt;
        usable_ = ::tcsetattr(fd_, TCSAFLUSH, &quiet) == 0;
    }
    ~quiet_terminal() {
        if (usable_) (void)::tcsetattr(fd_, TCSAFLUSH, &before_);
        if (blocked_) (void)::pthread_sigmask(SIG_SETMASK, &signals_before_, nullptr);
        if (fd_ >= 0) ::close(fd_);
    }
    quiet_terminal(const quiet_terminal&) = delete;
    quiet_terminal& operator=(const quiet_terminal&) = delete;

    [[nodiscard]] bool usable() const noexcept { return usable_; }

    // False when the person gave up.
    bool ask(std::string_view question, std::string& answer) const {
        if (::write(fd_, question.data(), question.size()) < 0) return false;
        answer.clear();
        answer.reserve(line_bytes_max + 2);  // no reallocation leaves a copy behind
        for (char c = 0; answer.size() <= line_bytes_max;) {
            if (::read(fd_, &c, 1) != 1 || c == interrupt) {
                wipe(answer);
                break;
            }
            if (c == '\n') {
                (void)!::write(fd_, "\n", 1);
                return true;
            }
            answer += c;
        }
        (void)!::write(fd_, "\n", 1);
        return !answer.empty();
    }

  private:
    int fd_;
    bool usable_ = false;
    bool blocked_ = false;
    termios before_{};
    sigset_t signals_before_{};
};

std::string password_fault(std::string_view password) {
    if (password.empty()) return "the password is empty";
    if (password.size() > line_bytes_max) return "the password is longer than 1024 bytes";
    if (password.find('\0') != std::string_view::npos) return "the password has a NUL byte";
    return {};
}

// The password, or empty and a line on `err`.
std::string get_password(const passwd_options& o, std::istream& in, std::ostream& err) {
    std::string first;
    if (o.from_stdin) {
        first.reserve(line_bytes_max + 2);
        for (char c = 0; first.size() <= line_bytes_max && in.get(c) && c != '\n';)
            first += c;
        if (first.ends_with('\r')) first.pop_back();
    } else {
        const quiet_terminal terminal;
        if (!terminal.usable()) {
            err << "sallyport passwd: no terminal to ask on; give - to read the password from "
                   "stdin\n";
            return {};
        }
        std::string second;
        const bool both =
            terminal.ask("Password for " + o.name + ": ", first) && terminal.ask("Again: ", second);
        const bool same = both && auth::equal_constant_time(first, second);
        wipe(second);
        if (!same) {
            wipe(first);
            err << (both ? "sallyport passwd: the two passwords differ; try again\n"
                         : "sallyport passwd: given up; nothing was changed\n");
            return {};
        }
    }
    if (const auto fault = password_fault(first); !fault.empty()) {
        wipe(first);
        err << "sallyport passwd: " << fault << "\n";
    }
    return first;
}

}  // namespace

std::string users_line(const passwd_options& o, std::string_view password) {
    std::string line = "  " + yaml_word(o.name) + ": { scram: \"" +
                       auth::format_verifier(auth::make_verifier(password)) + "\"";
    line += ", groups: [";
    for (std::size_t i = 0; i < o.groups.size(); ++i)
        line += (i == 0 ? "" : ", ") + yaml_word(o.groups[i]);
    line += "]";
    if (o.service) line += ", service: true";
    return line + " }";
}

int run_passwd(const passwd_options& o, std::istream& in, std::ostream& out, std::ostream& err) {
    try {
        if (const auto fault = auth::user_name_fault(o.name); !fault.empty()) {
            err << "sallyport passwd: " << fault << "\n";
            return 2;
        }
        for (const auto& group : o.groups)
            if (const auto fault = auth::group_name_fault(group); !fault.empty()) {
                err << "sallyport passwd: " << fault << "\n";
                return 2;
            }
        auto password = get_password(o, in, err);
        if (password.empty()) return 2;
        const auto line = users_line(o, password);
        wipe(password);
        out << line << std::endl;
        if (out) return 0;
        err << "sallyport passwd: cannot write the line\n";
    } catch (const std::exception& e) {
        err << "sallyport passwd: " << e.what() << "\n";
    }
    return 2;
}

}  // namespace sallyport::proxy

#include "proxy/cli/terminal.h"

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string_view>

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "proxy/cli/http_client.h"
#include "proxy/visible.h"

namespace sallyport::proxy::cli {
namespace {

bool has_colours(int fd) {
    if (isatty(fd) == 0) return false;
    const char* const no = std::getenv("NO_COLOR");
    if (no != nullptr && *no != '\0') return false;
    const char* const kind = std::getenv("TERM");
    return kind == nullptr || std::string_view(kind) != "dumb";
}

std::string clock_time() {
    const auto now = std::time(nullptr);
    std::tm broken{};
    char text[16];
    localtime_r(&now, &broken);
    const auto n = std::strftime(text, sizeof text, "%H:%M:%S", &broken);
    return {text, n};
}

}  // namespace

screen terminal() {
    screen s;
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        s.width = size.ws_col;
    } else if (const char* const columns = std::getenv("COLUMNS")) {
        const auto width = std::strtoul(columns, nullptr, 10);
        if (width >= 20 && width <= 10'000) s.width = width;
    }
    s.now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                   std::chrono::system_clock::now().time_since_epoch())
                   .count();
    s.colours = has_colours(STDOUT_FILENO);
    return s;
}

bool somebody_is_there() {
    return isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
}

std::string with_heading(const std::string& text, const screen& s) {
    const auto end = text.find('\n');
    if (!s.colours || end == std::string::npos || end + 1 == text.size()) return text;
    return "\x1b[1m" + text.substr(0, end) + "\x1b[0m" + text.substr(end);
}

std::string error_prefix() {
    return has_colours(STDERR_FILENO) ? "\x1b[31msallyport:\x1b[0m " : "sallyport: ";
}

void watch(double seconds, const std::string& title, const std::function<std::string()>& show) {
    const bool replaces = isatty(STDOUT_FILENO) != 0;
    for (;;) {
        std::string text;
        try {
            text = show();
        } catch (const failure& f) {
            if (f.status() != unreachable) throw;
            text = visible(f.what(), line_breaks::keep) + "\n";
        }
        if (replaces) std::cout << "\x1b[H\x1b[J";
        std::cout << clock_time() << "  " << title << "\n\n" << text << (replaces ? "" : "\n");
        std::cout.flush();
        if (!std::cout) throw failure(refused, "the output cannot be written", "");
        ::poll(nullptr, 0, static_cast<int>(seconds * 1000));
    }
}

bool ask_line(const std::string& question, std::string& answer) {
    std::cout << question << std::flush;
    answer.clear();
    return static_cast<bool>(std::getline(std::cin, answer));
}

}  // namespace sallyport::proxy::cli

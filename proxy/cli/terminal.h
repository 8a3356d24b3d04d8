#pragma once

#include <functional>
#include <string>

#include "proxy/cli/views.h"

/// The terminal that a command runs on.
namespace sallyport::proxy::cli {

/// Width of standard output, the time, and whether colours may be used: on a terminal, unless
/// NO_COLOR is set or TERM is dumb.
[[nodiscard]] screen terminal();
/// Both ends are a person's terminal.
[[nodiscard]] bool somebody_is_there();

/// The same text with its first line bold, if the screen has colours; for tables.
[[nodiscard]] std::string with_heading(const std::string& text, const screen& s);
/// "sallyport:" in red, where standard error is a terminal that has colours.
[[nodiscard]] std::string error_prefix();

/// Shows what `show` gives, over and over: on a terminal in the place of what stood there. Ends
/// with the process (Ctrl-C), or with what `show` throws; a proxy that cannot be reached is said
/// and asked again.
[[noreturn]] void watch(double seconds, const std::string& title,
                        const std::function<std::string()>& show);

/// Asks on the terminal; the answer without its line's end, false when there is none.
[[nodiscard]] bool ask_line(const std::string& question, std::string& answer);

}  // namespace sallyport::proxy::cli

#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

/// Shell completion, made from the commands and options themselves.
namespace sallyport::proxy {

/// One command, or the program itself, as completion sees it.
struct completed_command {
    std::string path;  ///< "opt-out request"; "" = the program
    std::string does;
    struct option {
        std::vector<std::string> names;  ///< with their dashes
        std::string does;
        bool takes_value = false;
        std::vector<std::string> values;  ///< those it is limited to; empty: any
        bool of_all = false;              ///< help, or whom to talk to: the man page says it once
    };
    std::vector<option> options;
    std::vector<std::string> arguments;  ///< by position
    std::vector<std::string> words;      ///< its subcommands, or what its first argument can be
};
[[nodiscard]] std::vector<completed_command> completed_commands(const CLI::App& app);

/// The script for "bash", "zsh" or "fish"; for "man" the list of commands in its macros; "" for
/// another shell.
[[nodiscard]] std::string completion_script(const CLI::App& app, const std::string& shell);

}  // namespace sallyport::proxy

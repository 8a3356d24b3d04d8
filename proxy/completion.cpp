#include "proxy/completion.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

namespace sallyport::proxy {

namespace {

/// What an IsMember check allows: CLI11 tells it as "TEXT:{a,b}".
std::vector<std::string> members_of(const CLI::Option& o) {
    const auto type = o.get_type_name();
    const auto from = type.find('{');
    const auto to = type.find('}', from);
    std::vector<std::string> all;
    if (from == std::string::npos || to == std::string::npos) return all;
    std::string word;
    for (auto at = from + 1; at <= to; ++at) {
        if (type[at] == ',' || at == to)
            all.push_back(std::exchange(word, {}));
        else
            word += type[at];
    }
    return all;
}

void add(const CLI::App& app, const std::string& path, std::vector<completed_command>& out) {
    completed_command c;
    c.path = path;
    c.does = app.get_description();
    for (const auto* o : app.get_options()) {
        completed_command::option made;
        for (const auto& name : o->get_lnames())
            made.names.push_back("--" + name);
        for (const auto& name : o->get_snames())
            made.names.push_back("-" + name);
        made.does = o->get_description();
        made.values = members_of(*o);
        made.takes_value = o->get_expected_max() > 0;
        made.of_all = o->get_group() == "Commands to a running proxy" || o == app.get_help_ptr();
        if (made.names.empty())
            c.arguments.push_back(o->get_required() ? o->get_name() : "[" + o->get_name() + "]");
        if (!made.names.empty())
            c.options.push_back(std::move(made));
        else if (c.words.empty())
            c.words = made.values;
    }
    std::vector<const CLI::App*> children;
    for (const auto* child : app.get_subcommands([](const CLI::App*) { return true; }))
        if (!child->get_group().empty()) children.push_back(child);
    for (const auto* child : children)
        c.words.push_back(child->get_name());
    out.push_back(std::move(c));
    for (const auto* child : children)
        add(*child, path.empty() ? child->get_name() : path + " " + child->get_name(), out);
}

std::string join(const std::vector<std::string>& words) {
    std::string all;
    for (const auto& w : words)
        all += (all.empty() ? "" : " ") + w;
    return all;
}

/// In single quotes, for any of the shells.
std::string quoted(const std::string& text, bool fish = false) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'')
            out += fish ? "\\'" : "'\\''";
        else if (c == '\\' && fish)
            out += "\\\\";
        else
            out += c;
    }
    return out + "'";
}

std::string all_names(const completed_command& c) {
    std::vector<std::string> names;
    for (const auto& o : c.options)
        names.insert(names.end(), o.names.begin(), o.names.end());
    return join(names);
}

/// bash, and zsh by its bash emulation of completion: one function that finds the command that the
/// line has reached, and then knows its words and options.
std::string bash(const std::vector<completed_command>& all) {
    std::string text =
        "_sallyport() {\n"
        "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at= i candidates\n"
        "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "    case \"$at ${COMP_WORDS[i]}\" in\n      ";
    std::string paths;
    for (const auto& c : all)
        if (!c.path.empty()) paths += (paths.empty() ? "" : "|") + quoted(" " + c.path);
    text += paths + ") at+=\" ${COMP_WORDS[i]}\" ;;\n    esac\n  done\n  case \"$at $prev\" in\n";
    for (const auto& c : all)
        for (const auto& o : c.options) {
            if (!o.takes_value) continue;
            std::string cases;
            for (const auto& name : o.names)
                cases += (cases.empty() ? "" : "|") +
                         quoted((c.path.empty() ? "" : " " + c.path) + " " + name);
            text += "    " + cases + ") ";
            text += o.values.empty()
                        ? "COMPREPLY=($(compgen -f -- \"$cur\"))"
                        : "COMPREPLY=($(compgen -W " + quoted(join(o.values)) + " -- \"$cur\"))";
            text += "; return ;;\n";
        }
    text += "  esac\n  case \"$at\" in\n";
    for (const auto& c : all)
        text += "    " + quoted(c.path.empty() ? "" : " " + c.path) +
                ") candidates=" + quoted(join(c.words)) +
                "; [[ $cur == -* ]] && candidates=" + quoted(all_names(c)) + " ;;\n";
    return text +
           "  esac\n"
           "  COMPREPLY=($(compgen -W \"$candidates\" -- \"$cur\"))\n"
           "  [[ -n $candidates ]] || COMPREPLY=($(compgen -f -- \"$cur\"))\n"
           "}\n"
           "complete -o filenames -F _sallyport sallyport\n";
}

std::string fish(const std::vector<completed_command>& all) {
    std::string text =
        "function __sallyport_at\n"
        "  set -l path\n"
        "  for word in (commandline -opc)[2..]\n"
        "    contains -- (string join -- ' ' $path $word) $__sallyport_paths; and set -a path "
        "$word\n"
        "  end\n"
        "  test (string join -- ' ' $path) = \"$argv[1]\"\n"
        "end\n"
        "set -g __sallyport_paths";
    for (const auto& c : all)
        if (!c.path.empty()) text += " " + quoted(c.path, true);
    text += "\ncomplete -c sallyport -f\n";
    for (const auto& c : all) {
        const auto here =
            "complete -c sallyport -n " + quoted("__sallyport_at " + quoted(c.path), true);
        for (const auto& word : c.words) {
            const auto child = std::find_if(all.begin(), all.end(), [&](const auto& other) {
                return other.path == (c.path.empty() ? word : c.path + " " + word);
            });
            text += here + " -a " + quoted(word, true);
            if (child != all.end()) text += " -d " + quoted(child->does, true);
            text += "\n";
        }
        for (const auto& o : c.options) {
            text += here;
            for (const auto& name : o.names)
                text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
            if (o.takes_value) text += o.values.empty() ? " -r -F" : " -x";
            if (!o.values.empty()) text += " -a " + quoted(join(o.values), true);
            text += " -d " + quoted(o.does, true) + "\n";
        }
    }
    return text;
}

/// Text for troff: nothing of it is a request.
std::string troff(const std::string& text) {
    std::string plain = text;
    constexpr std::string_view dots = "…";
    for (auto at = plain.find(dots); at != std::string::npos; at = plain.find(dots))
        plain.replace(at, dots.size(), "...");
    std::string out;
    for (const char c : plain) {
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else if (c == '\n')
            out += ' ';
        else
            out += c;
    }
    return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

std::string man(const std::vector<completed_command>& all) {
    std::string text;
    for (const auto& c : all) {
        const bool group = std::any_of(all.begin(), all.end(), [&](const auto& other) {
            return other.path.starts_with(c.path + " ");
        });
        if (c.path.empty() || group) continue;
        text += ".SS sallyport " + troff(c.path);
        for (const auto& word : c.arguments)
            text += " " + troff(word);
        text += "\n" + troff(c.does) + (c.does.ends_with("?") ? "\n" : ".\n");
        for (const auto& o : c.options) {
            if (o.of_all) continue;
            std::string names;
            for (const auto& name : o.names)
                names += (names.empty() ? "" : ", ") + troff(name);
            text += ".TP\n.B " + names + "\n" + (o.does.empty() ? "\\&" : troff(o.does));
            if (!o.values.empty()) text += " (" + troff(join(o.values)) + ")";
            text += "\n";
        }
    }
    text += ".SS Options of every command that talks to a running proxy\n";
    for (const auto& o : all.front().options) {
        if (!o.of_all || o.names.front() == "--help") continue;
        text += ".TP\n.B " + troff(o.names.front()) + "\n" + troff(o.does) + "\n";
    }
    return text;
}

}  // namespace

std::vector<completed_command> completed_commands(const CLI::App& app) {
    std::vector<completed_command> all;
    add(app, "", all);
    return all;
}

std::string completion_script(const CLI::App& app, const std::string& shell) {
    const auto all = completed_commands(app);
    if (shell == "bash") return bash(all);
    if (shell == "fish") return fish(all);
    if (shell == "man") return man(all);
    if (shell != "zsh") return {};
    return "#compdef sallyport\nautoload -U +X bashcompinit && bashcompinit\n" + bash(all) +
           "# Loaded by the first completion: that one is answered too.\n"
           "(( ${+funcstack} )) && [[ ${funcstack[1]:-} == _sallyport ]] && "
           "_bash_complete -o filenames -F _sallyport\n";
}

}  // namespace sallyport::proxy

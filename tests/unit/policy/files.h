#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "policy/load.h"

/// Files of tests/data and policies for the tests of this folder.
namespace sallyport::tests {

[[nodiscard]] inline std::string source_path(const std::string& relative) {
    return std::string(SALLYPORT_SOURCE_DIR) + "/" + relative;
}

[[nodiscard]] inline std::string read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + path);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

/// The files of a folder of tests/data that end so, sorted.
[[nodiscard]] inline std::vector<std::filesystem::path> data_files(const std::string& folder,
                                                                   const std::string& extension) {
    std::vector<std::filesystem::path> out;
    for (const auto& e : std::filesystem::directory_iterator(source_path("tests/data/" + folder)))
        if (e.path().extension() == extension) out.push_back(e.path());
    std::sort(out.begin(), out.end());
    return out;
}

/// Two persons in security, one of them on call, and a program.
[[nodiscard]] inline policy::known_names known_people() {
    policy::known_names k;
    k.targets = {"shop", "hr"};
    k.users = {"alice", "bob", "carol", "ci"};
    k.groups = {"dev", "oncall", "security", "pipelines"};
    k.members = {{"dev", {"alice"}},
                 {"oncall", {"alice"}},
                 {"security", {"bob", "carol", "ci"}},
                 {"pipelines", {"ci"}}};
    k.services = {"ci"};
    return k;
}

/// Loads a policy that must have no fault.
[[nodiscard]] inline policy::rule_set_ptr load_sound(const std::string& text) {
    auto l = policy::load_policy_text(text, "policy.yaml", {});
    std::string why;
    for (const auto& f : l.faults)
        why += policy::to_string(f) + "\n";
    if (!l.rules) throw std::runtime_error("the policy of the test has faults:\n" + why);
    return l.rules;
}

}  // namespace sallyport::tests

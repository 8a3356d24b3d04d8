#pragma once

#include <string>
#include <vector>

/// The project's own sources, as the house tests see them.
namespace sallyport::tests::house {

struct source_file {
    std::string path;                ///< relative to the root of the project
    std::vector<std::string> lines;  ///< without their ends
    [[nodiscard]] bool has_suffix(const std::string& suffix) const {
        return path.size() >= suffix.size() &&
               path.compare(path.size() - suffix.size(), suffix.size(), suffix) == 0;
    }
    [[nodiscard]] bool under(const std::string& folder) const {
        return path.rfind(folder + "/", 0) == 0;
    }
};

/// Every file under `folders` with one of `suffixes`, sorted by path.
[[nodiscard]] std::vector<source_file> read_sources(const std::vector<std::string>& folders,
                                                    const std::vector<std::string>& suffixes);
[[nodiscard]] source_file source_of(const std::string& path, const std::string& text);

/// What the rule about includes says against one file, one "path:line: …" each; none = fine.
[[nodiscard]] std::vector<std::string> include_faults(const source_file& file);
/// What the rules about form say against one file.
[[nodiscard]] std::vector<std::string> form_faults(const source_file& file);

}  // namespace sallyport::tests::house

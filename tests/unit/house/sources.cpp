#include "tests/unit/house/sources.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sallyport::tests::house {
namespace fs = std::filesystem;

source_file source_of(const std::string& path, const std::string& text) {
    source_file file{path, {}};
    std::istringstream in(text);
    std::string line;
    while (std::getline(in, line))
        file.lines.push_back(line);
    return file;
}

std::vector<source_file> read_sources(const std::vector<std::string>& folders,
                                      const std::vector<std::string>& suffixes) {
    std::vector<source_file> files;
    const fs::path root(SALLYPORT_SOURCE_DIR);
    for (const auto& folder : folders) {
        if (!fs::exists(root / folder)) continue;
        for (auto it = fs::recursive_directory_iterator(root / folder);
             it != fs::recursive_directory_iterator(); ++it) {
            const auto name = it->path().filename().string();
            if (it->is_directory() && (name == "node_modules" || name == "data"))
                it.disable_recursion_pending();
            const bool wanted = std::any_of(suffixes.begin(), suffixes.end(),
                                            [&](const auto& s) { return name.ends_with(s); });
            if (!it->is_regular_file() || !wanted) continue;
            std::ifstream in(it->path(), std::ios::binary);
            std::ostringstream text;
            text << in.rdbuf();
            files.push_back(source_of(fs::relative(it->path(), root).string(), text.str()));
        }
    }
    std::sort(files.begin(), files.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
    return files;
}

}  // namespace sallyport::tests::house

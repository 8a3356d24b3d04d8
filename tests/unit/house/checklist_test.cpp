#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/house/sources.h"

/// The table of tests/README.md that says which test shows which item of the protocol checklist.
namespace sallyport::tests::house {
namespace {

constexpr int items = 140;
const std::set<std::string> further_items{"9b", "40b"};

/// Number of each item → the cell that says what shows it.
std::map<std::string, std::string> rows_of(const std::vector<std::string>& lines) {
    static const std::regex row(R"(\| (\d+b?) \| ([^|]+) \| ([^|]+) \|)");
    std::map<std::string, std::string> rows;
    std::smatch m;
    for (const auto& line : lines)
        if (std::regex_match(line, m, row)) rows[m[1]] += m[3].str() + " ";
    return rows;
}

struct reference {
    std::string path;                ///< below tests/
    std::vector<std::string> names;  ///< of tests in it
};

/// "e2e/a_test.cpp: first_name_of_it, second_name_of_it; unit/b_test.cpp: all".
std::vector<reference> references_in(const std::string& cell) {
    static const std::regex path(
        R"((unit|e2e|data|differential|conformance|fuzz)/[A-Za-z0-9_./-]*[A-Za-z0-9_])");
    static const std::regex name(R"(\b[a-z0-9]+(_[a-z0-9]+){2,}\b)");
    std::vector<reference> found;
    for (std::sregex_iterator at(cell.begin(), cell.end(), path), end; at != end; ++at) {
        auto next = at;
        const auto from = static_cast<std::size_t>(at->position() + at->length());
        const auto to = ++next == end ? cell.size() : static_cast<std::size_t>(next->position());
        const auto rest = cell.substr(from, to - from);
        reference r{at->str(), {}};
        for (std::sregex_iterator n(rest.begin(), rest.end(), name), none; n != none; ++n)
            r.names.push_back(n->str());
        found.push_back(std::move(r));
    }
    return found;
}

/// The text of a file below tests/, "" if there is none.
std::string text_of(const std::string& path) {
    std::ifstream file(std::string(SALLYPORT_SOURCE_DIR) + "/tests/" + path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// A test of this name, or a fixture or table of it.
bool names_a_test(const std::string& text, const std::string& name) {
    return std::regex_search(text, std::regex(R"(TEST(_[FP])?\(\s*\w+,\s*)" + name + R"(\s*\))")) ||
           std::regex_search(text,
                             std::regex(R"((TEST(_[FP])?\(\s*|\bclass\s+))" + name + R"(\b)"));
}

/// What is wrong with one cell; "" = nothing.
std::string fault_of(const std::string& cell) {
    const auto references = references_in(cell);
    if (references.empty() && cell.find("not applicable: ") == std::string::npos)
        return "it names no test and no reason";
    for (const auto& r : references) {
        const auto text = text_of(r.path);
        if (text.empty()) return "there is no tests/" + r.path;
        for (const auto& name : r.names)
            if (!names_a_test(text, name)) return "no test " + name + " in tests/" + r.path;
        const bool cpp = r.path.ends_with("_test.cpp");
        if (cpp && r.names.empty() && cell.find(r.path + ": all") == std::string::npos &&
            cell.find(r.path + ": `") == std::string::npos)
            return "it names no test of tests/" + r.path;
    }
    return {};
}

TEST(protocol_checklist, every_item_has_a_test_that_exists_or_a_reason) {
    const auto sources = read_sources({"tests"}, {"README.md"});
    const auto readme = std::find_if(sources.begin(), sources.end(),
                                     [](const auto& f) { return f.path == "tests/README.md"; });
    ASSERT_NE(readme, sources.end());
    const auto rows = rows_of(readme->lines);
    auto wanted = further_items;
    for (int i = 1; i <= items; ++i)
        wanted.insert(std::to_string(i));

    for (const auto& item : wanted) {
        const auto row = rows.find(item);
        if (row == rows.end()) {
            ADD_FAILURE() << "item " << item << " is missing";
            continue;
        }
        EXPECT_EQ(fault_of(row->second), "") << "item " << item;
    }
    for (const auto& [item, cell] : rows)
        EXPECT_EQ(wanted.count(item), 1u) << "there is no item " << item;
}

TEST(protocol_checklist, name_or_file_that_does_not_exist_is_found) {
    const std::string here = "unit/house/checklist_test.cpp: ";
    EXPECT_EQ(fault_of(here + "name_or_file_that_does_not_exist_is_found"), "");
    EXPECT_NE(fault_of(here + "name_or_file_that_was_never_written"), "");
    EXPECT_NE(fault_of("unit/house/no_such_test.cpp: name_or_file_that_does_not_exist_is_found"),
              "");
    EXPECT_NE(fault_of("somebody looked at it"), "");
    EXPECT_NE(fault_of("unit/house/checklist_test.cpp"), "");
    EXPECT_EQ(fault_of("not applicable: there is no such thing"), "");
}

}  // namespace
}  // namespace sallyport::tests::house
